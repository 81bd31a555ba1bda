//! What became of the messages that were sent, line by line and in all.

use ccs_tokio::proto::message::{Ack, Retry};
use ccs_tokio::{Client, SendError};

use crate::exit::Failure;
use crate::ndjson::Line;

/// Counts of outcomes; decides how the command ends.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub accepted: u64,
    pub refused: u64,
    pub unknown: u64,
    pub unsent: u64,
}

impl Tally {
    /// Prints the outcome of one message and counts it. `id` is the message's, as far as it is known.
    pub fn report(&mut self, id: Option<&str>, to: &str, result: Result<Ack, SendError>) {
        let line = |event| Line::new(event).maybe("message_id", id).with("to", to);
        match result {
            Ok(ack) => {
                self.accepted += 1;
                let canonical = ack.canonical.as_ref().map(ToString::to_string);
                Line::new("ack")
                    .with("message_id", ack.message_id.as_str())
                    .with("to", to)
                    .maybe("canonical", canonical)
                    .print();
            }
            Err(SendError::Refused(nack)) => {
                self.refused += 1;
                Line::new("nack")
                    .with("message_id", nack.message_id.as_str())
                    .with("to", to)
                    .with("error", nack.code.as_str())
                    .with("description", nack.description.as_deref().unwrap_or_default())
                    .with("retry", retry(nack.code.retry()))
                    .print();
            }
            Err(SendError::Unknown { message_id, .. }) => {
                self.unknown += 1;
                Line::new("unknown")
                    .with("message_id", message_id.as_str())
                    .with("to", to)
                    .print();
            }
            Err(error @ SendError::NotSent { .. }) => {
                self.unsent += 1;
                line("unsent").with("error", error.to_string()).print();
            }
            Err(error) => {
                self.refused += 1;
                line("error").with("error", error.to_string()).print();
            }
        }
    }

    /// How the command ends, the worst first.
    pub fn end(&self) -> Result<(), Failure> {
        if self.unknown + self.unsent > 0 {
            return Err(Failure::Lost(format!(
                "the connection ended: {} messages have an unknown outcome, {} were not sent\n\
                 hint: send the unknown ones again with the same --id",
                self.unknown, self.unsent
            )));
        }
        if self.refused > 0 {
            return Err(Failure::Refused(format!("{} messages were refused", self.refused)));
        }
        Ok(())
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

/// Ends the connection in order; what is worth saying about it was said for each message.
pub async fn close(client: &Client) {
    let _ = client.close().await;
}
