//! What became of the messages that were sent, line by line and in all.

use std::fmt::Display;

use ccs_tokio::proto::message::{Ack, Retry};
use ccs_tokio::{ConnectionError, SendError};

use crate::exit::Failure;
use crate::ndjson::Line;

/// Counts of outcomes; decides how the command ends.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub accepted: u64,
    pub refused: u64,
    pub unknown: u64,
    pub unsent: u64,
    /// Messages that are wrong in themselves, so that they were not sent.
    pub wrong: u64,
}

impl Tally {
    /// Prints the outcome of one message and counts it. `id` is the message's, as far as it is known.
    pub fn report(&mut self, id: Option<&str>, to: &str, result: Result<Ack, SendError>) {
        match result {
            Ok(ack) => {
                self.accepted += 1;
                let canonical = ack.canonical.as_ref().map(ToString::to_string);
                answer("ack", Some(ack.message_id.as_str()), to)
                    .maybe("canonical", canonical)
                    .print();
            }
            Err(SendError::Refused(nack)) => {
                self.refused += 1;
                answer("nack", Some(nack.message_id.as_str()), to)
                    .with("error", nack.code.as_str())
                    .with(
                        "description",
                        nack.description.as_deref().unwrap_or_default(),
                    )
                    .with("retry", retry(nack.code.retry()))
                    .print();
            }
            Err(SendError::Rejected(error)) => {
                self.refused += 1;
                answer("nack", id, to)
                    .with("error", error.condition.as_str())
                    .with("description", error.text.as_deref().unwrap_or_default())
                    .with("retry", retry(Retry::Never))
                    .print();
            }
            Err(SendError::Unknown { message_id, .. }) => {
                self.unknown += 1;
                answer("unknown", Some(message_id.as_str()), to).print();
            }
            Err(SendError::NotSent { why, .. }) => self.unsent(id, to, why),
            Err(error) => {
                self.wrong += 1;
                answer("error", id, to)
                    .with("error", error.to_string())
                    .print();
            }
        }
    }

    /// A message that was not sent, for sure.
    pub fn unsent(&mut self, id: Option<&str>, to: &str, why: impl Display) {
        self.unsent += 1;
        answer("unsent", id, to)
            .with("error", why.to_string())
            .print();
    }

    /// How the command ends, the worst first; `end` is how the connection did.
    pub fn end(&self, end: Result<(), ConnectionError>) -> Result<(), Failure> {
        if self.unknown + self.unsent > 0 {
            return Err(lost(end).and(&format!(
                "{}: outcome unknown, send again with the same id; {}: not sent",
                messages(self.unknown),
                self.unsent
            )));
        }
        if self.refused > 0 {
            let refused = messages(self.refused);
            return Err(Failure::Refused(format!(
                "{refused} refused; `retry` in the output says what to do"
            )));
        }
        if self.wrong > 0 {
            let wrong = messages(self.wrong);
            return Err(Failure::Usage(format!(
                "{wrong} not sent, since something is wrong with them"
            )));
        }
        Ok(())
    }
}

/// The failure of a connection that ended too early.
pub fn lost(end: Result<(), ConnectionError>) -> Failure {
    match end {
        Ok(()) => Failure::Lost("the endpoint closed the connection".to_owned()),
        Err(error) => error.into(),
    }
}

fn answer(event: &str, id: Option<&str>, to: &str) -> Line {
    Line::new(event).maybe("message_id", id).with("to", to)
}

fn messages(count: u64) -> String {
    match count {
        1 => "1 message".to_owned(),
        many => format!("{many} messages"),
    }
}

/// Advice for a script.
fn retry(retry: Retry) -> &'static str {
    match retry {
        Retry::SameConnection { .. } => "same_connection",
        Retry::NewConnection { .. } => "new_connection",
        Retry::SlowDown { .. } => "slow_down",
        _ => "never",
    }
}
