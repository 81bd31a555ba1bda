//! What became of the messages that were sent, line by line and in all.

use ccs_tokio::ServiceError;
use ccs_tokio::proto::message::{MessageId, Nack, Retry};
use ccs_tokio::proto::session::{DeadReason, Refused, Settlement};
use ccs_tokio::{ConnectionError, Sent};

use crate::exit::Failure;
use crate::ndjson::Line;

/// Counts of outcomes; decides how the command ends.
#[derive(Debug, Default)]
pub struct Tally {
    pub accepted: u64,
    pub refused: u64,
    pub expired: u64,
    pub unknown: u64,
    pub unsent: u64,
    /// Messages that are wrong in themselves, so that they were not sent.
    pub wrong: u64,
    /// What the endpoint said to a message that it could not bear.
    broken: Option<ConnectionError>,
}

impl Tally {
    /// The line of what became of one message, which is counted. `id` is the message's, if it had one of its own;
    /// `connected`: there was a connection, so that a message whose outcome never came may have arrived.
    pub fn report(
        &mut self,
        id: Option<&MessageId>,
        to: &str,
        result: Result<Sent, ServiceError>,
        connected: bool,
    ) -> Line {
        let (id, outcome) = match result {
            Ok(sent) => {
                let canonical = sent.canonical;
                (sent.message_id, Settlement::Acked { canonical })
            }
            Err(ServiceError::Refused {
                message_id,
                refused,
            }) => (message_id, Settlement::Refused(refused)),
            Err(ServiceError::Expired(message_id)) => (message_id, Settlement::Expired),
            Err(ServiceError::Dead { message_id, reason }) => {
                (message_id, Settlement::Dead(reason))
            }
            Err(ServiceError::Left {
                message_id,
                unknown,
            }) => return self.gone(unknown, Some(&message_id), to),
            Err(error) => return self.not_taken(id, to, error),
        };
        self.settled(&id, to, outcome, connected)
    }

    /// The same for a message that was taken over.
    pub fn settled(
        &mut self,
        id: &MessageId,
        to: &str,
        outcome: Settlement,
        connected: bool,
    ) -> Line {
        match outcome {
            Settlement::Acked { canonical } => {
                self.accepted += 1;
                let canonical = canonical.as_ref().map(ToString::to_string);
                answer("ack", Some(id), to).maybe("canonical", canonical)
            }
            Settlement::Refused(Refused::Stanza(error)) => {
                self.refused += 1;
                answer("nack", Some(id), to)
                    .with("error", error.condition.as_str())
                    .with("description", error.text.as_deref().unwrap_or_default())
                    .with("retry", retry(Retry::Never))
            }
            Settlement::Refused(Refused::Nack(nack)) => self.nacked(&nack, to),
            Settlement::Expired => {
                self.expired += 1;
                answer("expired", Some(id), to)
            }
            Settlement::Dead(reason) => self.dead(id, to, reason, connected),
            _ => self.gone(true, Some(id), to),
        }
    }

    /// A message that was not taken over.
    pub fn not_taken(&mut self, id: Option<&MessageId>, to: &str, error: ServiceError) -> Line {
        match error {
            ServiceError::ShuttingDown(message) | ServiceError::NotStored(message) => {
                self.unsent(message.message_id(), to)
            }
            error => {
                self.wrong += 1;
                answer("error", id, to).with("error", error.to_string())
            }
        }
    }

    fn nacked(&mut self, nack: &Nack, to: &str) -> Line {
        self.refused += 1;
        answer("nack", Some(&nack.message_id), to)
            .with("error", nack.code.as_str())
            .with(
                "description",
                nack.description.as_deref().unwrap_or_default(),
            )
            .with("retry", retry(nack.code.retry()))
    }

    fn dead(&mut self, id: &MessageId, to: &str, reason: DeadReason, connected: bool) -> Line {
        match reason {
            // Still refused when its time was up: the last refusal is its answer.
            DeadReason::Attempts { last, .. } | DeadReason::TooLate { last: Some(last) } => {
                self.nacked(&last, to)
            }
            DeadReason::TooLate { last: None } => self.gone(connected, Some(id), to),
            DeadReason::EndsStreams { last, .. } => {
                self.refused += 1;
                let reason = last.to_string();
                self.broken.get_or_insert(last);
                answer("dead", Some(id), to).with("reason", reason)
            }
            _ => self.gone(true, Some(id), to),
        }
    }

    /// A message that was not sent, for sure.
    pub fn unsent(&mut self, id: Option<&MessageId>, to: &str) -> Line {
        self.unsent += 1;
        answer("unsent", id, to)
    }

    /// A message of which no outcome came.
    pub fn gone(&mut self, may_have_arrived: bool, id: Option<&MessageId>, to: &str) -> Line {
        if may_have_arrived {
            self.unknown += 1;
            answer("unknown", id, to)
        } else {
            self.unsent(id, to)
        }
    }

    /// Whether there are messages of which nothing was heard.
    pub fn lacks_outcomes(&self) -> bool {
        self.unknown + self.unsent > 0
    }

    /// How the command ends, the worst first; `failure` is why it could not go on, or why messages have no outcome.
    pub fn end(self, failure: Option<Failure>) -> Result<(), Failure> {
        if let Some(failure) = failure {
            return Err(match (self.unknown, self.unsent) {
                (0, 0) => failure,
                (unknown, unsent) => failure.and(&without_outcome(unknown, unsent)),
            });
        }
        if let Some(broken) = self.broken {
            return Err(broken.into());
        }
        if self.refused + self.expired > 0 {
            let refused = messages(self.refused + self.expired);
            return Err(Failure::Refused(format!(
                "{refused} refused or expired; `retry` in the output says what to do"
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

/// Says how many messages have no outcome.
pub fn without_outcome(unknown: u64, unsent: u64) -> String {
    let unknown = messages(unknown);
    format!("{unknown}: outcome unknown, send again with the same id; {unsent}: not sent")
}

/// A line about a message to a device.
pub fn answer(event: &str, id: Option<&MessageId>, to: &str) -> Line {
    Line::new(event)
        .maybe("message_id", id.map(MessageId::as_str))
        .with("to", to)
}

pub fn messages(count: u64) -> String {
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
