//! A message that ends every stream it is sent on must not hold up all the others for ever.

use super::Session;
use super::event::DeadReason;
use super::queue::{Entry, Place};
use super::retry;
use crate::error::ConnectionError;
use crate::ledger::ConnectionId;
use crate::message::EncodedDownstream;

/// What the end of a connection says of the messages in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// Nothing: the peer had reasons of its own, or nobody ended it but time.
    None,
    /// Something, if it happens again and again: the peer is gone without a word.
    Loss,
    /// One of them is what the peer could not bear: it says so.
    Death,
}

impl Blame {
    fn of(end: &Result<(), ConnectionError>) -> Self {
        match end {
            _ if retry::blames_a_stanza(end) => Self::Death,
            Ok(()) | Err(ConnectionError::UnexpectedEof | ConnectionError::Transport { .. }) => {
                Self::Loss
            }
            Err(_) => Self::None,
        }
    }
}

impl Session {
    /// Whether a message goes out only alone.
    pub(super) fn is_suspect(&self, entry: &Entry) -> bool {
        #[cfg(ccs_planted)]
        if self.is_planted(super::Planted::SuspectsTogether) {
            return false;
        }
        entry.deaths > 0 || entry.losses >= self.config.stream_deaths
    }

    /// What a connection sends next. A suspect goes out where nothing else is in flight (`idle`), one at a time, so that
    /// whichever ends that stream is found out.
    pub(super) fn next_for(&self, id: ConnectionId, idle: bool) -> Option<u64> {
        match self.quarantined() {
            Some(quarantined) if quarantined == id => None,
            None if self.pool.first_taking() == Some(id) => match self.queue.first_suspect() {
                Some(suspect) if self.has_its_turn(suspect, id) => idle.then_some(suspect),
                _ => self.queue.first_for(id),
            },
            _ => self.queue.first_for(id),
        }
    }

    /// Where a stream error blames them, suspects go before all others: it takes few tries. Where connections are just
    /// lost it takes many, so others are answered first on each connection.
    fn has_its_turn(&self, suspect: u64, id: ConnectionId) -> bool {
        let blamed = self
            .queue
            .get(suspect)
            .is_some_and(|entry| entry.deaths > 0);
        let proven = self.pool.get(id).is_some_and(|slot| slot.has_answered);
        blamed || proven || self.queue.first_for(id).is_none()
    }

    /// The connection on which a suspect is alone in flight.
    fn quarantined(&self) -> Option<ConnectionId> {
        let (id, number) = self.pool.alone?;
        let entry = self.queue.get(number)?;
        (entry.place() == Place::Out(id)).then_some(id)
    }

    /// Messages that were in flight on a connection that ended: what became of them is unknown, and they go out again
    /// before newer ones. `failed`: it was neither drained nor ended from this side.
    pub(super) fn lost(
        &mut self,
        unanswered: Vec<EncodedDownstream>,
        failed: bool,
        end: &Result<(), ConnectionError>,
    ) {
        let blame = if failed { Blame::of(end) } else { Blame::None };
        let alone = unanswered.len() == 1;
        for message in unanswered {
            if let Some(number) = self.queue.number_of(message.id()) {
                self.unknown(number, blame, alone, end);
            }
        }
    }

    fn unknown(
        &mut self,
        number: u64,
        blame: Blame,
        alone: bool,
        end: &Result<(), ConnectionError>,
    ) {
        let Some(entry) = self.queue.get_mut(number) else {
            return;
        };
        entry.unknown = true;
        match blame {
            Blame::None => {}
            Blame::Loss => entry.losses = entry.losses.saturating_add(1),
            Blame::Death => entry.deaths = entry.deaths.saturating_add(1),
        }
        let (deaths, losses) = (entry.deaths, entry.losses);
        #[cfg(ccs_planted)]
        self.plant_new_id(number);
        let limit = self.config.stream_deaths;
        match (blame, end) {
            (Blame::Death, Err(last)) if alone && deaths >= limit => {
                let last = last.clone();
                self.bury(number, DeadReason::EndsStreams { deaths, last });
            }
            // A cut can be anybody's fault, so it takes many, and between them the others get their turn.
            (Blame::Loss, _) if losses >= limit => {
                let failed = losses.saturating_sub(limit);
                if alone && failed >= self.config.attempts {
                    return self.bury(number, DeadReason::LosesConnections { losses });
                }
                let wait = self.config.retry.wait(failed, &mut self.random);
                self.queue.put(number, Place::Waiting(self.now + wait));
            }
            _ => self.go_home(number),
        }
    }
}
