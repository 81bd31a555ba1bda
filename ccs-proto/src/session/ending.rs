//! The end of a session: nothing new is taken, what is under way is finished, until a deadline.

use super::DeadLetter;
use super::Session;
use super::command::Command;
use super::event::SessionEvent;
use crate::message::EncodedDownstream;
use crate::time::Time;

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    Closing { deadline: Time },
    Ended,
}

impl Stage {
    pub(super) fn deadline(self) -> Option<Time> {
        match self {
            Self::Closing { deadline } => Some(deadline),
            Self::Open | Self::Ended => None,
        }
    }
}

/// A message to a device that was accepted and not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The message.
    pub message: EncodedDownstream,
    /// It was in flight on a connection that ended: the endpoint may have it. Send it with the same id.
    pub unknown: bool,
}

/// What a session leaves behind.
#[derive(Debug)]
#[non_exhaustive]
pub struct SessionFinished {
    /// Events that were not polled. What they say is settled is for a store to forget, as by
    /// [`Command::Forget`](super::Command::Forget).
    pub events: Vec<SessionEvent>,
    /// Messages to devices that are not settled, in order of their submission.
    pub messages: Vec<Left>,
    /// Dead letters that are kept, the oldest first.
    pub dead_letters: Vec<DeadLetter>,
    /// Deliveries that are not done with; they come again.
    pub undone: usize,
}

impl Session {
    /// Ends the session in order: nothing new is taken and no delivery given any more. What is queued is still sent,
    /// what is being handled still acked, and then the connections are closed; what is not done at `deadline` is left.
    pub fn shutdown(&mut self, now: Time, deadline: Time) {
        self.tick(now);
        match self.stage {
            Stage::Ended => {}
            Stage::Open => self.stage = Stage::Closing { deadline },
            Stage::Closing { deadline: before } => {
                let deadline = before.min(deadline);
                self.stage = Stage::Closing { deadline };
            }
        }
        self.turn();
    }

    /// Whether the session is over: nothing is left to do, and nothing is done any more.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Whether the session is being shut down, or is over: it takes nothing new and gives no delivery.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.stage != Stage::Open
    }

    pub(super) fn advance_end(&mut self) {
        let Stage::Closing { deadline } = self.stage else {
            return;
        };
        let done =
            self.queue.is_empty() && self.deliveries.in_hand() == 0 && self.stores.is_empty();
        if done || deadline <= self.now {
            self.cancel_any_dial();
        }
        if done {
            let now = self.now;
            for slot in self.pool.slots_mut().filter(|slot| !slot.retired) {
                slot.retired = true;
                slot.connection.close(now);
            }
            self.collect();
        }
        if deadline <= self.now {
            self.cut_all();
        }
        if self.pool.is_empty() && (done || deadline <= self.now) {
            self.stage = Stage::Ended;
            self.emit(SessionEvent::Ended);
        }
    }

    /// At the deadline the connections end as they are; what is in flight is unknown. What has its answer is settled, also
    /// where that waits on a connection since nobody takes events.
    fn cut_all(&mut self) {
        for id in self.pool.ids().collect::<Vec<_>>() {
            while let Some(answer) = self
                .pool
                .get_mut(id)
                .and_then(|slot| slot.connection.poll_answer())
            {
                self.handle(id, answer);
            }
        }
        for (id, slot) in self.pool.take_all() {
            for message in slot.connection.finish().unanswered {
                let number = self.queue.number_of(message.id());
                if let Some(entry) = number.and_then(|number| self.queue.get_mut(number)) {
                    entry.unknown = true;
                }
            }
            self.commands.push_back(Command::Close(id));
        }
    }

    /// Takes the session apart, at any time, into what it leaves behind.
    #[must_use]
    pub fn finish(mut self) -> SessionFinished {
        self.leave()
    }

    /// The same where the session cannot be moved: it is over afterwards.
    pub(crate) fn leave(&mut self) -> SessionFinished {
        self.cut_all();
        self.stage = Stage::Ended;
        let undone = self.deliveries.len();
        let queue = std::mem::take(&mut self.queue);
        let left = queue.into_messages().map(|entry| Left {
            unknown: entry.unknown,
            message: entry.message,
        });
        SessionFinished {
            messages: left.collect(),
            events: self.events.take_all(),
            dead_letters: self.dead_letters.take_all(),
            undone,
        }
    }
}
