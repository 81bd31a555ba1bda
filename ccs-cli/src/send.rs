//! `ccs send`: one message, or many from stdin.

use std::time::Duration;

use ccs_tokio::Downstream;
use clap::Args;

use crate::exit::Failure;
use crate::lines::Lines;
use crate::message_args::{MessageArgs, TargetArgs};
use crate::message_line;
use crate::ndjson::Line;
use crate::sending::Sending;
use crate::service_args::{ServiceArgs, Waiting};

/// Send a message and print its answer
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccs send --to phone-1 --data hello=world
  ccs send --to /topics/news --data-json '{\"id\":\"7\"}' --ttl 600 --priority high
  ccs send --condition \"'news' in topics && !('muted' in topics)\" --notification title=Hello body=World
  printf '%s\\n' '{\"to\":\"phone-1\",\"data\":{\"n\":\"1\"}}' '{\"to\":\"bad-2\"}' | ccs send --json -

Each message gets a line: ack, nack, expired, unknown (it may have arrived: send it again with the
same --id), unsent, dead (the endpoint cannot bear it), or error (something is wrong with it). Until
then it goes over as many connections as it takes; `retrying`, `reconnecting` and `draining` lines
tell of that. Messages from devices that arrive meanwhile are not acked: they stay for `ccs listen`.

Exit codes: 0 accepted, 2 wrong usage, 3 login refused, 4 TLS, 5 unreachable or lost, 6 timed out,
7 refused, 8 no CCS endpoint, 130 a signal came.")]
pub struct SendArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Read messages from stdin, one JSON object a line with the fields of the protocol; message_id may be left out
    #[arg(long, value_name = "-", value_parser = ["-"], hide_possible_values = true)]
    json: Option<String>,
    /// The message's id; a random one by default
    #[arg(long, conflicts_with = "json")]
    id: Option<String>,
    /// Seconds that a message may take in all; then everything is given up. More than --retry-for
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

pub async fn run(args: SendArgs) -> Result<(), Failure> {
    let one = args.one()?;
    let timeout = Duration::from_secs(args.timeout);
    let mut sending = Sending::new(args.service.start(Waiting::RetryFor)?, timeout)?;
    match one {
        Some(message) => sending.send(message).await,
        None => send_stdin(&mut sending).await?,
    }
    let (tally, failure) = sending.finish().await;
    tally.end(failure)
}

/// Sends a message for each line. A line that is no message is told and passed over. Reading stops when nothing more can
/// be sent.
async fn send_stdin(sending: &mut Sending) -> Result<(), Failure> {
    let mut lines = Lines::new(tokio::io::stdin());
    while !sending.is_over() {
        tokio::select! {
            // What can be read is told of, even when the connection is over.
            biased;
            line = lines.next(), if sending.has_room() => {
                let Some((number, line)) = line? else { return Ok(()) };
                match line.and_then(|line| message_line::parse(&line)) {
                    Ok(message) => sending.send(message).await,
                    Err(error) => {
                        sending.tally.wrong += 1;
                        Line::new("error").with("line", number).with("error", error).print();
                    }
                }
            }
            () = sending.step() => {}
        }
    }
    Ok(())
}

impl SendArgs {
    /// The message of the flags; none when messages come from stdin.
    fn one(&self) -> Result<Option<Downstream>, Failure> {
        match (self.target.target()?, &self.json) {
            (Some(_), Some(_)) => Err(Failure::Usage(
                "--json - says by itself whom a message is for".to_owned(),
            )),
            (None, Some(_)) if !self.message.is_empty() => Err(Failure::Usage(
                "--json - takes the message from stdin, not from flags".to_owned(),
            )),
            (None, Some(_)) => Ok(None),
            (None, None) => Err(Failure::Usage(
                "one of --to, --condition or --json is needed".to_owned(),
            )),
            (Some(target), None) => {
                let message = self.message.message(target)?;
                Ok(Some(match &self.id {
                    Some(id) => message.id(id),
                    None => message,
                }))
            }
        }
    }
}
