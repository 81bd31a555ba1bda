//! `ccs bench`: how fast an endpoint answers, and what that costs this side.
//!
//! ```text
//!   Schedule ──► a task for each place in each window ──► Client ──► endpoint
//!                  └──────────► Results ◄── answer ─────────┘
//! ```

mod cpu;
mod results;
mod schedule;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ccs_tokio::proto::message::{Target, limits};
use ccs_tokio::{Client, Config, Data, Downstream, Incoming, connect};
use clap::Args;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::login::LoginArgs;
use crate::ndjson::Line;
use crate::terminal::{Progress, say};
use results::Results;
use schedule::Schedule;

/// Measure how fast an endpoint answers
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccs bench
  ccs bench --messages 2000 --connections 4 --window 20 --size 200
  ccs bench --messages 500 --rate 1000

Without --rate each window is full at all times: that is what the endpoint can do, and each message
waits for those before it. With --rate messages are due one after another, evenly; the latency
counts from when a message was due, so one that could not go out in time has waited.

One `bench` line has the result; stderr tells each second how far it is. Nothing is sent a second
time, and messages from devices are not acked: they stay for `ccs listen`.

Exit codes: 0 all accepted, 2 wrong usage, 3 login refused, 4 TLS, 5 unreachable or lost, 6 timed
out, 7 some refused, 8 no CCS endpoint, 130 a signal came.")]
pub struct BenchArgs {
    /// Messages to send in all
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    messages: u32,
    /// Connections to send them on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
    /// Messages sent and not yet answered, on each connection, at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    window: u16,
    /// Bytes of data in a message
    #[arg(long, value_name = "BYTES", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=limits::MAX_DATA as i64))]
    size: u16,
    /// Messages a second, on all connections together; as many as the windows let by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// A device's token, a group's key, or a topic as /topics/NAME, that they are for
    #[arg(long, value_name = "TOKEN", default_value = "phone-1")]
    to: String,
    /// Seconds that the endpoint has to answer a message; then the connection is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    #[command(flatten)]
    login: LoginArgs,
}

pub async fn run(args: BenchArgs) -> Result<(), Failure> {
    let message = args.message()?;
    let (mut config, hint) = args.login.config()?;
    config.client.window = args.window.into();
    config.client.answer_timeout = Duration::from_secs(args.timeout);
    let (clients, mut open) =
        log_in(&config, args.connections)
            .await
            .map_err(|failure| match failure {
                refused @ Failure::Login(_) => refused.and(&hint),
                other => other,
            })?;

    let rate = args.rate.and_then(NonZeroU32::new);
    let schedule = Arc::new(Schedule::new(args.messages, rate));
    let results = Arc::new(Mutex::new(Results::new(args.messages)));
    let mut senders = JoinSet::new();
    for client in &clients {
        for _ in 0..args.window.into() {
            senders.spawn(send(
                client.clone(),
                message.clone(),
                Arc::clone(&schedule),
                Arc::clone(&results),
            ));
        }
    }
    let cpu = cpu::used();
    let started = Instant::now();
    schedule.start(started);
    let (mut progress, mut ticks) = (Progress::new(), each_second());
    let (mut interrupts, mut interrupted) = (Interrupts::new()?, None);
    loop {
        tokio::select! {
            () = interrupts.next() => match interrupted {
                None => {
                    say("waiting for the answers to what was sent; a second interrupt ends it at once");
                    interrupted = Some(Failure::interrupted());
                    schedule.end();
                }
                Some(_) => Failure::interrupted_again(),
            },
            ended = senders.join_next() => if ended.is_none() { break },
            Some(_) = open.join_next() => if open.is_empty() { schedule.end() },
            _ = ticks.tick() => progress.show(&lock(&results).progress()),
        }
    }
    let took = started.elapsed();
    let cpu = cpu::used()
        .zip(cpu)
        .and_then(|(end, start)| end.checked_sub(start));
    if progress.is_in_place() {
        progress.show(&lock(&results).progress());
    }
    progress.end();
    let mut closing = JoinSet::new();
    for client in clients {
        // How it ended before, if it did, is with the messages that it left.
        closing.spawn(async move { drop(client.close().await) });
    }
    tokio::select! {
        _ = closing.join_all() => {}
        () = interrupts.next() => {}
    }

    let results = std::mem::take(&mut *lock(&results));
    args.line(&results, took, cpu).print();
    results.end(interrupted)
}

/// Sends what is due, one message after another, as long as the connection lasts. One of as many as a window has places,
/// so a place is free whenever this has something to send.
async fn send(
    client: Client,
    message: Downstream,
    schedule: Arc<Schedule>,
    results: Arc<Mutex<Results>>,
) {
    while let Some(due) = schedule.next().await {
        let result = client.send(message.clone()).await;
        let latency = due.elapsed();
        if lock(&results).count(latency, result).is_break() {
            return;
        }
    }
}

/// Connections, and the tasks that last as long as each does. One after another: an endpoint lets so many only log in at
/// once.
async fn log_in(config: &Config, connections: u16) -> Result<(Vec<Client>, JoinSet<()>), Failure> {
    let (mut clients, mut open) = (Vec::new(), JoinSet::new());
    for _ in 0..connections {
        let (client, incoming) = connect(config.clone()).await?;
        open.spawn(pass_over(incoming));
        clients.push(client);
    }
    Ok((clients, open))
}

/// What devices send is taken, or answers would have to wait behind it, but not acked.
async fn pass_over(mut incoming: Incoming) {
    while incoming.next().await.is_some() {}
}

/// When to tell how far it is.
fn each_second() -> Interval {
    const EACH: Duration = Duration::from_secs(1);
    let mut ticks = interval_at(tokio::time::Instant::now() + EACH, EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

fn lock(results: &Mutex<Results>) -> MutexGuard<'_, Results> {
    results.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BenchArgs {
    fn message(&self) -> Result<Downstream, Failure> {
        let target = Target::from_to(self.to.as_str())
            .map_err(|error| Failure::Usage(format!("--to: {error}")))?;
        // A key of one byte, and letters that need no escape.
        let value = "x".repeat(usize::from(self.size).saturating_sub(1));
        Ok(Downstream::new(target).with_data(Data::new().with("k", value)))
    }

    fn line(&self, results: &Results, took: Duration, cpu: Option<Duration>) -> Line {
        let answered = results.answered();
        let micros = |span: Duration| span.as_nanos() as f64 / 1_000.0;
        let a_message = |total: f64| rounded(total / answered as f64);
        let cpu = cpu.filter(|_| answered > 0);
        let line = Line::new("bench")
            .with("to", self.to.as_str())
            .with("messages", self.messages)
            .with("connections", self.connections)
            .with("window", self.window)
            .with("size", self.size)
            .maybe("rate", self.rate)
            .with("seconds", took.as_secs_f64())
            .with("per_second", rounded(answered as f64 / took.as_secs_f64()))
            .with("acks", results.acks)
            .with("nacks", results.nacks())
            .with("nacks_by_code", results.nacks_by_code())
            .with("unanswered", results.unanswered)
            .with("unsent", results.unsent());
        line.maybe("latency_us", results.latency_us())
            .maybe("cpu_us", cpu.map(|cpu| a_message(micros(cpu))))
    }
}

/// To a hundredth: more would be noise.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
