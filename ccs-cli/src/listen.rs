//! `ccs listen`: what devices send, as JSON lines.

use std::process::Stdio;
use std::time::Duration;

use ccs_tokio::proto::session::{DeadMessage, Received, SessionEvent};
use ccs_tokio::{Handling, Inbound, ServiceEvent};
use clap::Args;
#[cfg(unix)]
use rustix::process::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::ndjson::Line;
use crate::received;
use crate::service_args::{ServiceArgs, Waiting};
use crate::terminal::say;
use crate::watch::Watch;

/// Print what devices send, a JSON object a line
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccs listen
  ccs listen --count 1 --timeout 30
  ccs listen --exec ./handle-message

A message is acked as soon as its line is written: that says that somebody may have read it, not
that it was handled, and what was acked does not come again. With --exec the message is acked when
the command has handled it: it gets the line as its stdin, and exit code 0 acks. After any other the
command gets the message again, later and later; after five tries, with 8 to 15 seconds between the
first and the last, a `dead` line tells of it, and it is acked. The command's own output goes to
stderr. An interrupt lets the command that is running finish; a second one kills it, and its message
comes again.

Lost connections are made again; `reconnecting` and `draining` lines tell of that.

Exit codes: 0 at --count or on an interrupt, 2 wrong usage, 3 login refused, 4 TLS, 5 out of reach
for --retry-for, 6 at --timeout, 8 no CCS endpoint.")]
pub struct ListenArgs {
    /// End after so many messages and receipts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    timeout: Option<u64>,
    /// Run a command for each message, by the shell, with the message on its stdin
    #[arg(long, value_name = "CMD", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    exec: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

pub async fn run(args: ListenArgs) -> Result<(), Failure> {
    let mut end = End::new(args.timeout)?;
    let (service, mut inbound, mut watch) = args.service.start(Waiting::RetryFor)?;
    say("listening; an interrupt ends it");
    let ended = args.listen(&mut inbound, &mut watch, &mut end).await;
    // Acks that are on their way go out first.
    service.shutdown(Duration::from_secs(5)).await;
    ended
}

/// What ends the command from outside: a signal, or its time.
struct End {
    interrupts: Interrupts,
    until: Option<Instant>,
    /// It came while a message was being handled.
    came: Option<Result<(), Failure>>,
}

impl End {
    fn new(timeout: Option<u64>) -> std::io::Result<Self> {
        Ok(Self {
            interrupts: Interrupts::new()?,
            until: timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            came: None,
        })
    }

    async fn next(&mut self) -> Result<(), Failure> {
        if let Some(came) = self.came.take() {
            return came;
        }
        tokio::select! {
            () = at(self.until) => Err(Failure::TimedOut("nothing more within --timeout".to_owned())),
            () = self.interrupts.next() => Ok(()),
        }
    }
}

async fn at(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

impl ListenArgs {
    async fn listen(
        &self,
        inbound: &mut Inbound,
        watch: &mut Watch,
        end: &mut End,
    ) -> Result<(), Failure> {
        let mut count = 0_u64;
        while self.count.is_none_or(|wanted| count < wanted) {
            let event = tokio::select! {
                // What came while a message was handled goes before the next one.
                biased;
                ended = end.next() => return ended,
                event = inbound.next() => event,
                failure = watch.given_up() => return Err(failure),
            };
            match event {
                Some(ServiceEvent::Delivery(message)) => {
                    count += u64::from(self.handle(message, end).await?);
                }
                Some(ServiceEvent::Session(event)) => {
                    // A command that failed too often has had its message.
                    let dead = matches!(
                        &event,
                        SessionEvent::DeadLetter(dead)
                            if matches!(dead.message, DeadMessage::Received(_))
                    );
                    if let Some(line) = watch.see(event)? {
                        line.print();
                    }
                    count += u64::from(dead);
                }
                Some(_) => {}
                None => break,
            }
        }
        Ok(())
    }

    /// Prints the line and acks, or lets the command decide. Whether it is done with.
    async fn handle(&self, message: Handling, end: &mut End) -> Result<bool, Failure> {
        let line = match &*message {
            Received::Upstream(message) => received::upstream(message),
            Received::Receipt(message) => received::receipt(message),
            _ => return Ok(false),
        };
        let handled = match &self.exec {
            None => true,
            Some(command) => execute(command, &line, end).await?,
        };
        // A message that is tried again has its line already.
        if message.attempt() == 1 {
            line.print();
        }
        if handled {
            message.ack();
        } else {
            message.retry();
        }
        Ok(handled)
    }
}

/// Whether the command ended with 0. What ends this one waits for it.
async fn execute(command: &str, line: &Line, end: &mut End) -> Result<bool, Failure> {
    let mut shell = Command::new("sh");
    // Of a group of its own: what a terminal's Ctrl-C ends is this command, and it is this one that says what then.
    #[cfg(unix)]
    shell.process_group(0);
    let mut child = shell
        .args(["-c", command])
        .stdin(Stdio::piped())
        // stdout is for lines of ours only.
        .stdout(std::io::stderr())
        // What handles a message need not know how it came.
        .env_remove("CCS_KEY")
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command need not read its stdin.
        let _ = stdin.write_all(line.text().as_bytes()).await;
    }
    let status = tokio::select! {
        status = child.wait() => status?,
        ended = end.next() => {
            end.came = Some(ended);
            say(format!("waiting for {command:?}; another interrupt kills it"));
            tokio::select! {
                status = child.wait() => status?,
                () = end.interrupts.next() => {
                    kill(&mut child).await?;
                    return Ok(false);
                }
            }
        }
    };
    if !status.success() {
        say(format!(
            "{command:?} ended with {status}; the message is not acked yet"
        ));
    }
    Ok(status.success())
}

/// Ends the shell with all that it has started.
async fn kill(child: &mut Child) -> std::io::Result<()> {
    #[cfg(unix)]
    if let Some(group) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        // It may have ended just now.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    child.kill().await
}
