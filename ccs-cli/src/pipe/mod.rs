//! `ccs pipe`: an app server in any language, over stdin and stdout.
//!
//! ```text
//!   stdin  ──► Op ──► send ──► Service ──► queued, then one outcome ──┐
//!               └───► ack, reject ──► Upstreams                       ├──► Output ──► stdout
//!                         Inbound ──► Upstreams ──► upstream ─────────┘
//! ```

mod ending;
mod op;
mod output;
mod upstreams;

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use ccs_tokio::ServiceError;
use ccs_tokio::proto::session::{DeadLetter, DeadMessage, DeadReason, Received, SessionEvent};
use ccs_tokio::{Downstream, Handling, Inbound, MessageId, Service, ServiceEvent};
use clap::Args;
use tokio::io::{Stdin, stdin};

use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::lines::Lines;
use crate::ndjson::Line;
use crate::outcome::{Tally, answer};
use crate::received;
use crate::service_args::{ServiceArgs, Waiting};
use crate::watch::Watch;
use ending::Ending;
use op::Op;
use output::Output;
use upstreams::Upstreams;

/// Be an app server in any language: JSON lines both ways, with acks of the application
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccs pipe < ops.ndjson > events.ndjson
  printf '%s\\n' '{\"op\":\"send\",\"id\":\"m-1\",\"to\":\"phone-1\",\"data\":{\"hello\":\"world\"}}' | ccs pipe

stdin takes an object a line:
  {\"op\":\"send\",\"id\":ID,\"to\":TOKEN,\"data\":{...}}, with the fields of the protocol
  {\"op\":\"ack\",\"upstream\":HANDLE}: the message is handled
  {\"op\":\"reject\",\"upstream\":HANDLE,\"reason\":TEXT}: it can never be; a `dead` line says so, and it is acked
  {\"op\":\"drain\"}: take nothing new, finish what is pending, end

Each `upstream` line has the handle to ack it by. What is not acked comes again: after --ack-within, five
times at most, or when ccs pipe is started the next time. Of each device one message at a time is given.

A message that is sent has a `queued` line when it is taken over, and one line of its outcome: ack, nack,
expired, dead, unknown or unsent. It waits for as long as it has to live. When 10,000 wait, stdin is not
read until there is room; keep reading stdout meanwhile.

The end of stdin finishes what is sent and gives back what is not acked. SIGTERM and SIGINT do the same
with --drain-timeout, and acks are still taken; a second one ends at once.

Exit codes: 0 all done, 2 wrong usage, 3 login refused, 4 TLS, 5 out of reach for --retry-for, 6 not done
within --drain-timeout, 8 no CCS endpoint.")]
pub struct PipeArgs {
    /// Seconds that the application has to ack or reject a message
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    ack_within: u64,
    /// Seconds that SIGTERM and SIGINT leave for what is pending
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    drain_timeout: u64,
    #[command(flatten)]
    service: ServiceArgs,
}

pub async fn run(args: PipeArgs) -> Result<(), Failure> {
    let mut interrupts = Interrupts::new()?;
    let (service, inbound, watch) = args.service.start(Waiting::TimeToLive)?;
    let mut pipe = Pipe {
        service,
        inbound,
        watch,
        output: Output::new(),
        upstreams: Upstreams::new(Duration::from_secs(args.ack_within)),
        stdin: Some(Lines::new(stdin())),
        submitting: None,
        under_way: BTreeMap::new(),
        tally: Tally::default(),
        ending: Ending::new(Duration::from_secs(args.drain_timeout)),
    };
    while pipe.step(&mut interrupts).await {}
    pipe.finish(interrupts).await
}

struct Pipe {
    service: Service,
    inbound: Inbound,
    watch: Watch,
    output: Output,
    upstreams: Upstreams,
    /// Until its end.
    stdin: Option<Lines<Stdin>>,
    /// A message that waits to be taken over; until then stdin is not read, which holds the application back.
    submitting: Option<Submitting>,
    /// Messages that were taken over and have no outcome yet, with what each was addressed to.
    under_way: BTreeMap<MessageId, String>,
    tally: Tally,
    ending: Ending,
}

type Submitting = Pin<Box<dyn Future<Output = Submitted>>>;

struct Submitted {
    line: u64,
    /// The message's own, if it had one.
    id: Option<MessageId>,
    to: String,
    result: Result<MessageId, ServiceError>,
}

impl Pipe {
    /// Waits for the next thing to happen. `false`: nothing more will.
    async fn step(&mut self, interrupts: &mut Interrupts) -> bool {
        let has_room = self.output.has_room();
        let takes_answers = self.output.takes_answers();
        let takes_ops = self.submitting.is_none() && takes_answers;
        tokio::select! {
            biased;
            () = interrupts.next() => self.interrupted().await,
            () = self.ending.over() => return false,
            () = self.output.closed(), if !self.ending.has_deadline() => self.nobody_reads().await,
            () = self.output.room(), if !has_room => self.output.settle(),
            // Before its outcome, which may be here already.
            submitted = submitted(&mut self.submitting), if takes_answers => {
                self.submitting = None;
                let line = self.taken_over(submitted);
                self.output.print(&line);
            }
            failure = self.watch.given_up(), if !self.ending.has_failed() => self.fail(failure).await,
            () = self.upstreams.overdue() => self.upstreams.retry_overdue(),
            event = self.inbound.next(), if has_room => match event {
                Some(event) => self.see(event).await,
                None => return false,
            },
            line = next_line(&mut self.stdin), if takes_ops => match line {
                Ok(Some((number, line))) => self.obey(number, line).await,
                Ok(None) => self.stdin_ended().await,
                Err(error) => {
                    self.stdin = None;
                    self.fail(error.into()).await;
                }
            },
        }
        true
    }

    async fn obey(&mut self, line: u64, text: Result<String, String>) {
        let unknown = "no message is held under this handle: it was acked or rejected before, it took longer \
                       than --ack-within and comes again, or it is of another run";
        match text.and_then(|text| Op::parse(&text)) {
            Ok(Op::Send(message)) => self.send(line, *message),
            Ok(Op::Ack { upstream }) => {
                if !self.upstreams.ack(&upstream) {
                    self.wrong(line, unknown);
                }
            }
            Ok(Op::Reject { upstream, reason }) => {
                if !self.upstreams.reject(&upstream, reason) {
                    self.wrong(line, unknown);
                }
            }
            Ok(Op::Drain) => self.finish_pending().await,
            Err(error) => self.wrong(line, &error),
        }
    }

    fn wrong(&mut self, line: u64, error: &str) {
        let told = Line::new("error").with("line", line).with("error", error);
        self.output.print(&told);
    }

    fn send(&mut self, line: u64, message: Downstream) {
        let service = self.service.clone();
        self.submitting = Some(Box::pin(async move {
            let id = message.message_id().cloned();
            let to = message.target().to_string();
            let result = service.submit(message).await;
            Submitted {
                line,
                id,
                to,
                result,
            }
        }));
    }

    fn taken_over(&mut self, submitted: Submitted) -> Line {
        let Submitted {
            line,
            id,
            to,
            result,
        } = submitted;
        match result {
            Ok(id) => {
                let queued = answer("queued", Some(&id), &to);
                self.under_way.insert(id, to);
                queued
            }
            Err(error) => {
                let told = self.tally.not_taken(id.as_ref(), &to, error);
                told.with("line", line)
            }
        }
    }

    async fn see(&mut self, event: ServiceEvent) {
        match event {
            ServiceEvent::Delivery(message) => self.deliver(message),
            ServiceEvent::Session(event) => match self.line(event) {
                Ok(Some(line)) => self.output.print(&line),
                Ok(None) => {}
                Err(failure) => self.fail(failure).await,
            },
            _ => {}
        }
    }

    fn deliver(&mut self, message: Handling) {
        match &*message {
            Received::Upstream(upstream) => {
                let line = received::upstream(upstream);
                let line = self.upstreams.hold(message, line);
                self.output.print(&line);
            }
            Received::Receipt(receipt) => {
                let line = received::receipt(receipt);
                self.output.print_and_ack(&line, message);
            }
            // Tried again, since nothing is said of it.
            _ => {}
        }
    }

    /// What the application is told of an event.
    fn line(&mut self, event: SessionEvent) -> Result<Option<Line>, Failure> {
        Ok(Some(match event {
            SessionEvent::Settled { id, outcome } => {
                let to = self.under_way.remove(&id).unwrap_or_default();
                let connected = self.watch.was_connected();
                self.tally.settled(&id, &to, outcome, connected)
            }
            SessionEvent::WindowStalled => Line::new("window").with("state", "stalled"),
            SessionEvent::WindowResumed => Line::new("window").with("state", "resumed"),
            SessionEvent::TokenReplaced { old, new } => Line::new("canonical")
                .with("to", old)
                .with("canonical", new.as_str()),
            SessionEvent::TokenGone { token, code } => Line::new("unregistered")
                .with("to", token)
                .with("error", code.as_str()),
            SessionEvent::DeadLetter(DeadLetter {
                message: DeadMessage::Received(message),
                reason: DeadReason::Handler,
            }) => {
                let reason = self.upstreams.reason(&message);
                let reason = reason.as_deref().unwrap_or("the application rejected it");
                received::dead(&message, reason)
            }
            other => return self.watch.see(other),
        }))
    }
}

async fn next_line(
    stdin: &mut Option<Lines<Stdin>>,
) -> std::io::Result<Option<(u64, Result<String, String>)>> {
    match stdin {
        Some(lines) => lines.next().await,
        None => pending().await,
    }
}

async fn submitted(submitting: &mut Option<Submitting>) -> Submitted {
    match submitting {
        Some(submitting) => submitting.await,
        None => pending().await,
    }
}
