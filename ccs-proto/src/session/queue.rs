//! Messages to devices that are accepted and not settled.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::ledger::ConnectionId;
use crate::message::{EncodedDownstream, MessageId, Nack};
use crate::time::Time;

/// A message to a device, from its submission until it is settled.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) message: EncodedDownstream,
    /// When its time to live runs out.
    pub(super) expires: Time,
    /// When it is given up, if the settings say so.
    pub(super) too_late: Option<Time>,
    /// How often it was refused for a while.
    pub(super) attempts: u32,
    pub(super) last_nack: Option<Box<Nack>>,
    /// It was in flight on a connection that ended: the endpoint may have it.
    pub(super) unknown: bool,
    /// The connection that refused it for a while: the next try is made there.
    pub(super) stays_on: Option<ConnectionId>,
    /// Streams that the peer ended with an error while it was in flight.
    pub(super) deaths: u32,
    /// Connections that the peer's side ended, in whatever way, while it was in flight.
    pub(super) losses: u32,
    place: Place,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Its acceptance is being stored.
    Storing,
    /// It can be sent, by any connection or, while there is that one, by one alone.
    Ready(Option<ConnectionId>),
    /// It can be sent, but not together with others: one of them may be what ends streams. Those that were there at
    /// the fewest losses go first.
    Suspect { losses: u32 },
    /// It can be sent then.
    Waiting(Time),
    /// A connection has it.
    Out(ConnectionId),
    /// It is a dead letter, and that is being stored.
    Burying,
}

/// The messages by number, in order of their submission, and where they are.
#[derive(Debug, Default)]
pub(super) struct Queue {
    next: u64,
    entries: BTreeMap<u64, Entry>,
    by_id: BTreeMap<MessageId, u64>,
    /// None stands for any connection.
    ready: BTreeSet<(Option<ConnectionId>, u64)>,
    suspects: BTreeSet<(u32, u64)>,
    waiting: BTreeSet<(Time, u64)>,
    deadlines: BTreeSet<(Time, u64)>,
    bytes: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn contains(&self, id: &MessageId) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn number_of(&self, id: &MessageId) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&number)
    }

    pub(super) fn insert(
        &mut self,
        message: EncodedDownstream,
        expires: Time,
        too_late: Option<Time>,
    ) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(message.weight());
        self.by_id.insert(message.id().clone(), number);
        self.deadlines.insert((deadline(expires, too_late), number));
        let entry = Entry {
            message,
            expires,
            too_late,
            attempts: 0,
            last_nack: None,
            unknown: false,
            stays_on: None,
            deaths: 0,
            losses: 0,
            place: Place::Storing,
        };
        self.entries.insert(number, entry);
        number
    }

    /// Takes a message from where it is to somewhere else.
    pub(super) fn put(&mut self, number: u64, place: Place) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        let before = std::mem::replace(&mut entry.place, place);
        self.leave(number, before);
        match place {
            Place::Ready(connection) => {
                self.ready.insert((connection, number));
            }
            Place::Suspect { losses } => {
                self.suspects.insert((losses, number));
            }
            Place::Waiting(due) => {
                self.waiting.insert((due, number));
            }
            Place::Storing | Place::Out(_) | Place::Burying => {}
        }
    }

    fn leave(&mut self, number: u64, place: Place) {
        match place {
            Place::Ready(connection) => {
                self.ready.remove(&(connection, number));
            }
            Place::Suspect { losses } => {
                self.suspects.remove(&(losses, number));
            }
            Place::Waiting(due) => {
                self.waiting.remove(&(due, number));
            }
            Place::Storing | Place::Out(_) | Place::Burying => {}
        }
    }

    #[cfg(ccs_planted)]
    pub(super) fn rename(&mut self, number: u64, message: EncodedDownstream) {
        if let Some(entry) = self.entries.get_mut(&number) {
            self.by_id.remove(entry.message.id());
            self.by_id.insert(message.id().clone(), number);
            entry.message = message;
        }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.leave(number, entry.place);
        self.by_id.remove(entry.message.id());
        self.deadlines
            .remove(&(deadline(entry.expires, entry.too_late), number));
        self.bytes = self.bytes.saturating_sub(entry.message.weight());
        Some(entry)
    }

    /// The oldest message that this connection may send.
    pub(super) fn first_for(&self, connection: ConnectionId) -> Option<u64> {
        let first = |whose: Option<ConnectionId>| {
            let from = Bound::Included((whose, 0));
            let found = self.ready.range((from, Bound::Unbounded)).next();
            found.filter(|(owner, _)| *owner == whose).map(|(_, n)| *n)
        };
        match (first(None), first(Some(connection))) {
            (Some(any), Some(own)) => Some(any.min(own)),
            (any, own) => any.or(own),
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.suspects.is_empty()
    }

    pub(super) fn first_suspect(&self) -> Option<u64> {
        self.suspects.first().map(|(_, number)| *number)
    }

    /// This connection is not there any more: what only it was to send, any may send.
    pub(super) fn release(&mut self, connection: ConnectionId) {
        let whose = Some(connection);
        let own: Vec<u64> = self
            .ready
            .range((whose, 0)..=(whose, u64::MAX))
            .map(|(_, number)| *number)
            .collect();
        for number in own {
            self.put(number, Place::Ready(None));
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// A message whose wait is over.
    pub(super) fn take_due(&mut self, now: Time) -> Option<u64> {
        let (due, number) = self.waiting.first().copied()?;
        (due <= now).then_some(number)
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// A message whose time has run out, each one once. One that a connection has may still be answered.
    pub(super) fn take_overdue(&mut self, now: Time) -> Option<u64> {
        let (due, number) = self.deadlines.first().copied()?;
        if due > now {
            return None;
        }
        self.deadlines.pop_first();
        Some(number)
    }

    pub(super) fn into_messages(self) -> impl Iterator<Item = Entry> {
        self.entries.into_values()
    }
}

impl Entry {
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Whether its time has run out, in one way or the other.
    pub(super) fn is_over(&self, now: Time) -> bool {
        deadline(self.expires, self.too_late) <= now
    }
}

fn deadline(expires: Time, too_late: Option<Time>) -> Time {
    too_late.map_or(expires, |late| late.min(expires))
}
