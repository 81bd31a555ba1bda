//! The connections of a session, and the dial for the next one.

use std::collections::BTreeMap;

use super::command::DialId;
use crate::client::ClientConnection;
use crate::connection::earliest;
use crate::ledger::ConnectionId;
use crate::time::Time;

/// A connection, and what the session knows of it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) connection: ClientConnection,
    pub(super) bound_since: Option<Time>,
    /// It has held for long enough, which ends a row of failures.
    pub(super) healthy: bool,
    /// A message was answered here.
    pub(super) has_answered: bool,
    /// Places in its window, as far as its answers were taken: it may have read further.
    pub(super) free: usize,
    pub(super) draining: bool,
    /// Ended from this side: its end is no failure.
    pub(super) retired: bool,
}

impl Slot {
    pub(super) fn new(connection: ClientConnection, window: usize) -> Self {
        Self {
            connection,
            bound_since: None,
            healthy: false,
            has_answered: false,
            free: window,
            draining: false,
            retired: false,
        }
    }

    /// Whether it takes messages, now or once it is bound. One that fails still counts until it is over: what was in
    /// flight there comes back only then, and how it ends says when to dial.
    fn is_live(&self) -> bool {
        !self.draining && !self.retired && !self.connection.is_closed()
    }

    /// Whether it takes messages now.
    pub(super) fn takes_messages(&self) -> bool {
        self.is_live() && !self.connection.is_ending() && self.connection.is_bound()
    }
}

/// The connections there are, and the dial for the next one.
#[derive(Debug, Default)]
pub(super) struct Pool {
    pub(super) slots: BTreeMap<ConnectionId, Slot>,
    pub(super) dial: Option<Dial>,
    pub(super) next_dial: u64,
    /// The last suspect that was sent, by number, and the connection on which it is alone.
    pub(super) alone: Option<(ConnectionId, u64)>,
}

/// A dial that has no outcome yet, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dial {
    pub(super) id: DialId,
    pub(super) until: Time,
}

impl Pool {
    pub(super) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.slots.keys().copied()
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Slot> {
        self.slots.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        self.slots.get_mut(&id)
    }

    pub(super) fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.values_mut()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        earliest(
            self.slots
                .values()
                .map(|slot| slot.connection.poll_timeout()),
        )
    }

    /// The first connection that takes messages: the one for suspects.
    pub(super) fn first_taking(&self) -> Option<ConnectionId> {
        let mut taking = self.slots.iter().filter(|(_, slot)| slot.takes_messages());
        taking.next().map(|(id, _)| *id)
    }

    /// Whether a connection gets one message only until it has answered: a further one may be one too many, which is ended
    /// right after its login (`docs/protocol.md` §12 #47), and what it has in flight then is suspected.
    pub(super) fn is_on_trial(&self, id: ConnectionId) -> bool {
        let answers = self.get(id).is_some_and(|slot| slot.has_answered);
        let mut others = self.slots.iter().filter(|(other, _)| **other != id);
        !answers && others.any(|(_, slot)| slot.takes_messages())
    }

    /// Whether there is a connection that takes messages, and none has room. One on trial may have some in a moment, so no
    /// other is wanted beside it.
    pub(super) fn is_full(&self) -> bool {
        let mut taking = self
            .slots
            .values()
            .filter(|slot| slot.takes_messages())
            .peekable();
        taking.peek().is_some() && taking.all(|slot| slot.free == 0)
    }

    pub(super) fn live(&self) -> usize {
        self.slots.values().filter(|slot| slot.is_live()).count()
    }

    pub(super) fn all_live_bound(&self) -> bool {
        let mut live = self.slots.values().filter(|slot| slot.is_live());
        live.all(|slot| slot.connection.is_bound())
    }

    pub(super) fn take_all(&mut self) -> BTreeMap<ConnectionId, Slot> {
        std::mem::take(&mut self.slots)
    }
}
