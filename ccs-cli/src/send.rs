//! `ccs send`: one message, or many from stdin.

use std::collections::BTreeMap;
use std::time::Duration;

use ccs_tokio::proto::Text;
use ccs_tokio::proto::Tolerance;
use ccs_tokio::proto::message::{FromAppServer, Refusal};
use ccs_tokio::{Downstream, Notification};
use clap::Args;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::exit::Failure;
use crate::login::LoginArgs;
use crate::message_args::{MessageArgs, TargetArgs};
use crate::ndjson::Line;
use crate::sending::Sending;

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
7 refused, 8 no CCS endpoint.")]
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
    login: LoginArgs,
}

pub async fn run(args: SendArgs) -> Result<(), Failure> {
    let one = args.one()?;
    let timeout = Duration::from_secs(args.timeout);
    let mut sending = Sending::new(args.login.start()?, timeout);
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
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut number = 0_u64;
    while !sending.is_over() {
        tokio::select! {
            // What can be read is told of, even when the connection is over.
            biased;
            line = lines.next_line(), if sending.has_room() => {
                let Some(line) = line? else { return Ok(()) };
                number += 1;
                if line.trim().is_empty() {
                    continue;
                }
                match parse(&line) {
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

/// What a line of stdin may say (`docs/protocol.md` §3.2). An endpoint passes over other fields; here they are mistakes.
const FIELDS: [&str; 13] = [
    "to",
    "condition",
    "message_id",
    "collapse_key",
    "priority",
    "content_available",
    "mutable_content",
    "delay_while_idle",
    "time_to_live",
    "delivery_receipt_requested",
    "dry_run",
    "data",
    "notification",
];

/// A line of stdin, by the same rules as the endpoint reads it, but for the id, which may be missing.
fn parse(line: &str) -> Result<Downstream, String> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(line).map_err(|error| format!("no JSON object: {error}"))?;
    if let Some(unknown) = members.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(format!("a message has no field {unknown:?}"));
    }
    if let Some(shown) = members.get("notification") {
        Notification::from_json(shown.get()).map_err(|error| error.to_string())?;
    }
    let named = members.contains_key("message_id");
    let body = match line.trim_start().strip_prefix('{') {
        // An id for the reading, which is taken away below. The rest of the line stays as it is.
        Some(rest) if !named => {
            let comma = if members.is_empty() { "" } else { "," };
            Text::from(format!("{{\"message_id\":\"-\"{comma}{rest}"))
        }
        _ => Text::from(line),
    };
    match FromAppServer::parse(&body, Tolerance::Habits) {
        Ok(FromAppServer::Downstream {
            message_id,
            message,
        }) => Ok(if named {
            message.id(message_id)
        } else {
            message.without_id()
        }),
        Ok(_) => Err("no message to a device".to_owned()),
        Err(refusal) => Err(match *refusal {
            Refusal::StanzaError { text } => text.trim().to_owned(),
            Refusal::Nack { description, .. } => description,
            other => format!("{other:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use ccs_tokio::MessageId;

    use super::*;

    #[test]
    fn a_line_is_a_message_with_or_without_an_id() {
        let message = parse(r#"{"to":"T","data":{"b":"1","a":"2"}}"#).unwrap();
        assert_eq!(message.message_id(), None);
        assert_eq!(message.payload().unwrap().as_json(), r#"{"b":"1","a":"2"}"#);
        let message = parse(r#" {"to":"T","message_id":"m"}"#).unwrap();
        assert_eq!(message.message_id(), Some(&MessageId::from("m")));
    }

    #[test]
    fn what_is_no_message_is_told() {
        let told = |line| parse(line).unwrap_err();
        assert!(told("nonsense").starts_with("no JSON object"));
        assert!(told("[]").starts_with("no JSON object"));
        assert!(told("{}").contains("MissingRegistration"));
        assert_eq!(
            told(r#"{"to":"T","ttl":3}"#),
            r#"a message has no field "ttl""#
        );
        assert_eq!(
            told(r#"{"to":"T","notification":{"titel":"x"}}"#),
            r#"a notification has no key "titel""#
        );
        assert!(told(r#"{"to":"T","message_type":"ack"}"#).contains("message_type"));
    }
}
