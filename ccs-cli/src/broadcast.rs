//! `ccs broadcast`: one message to many devices.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ccs_tokio::RegistrationToken;
use ccs_tokio::proto::message::Target;
use clap::Args;

use crate::exit::Failure;
use crate::message_args::MessageArgs;
use crate::ndjson::Line;
use crate::sending::Sending;
use crate::service_args::{ServiceArgs, Waiting};
use crate::terminal::Progress;

/// Send a message to every device of a file
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccs broadcast --to-file tokens.txt --data news='it works'
  ccs broadcast --to-file - --data-json '{\"id\":\"7\"}' < tokens.txt

The window is full at all times. Each message's answer is a line, and the last line is a summary.
Exit codes as for `ccs send`.")]
pub struct BroadcastArgs {
    /// File with a token on each line, or - for stdin
    #[arg(long, value_name = "FILE")]
    to_file: PathBuf,
    /// Seconds that a message may take in all; then everything is given up. More than --retry-for
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

pub async fn run(args: BroadcastArgs) -> Result<(), Failure> {
    let tokens = args.tokens()?;
    // Each copy gets its own target.
    let message = args.message.message(Target::Token("".into()))?;
    let timeout = Duration::from_secs(args.timeout);
    let mut sending = Sending::new(args.service.start(Waiting::RetryFor)?, timeout)?;
    let total = tokens.len();
    let mut progress = Progress::new();
    // Not each for itself: that would take longer than to send it.
    let step = if progress.is_in_place() { 100 } else { 10_000 };
    for (done, token) in (1..).zip(tokens) {
        let copy = message.clone().retarget(Target::Token(token));
        sending.send(copy).await;
        if done % step == 0 || done == total {
            progress.show(&format!("{done} of {total}"));
        }
    }
    let (tally, failure) = sending.finish().await;
    progress.end();
    Line::new("summary")
        .with("messages", total)
        .with("accepted", tally.accepted)
        .with("refused", tally.refused)
        .with("expired", tally.expired)
        .with("unknown", tally.unknown)
        .with("unsent", tally.unsent + tally.wrong)
        .print();
    tally.end(failure)
}

impl BroadcastArgs {
    fn tokens(&self) -> Result<Vec<RegistrationToken>, Failure> {
        let text = if self.to_file.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin())
        } else {
            fs::read_to_string(&self.to_file)
        };
        let text =
            text.map_err(|error| Failure::Usage(format!("{}: {error}", self.to_file.display())))?;
        let tokens: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(RegistrationToken::from)
            .collect();
        if tokens.is_empty() {
            return Err(Failure::Usage(format!(
                "{}: no token in it; one on each line is expected",
                self.to_file.display()
            )));
        }
        Ok(tokens)
    }
}
