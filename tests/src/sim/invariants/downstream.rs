//! Messages to devices: accepted, in flight, answered, settled.

use std::time::Duration;

use ccs_proto::session::{DeadReason, SessionEvent, Settlement};
use ccs_proto::{ConnectionError, ConnectionId, StreamCondition, Time};

use super::{Books, Rule, is_for_good};
use crate::sim::plan::Killer;
use crate::sim::seen::Sight;
use crate::sim::wiretap::Answer;

/// The longest time to live (`docs/protocol.md` §3.2).
pub(super) const FOUR_WEEKS: Duration = Duration::from_secs(28 * 24 * 3_600);

/// How a message ended, as the session tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Outcome {
    Acked,
    Refused,
    Expired,
    Dead,
    /// The application took it back.
    Cancelled,
}

/// Everything about one message.
#[derive(Debug)]
pub(in crate::sim) struct Message {
    pub(in crate::sim) killer: Option<Killer>,
    born: Time,
    life: Duration,
    /// The store has it.
    pub(in crate::sim) stored: bool,
    pub(in crate::sim) accepted: bool,
    pub(in crate::sim) outcome: Option<Outcome>,
    /// How often the endpoint took it over.
    pub(in crate::sim) taken: u32,
    /// Its app server was told that it is taken over.
    pub(in crate::sim) promised: bool,
    /// How often it was in flight, and nobody can know what became of it.
    pub(in crate::sim) doubts: u32,
    pub(super) out_on: Option<ConnectionId>,
    /// It was told what became of it: this one is over.
    answered: Option<Answer>,
    /// Refusals for a while that count as attempts.
    attempts: u32,
    sends: u32,
    /// Streams that were ended with it in flight, and connections that were lost.
    deaths: u32,
    losses: u32,
    unknown: bool,
    /// The store has it as a dead letter.
    buried: bool,
}

impl Message {
    pub(super) fn crash(&mut self) {
        if self.buried && self.outcome.is_none() {
            self.outcome = Some(Outcome::Dead);
        }
        self.unknown |= self.sends > 0;
        self.doubts += u32::from(self.sends > 0);
        self.out_on = None;
        self.answered = None;
        self.attempts = 0;
        self.sends = 0;
        self.deaths = 0;
        self.losses = 0;
    }

    /// Whether it may go out alone only: a stream or some connections ended with it in flight.
    pub(in crate::sim) fn is_suspect(&self) -> bool {
        self.deaths > 0 || self.losses >= 3
    }

    fn expires(&self) -> Time {
        self.born + self.life
    }
}

impl Books {
    /// A message was given to the session under this id.
    pub(in crate::sim) fn submitted(
        &mut self,
        id: &str,
        life: Option<Duration>,
        killer: Option<Killer>,
    ) {
        let message = Message {
            killer,
            born: self.now(),
            // The wire counts whole seconds, so now or never is within the first one.
            life: life.unwrap_or(FOUR_WEEKS).max(Duration::from_secs(1)),
            stored: false,
            accepted: false,
            outcome: None,
            taken: 0,
            promised: false,
            doubts: 0,
            out_on: None,
            answered: None,
            attempts: 0,
            sends: 0,
            deaths: 0,
            losses: 0,
            unknown: false,
            buried: false,
        };
        let before = self.messages.insert(id.to_owned(), message);
        self.check(before.is_none(), Rule::SameId, || {
            format!("{id} is the id of two messages")
        });
    }

    pub(super) fn sent(&mut self, connection: ConnectionId, id: String) {
        let window = self.settings.window;
        let now = self.now();
        let Some(message) = self.messages.get_mut(&id) else {
            return self.broken(Rule::SameId, || format!("{id} is the id of no message"));
        };
        message.sends += 1;
        let again = message.unknown;
        let broken = if message.out_on.is_some() {
            Some((Rule::NoNeedlessCopy, "is in flight already"))
        } else if !message.accepted {
            Some((Rule::AcceptedIsStored, "is not accepted"))
        } else if message.answered.is_some() || message.outcome.is_some() {
            Some((Rule::NothingAfterTheEnd, "has its answer already"))
        } else if message.expires() <= now {
            Some((Rule::NothingAfterTheEnd, "has expired"))
        } else {
            None
        };
        message.out_on = Some(connection);
        if let Some((rule, what)) = broken {
            self.broken(rule, || format!("{id} is sent and {what}"));
        }
        if again {
            self.see(Sight::SentAgain);
        }
        let Some(seat) = self.seats.get_mut(&connection) else {
            return;
        };
        seat.in_flight.insert(id.clone());
        let (count, bound, draining) = (seat.in_flight.len(), seat.bound, seat.draining);
        self.check(bound, Rule::LoginFirst, || {
            format!("{id} is sent before the stream is bound")
        });
        self.check(!draining, Rule::Draining, || {
            format!("{id} is sent on a draining connection")
        });
        self.check(count <= window, Rule::Window, || {
            format!("{count} messages in flight, of {window}")
        });
        if count == window {
            self.see(Sight::WindowFull);
        }
        if count == 100 {
            self.see(Sight::WindowOf100);
        }
    }

    pub(super) fn answered(&mut self, id: &str, answer: Answer) {
        let most = self.settings.attempts;
        let Some(message) = self.messages.get_mut(id) else {
            return;
        };
        message.out_on = None;
        // Whatever the answer is, the stream lives.
        message.deaths = 0;
        message.losses = 0;
        message.promised |= answer == Answer::Ack;
        if is_for_good(&answer) {
            message.answered = Some(answer);
        } else if !answer.is_draining() {
            message.attempts += 1;
            let attempts = message.attempts;
            self.check(attempts <= most, Rule::FiniteTries, || {
                format!("{id} is refused for the {attempts}th time, of {most}")
            });
        }
    }

    /// The endpoint acks it: it has taken it over.
    pub(in crate::sim) fn taken(&mut self, id: &str) {
        if let Some(message) = self.messages.get_mut(id) {
            message.taken += 1;
        }
    }

    /// An answer came to something that is not in flight there.
    pub(super) fn stray(&mut self, id: String, answer: &Answer) {
        let message = self.messages.get(&id);
        let acked = message.is_some_and(|message| message.answered == Some(Answer::Ack));
        match answer {
            Answer::Ack if acked => self.see(Sight::AckedTwice),
            Answer::Nack { .. } if acked => self.see(Sight::NackedAfterAck),
            Answer::Nack { .. } if message.is_none() => self.see(Sight::NackedNeverSent),
            _ => {}
        }
        *self.strays.entry(id).or_default() += 1;
    }

    /// The session says that an answer settles nothing.
    pub(super) fn ignored(&mut self, id: &str) {
        let strays = self.strays.get_mut(id).filter(|count| **count > 0);
        let told = strays.map(|count| *count -= 1).is_some();
        self.check(told, Rule::Answers, || {
            format!("an answer to {id} is said to be of no use, and none was")
        });
    }

    /// It was in flight on a connection that is over.
    pub(super) fn lost(&mut self, id: &str, end: &Result<(), ConnectionError>) {
        if let Some(message) = self.messages.get_mut(id) {
            message.unknown = true;
            message.doubts += 1;
            match end {
                Err(ConnectionError::StreamError { condition, .. })
                    if *condition != StreamCondition::SystemShutdown =>
                {
                    message.deaths += 1;
                }
                _ => message.losses += 1,
            }
        }
    }

    /// The store has it, or does not have it any more.
    pub(in crate::sim) fn message_kept(&mut self, id: &str, kept: bool) {
        if let Some(message) = self.messages.get_mut(id) {
            message.stored = kept;
        }
    }

    /// The store has it as a dead letter, and as nothing else.
    pub(in crate::sim) fn message_buried(&mut self, id: &str) {
        if let Some(message) = self.messages.get_mut(id) {
            message.stored = false;
            message.buried = true;
        }
    }

    /// What the store has was given to a new session.
    pub(in crate::sim) fn message_restored(&mut self, id: &str) {
        let Some(message) = self.messages.get_mut(id) else {
            return;
        };
        message.accepted = true;
        message.unknown = true;
        let over = message.outcome.take().is_some();
        self.see(Sight::Restored);
        if over {
            self.see(Sight::ForgetLost);
        }
    }

    /// The application took it back.
    pub(in crate::sim) fn cancelled(&mut self, id: &str) {
        if let Some(message) = self.messages.get_mut(id) {
            message.outcome = Some(Outcome::Cancelled);
            self.see(Sight::Cancelled);
        }
    }

    pub(super) fn message_event(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::Accepted { id } => {
                let id = id.as_str();
                let Some(message) = self.messages.get_mut(id) else {
                    return self.broken(Rule::SameId, || format!("{id} is nobody's"));
                };
                message.accepted = true;
                let stored = message.stored;
                self.check(stored, Rule::AcceptedIsStored, || {
                    format!("{id} is accepted and not stored")
                });
            }
            SessionEvent::NotStored { message } => {
                self.see(Sight::NotStored);
                let id = message.id().as_str();
                let accepted = self.messages.remove(id).is_some_and(|m| m.accepted);
                self.check(!accepted, Rule::NoLoss, || {
                    format!("{id} was accepted, and then given back")
                });
            }
            SessionEvent::Settled { id, outcome } => self.settled(id.as_str(), outcome),
            _ => {}
        }
    }

    fn settled(&mut self, id: &str, outcome: &Settlement) {
        let now = self.now();
        let settings = &self.settings;
        let Some(message) = self.messages.get_mut(id) else {
            return self.broken(Rule::SameId, || format!("{id} is settled and nobody's"));
        };
        if message.outcome.is_some() || !message.accepted {
            return self.broken(Rule::OneOutcome, || {
                format!("{id} has no outcome to come: {outcome:?}")
            });
        }
        let duplicate = matches!(
            message.answered,
            Some(Answer::Nack {
                duplicate: true,
                ..
            })
        );
        let old = settings
            .give_up_after
            .is_some_and(|after| message.born + after <= now);
        let (is, sight, holds) = match outcome {
            Settlement::Acked { .. } => (
                Outcome::Acked,
                if duplicate {
                    Sight::KnownAlready
                } else {
                    Sight::Acked
                },
                message.taken > 0 && (duplicate || message.answered == Some(Answer::Ack)),
            ),
            Settlement::Refused(_) => (
                Outcome::Refused,
                Sight::Refused,
                !duplicate && matches!(message.answered, Some(Answer::Nack { .. })),
            ),
            Settlement::Expired => (Outcome::Expired, Sight::Expired, message.expires() <= now),
            Settlement::Dead(reason) => {
                let (sight, holds) = match reason {
                    DeadReason::Attempts { .. } => {
                        let worn_out = message.attempts >= settings.attempts;
                        (Sight::DeadOfAttempts, worn_out)
                    }
                    DeadReason::TooLate { .. } => (Sight::DeadOfAge, old),
                    DeadReason::EndsStreams { .. } => (Sight::DeadOfStreams, message.deaths >= 3),
                    DeadReason::LosesConnections { .. } => {
                        let losses = message.losses + message.deaths;
                        (Sight::DeadOfLosses, losses >= 3 + settings.attempts)
                    }
                    _ => (Sight::DeadOfAttempts, false),
                };
                (Outcome::Dead, sight, holds)
            }
            _ => (Outcome::Dead, Sight::Refused, false),
        };
        message.outcome = Some(is);
        message.promised |= is == Outcome::Acked;
        if !holds {
            let message = format!("{message:?}");
            self.broken(Rule::TrueOutcome, || {
                format!("{id} is said to be {outcome:?}, and is {message}")
            });
        }
        self.see(sight);
    }
}
