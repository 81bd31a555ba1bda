//! `ccs send`: one message, or many from stdin.

use std::time::Duration;

use ccs_tokio::proto::Text;
use ccs_tokio::proto::message::{FromAppServer, Refusal};
use ccs_tokio::{Client, Downstream, MessageId};
use clap::Args;
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::exit::Failure;
use crate::login::LoginArgs;
use crate::message_args::{MessageArgs, TargetArgs};
use crate::ndjson::Line;
use crate::outcome::{Tally, close};

/// Sends a message and prints its answer
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccs send --to phone-1 --data hello=world
  ccs send --to /topics/news --data-json '{\"id\":\"7\"}' --ttl 600 --priority high
  ccs send --condition \"'news' in topics && !('muted' in topics)\" --notification title=Hello body=World
  printf '%s\\n' '{\"to\":\"phone-1\",\"data\":{\"n\":\"1\"}}' '{\"to\":\"bad-2\"}' | ccs send --json -

Exit codes: 0 accepted, 2 wrong usage, 3 login refused, 4 TLS, 5 unreachable or lost, 6 timed out,
7 refused, 8 no CCS endpoint. Messages from devices that arrive meanwhile are not acked: they stay
for `ccs listen`.")]
pub struct SendArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Read messages from stdin, one JSON object a line with the fields of the protocol; message_id may be left out
    #[arg(long, value_name = "-", value_parser = ["-"])]
    json: Option<String>,
    /// The message's id; a random one by default
    #[arg(long, conflicts_with = "json")]
    id: Option<String>,
    /// Seconds for everything to be answered
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    login: LoginArgs,
}

pub async fn run(args: SendArgs) -> Result<(), Failure> {
    let one = args.one()?;
    let (client, incoming) = args.login.connect().await?;
    // Nobody takes what devices send, so it is not acked and stays for another connection.
    drop(incoming);
    let mut sending = Sending::new(client);
    let work = async {
        match one {
            Some(message) => {
                sending.send(message).await;
                Ok(())
            }
            None => sending.send_stdin().await,
        }?;
        sending.settle().await;
        Ok::<_, Failure>(())
    };
    let in_time = timeout(Duration::from_secs(args.timeout), work).await;
    match in_time {
        Ok(done) => done?,
        Err(_) => {
            return Err(Failure::TimedOut(format!(
                "not everything was answered within {} s; raise --timeout, or see --trace",
                args.timeout
            )));
        }
    }
    close(&sending.client).await;
    sending.tally.end()
}

impl SendArgs {
    /// The message of the flags; none when messages come from stdin.
    fn one(&self) -> Result<Option<Downstream>, Failure> {
        match (self.target.target()?, &self.json) {
            (Some(_), Some(_)) => Err(Failure::Usage("--json - says by itself whom a message is for".to_owned())),
            (None, Some(_)) if !self.message.is_empty() => {
                Err(Failure::Usage("--json - takes the message from stdin, not from flags".to_owned()))
            }
            (None, Some(_)) => Ok(None),
            (None, None) => Err(Failure::Usage("one of --to, --condition or --json is needed".to_owned())),
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

type Outcome = (String, String, Result<ccs_tokio::proto::message::Ack, ccs_tokio::SendError>);

/// Messages on their way. Each has its answer printed as it comes.
struct Sending {
    client: Client,
    waiting: JoinSet<Outcome>,
    tally: Tally,
}

impl Sending {
    fn new(client: Client) -> Self {
        Self {
            client,
            waiting: JoinSet::new(),
            tally: Tally::default(),
        }
    }

    /// Sends one message, as soon as the window has a place for it.
    async fn send(&mut self, message: Downstream) {
        let to = message.target().to_string();
        let id = message.message_id().map(ToString::to_string);
        let accepted = match self.client.reserve().await {
            Ok(permit) => permit.send(message),
            Err(why) => Err(ccs_tokio::SendError::not_sent(message, why)),
        };
        match accepted {
            Ok(answer) => {
                self.waiting.spawn(async move {
                    let id = answer.message_id().to_string();
                    (id, to, answer.await)
                });
            }
            Err(error) => self.tally.report(id.as_deref(), &to, Err(error)),
        }
        while let Some(outcome) = self.waiting.try_join_next() {
            self.report(outcome);
        }
    }

    /// Sends a message for each line. A line that is no message is told and passed over.
    async fn send_stdin(&mut self) -> Result<(), Failure> {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut number = 0_u64;
        loop {
            tokio::select! {
                line = lines.next_line() => {
                    let Some(line) = line? else { return Ok(()) };
                    number += 1;
                    if line.trim().is_empty() {
                        continue;
                    }
                    match parse(&line, number) {
                        Ok(message) => self.send(message).await,
                        Err(error) => {
                            self.tally.refused += 1;
                            Line::new("error").with("line", number).with("error", error).print();
                        }
                    }
                }
                Some(outcome) = self.waiting.join_next() => self.report(outcome),
            }
        }
    }

    async fn settle(&mut self) {
        while let Some(outcome) = self.waiting.join_next().await {
            self.report(outcome);
        }
    }

    fn report(&mut self, outcome: Result<Outcome, tokio::task::JoinError>) {
        if let Ok((id, to, result)) = outcome {
            self.tally.report(Some(&id), &to, result);
        }
    }
}

/// A line of stdin, by the same rules as the endpoint reads it; without an id it gets one from its line.
fn parse(line: &str, number: u64) -> Result<Downstream, String> {
    let mut members: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("no JSON object: {error}"))?;
    let named = members.contains_key("message_id");
    if !named {
        members.insert("message_id".to_owned(), number.to_string().into());
    }
    let body = Text::from(Value::Object(members).to_string());
    match FromAppServer::parse(&body, false) {
        Ok(FromAppServer::Downstream { message_id, message }) => Ok(if named {
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
    use super::*;

    #[test]
    fn a_line_is_a_message_with_or_without_an_id() {
        let message = parse(r#"{"to":"T","data":{"b":"1","a":"2"}}"#, 3).unwrap();
        assert_eq!(message.message_id(), None);
        assert_eq!(message.payload().unwrap().as_json(), r#"{"b":"1","a":"2"}"#);
        let message = parse(r#"{"to":"T","message_id":"m"}"#, 3).unwrap();
        assert_eq!(message.message_id(), Some(&MessageId::from("m")));
    }

    #[test]
    fn what_is_no_message_is_told() {
        assert!(parse("nonsense", 1).unwrap_err().starts_with("no JSON object"));
        assert!(parse("{}", 1).unwrap_err().contains("MissingRegistration"));
        let ack = r#"{"message_type":"ack","to":"T","message_id":"m"}"#;
        assert_eq!(parse(ack, 1).unwrap_err(), "no message to a device");
    }
}
