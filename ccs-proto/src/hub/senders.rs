//! What there is of each sender.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::config::{HubConfig, SenderLimits};
use super::lately::Lately;
use crate::hash::Hashed;
use crate::ledger::ConnectionId;
use crate::message::{Downstream, MessageId, Receipt, RegistrationToken, SenderId, Upstream};
use crate::server::Fingerprint;

/// A device chooses its own ids, so two devices may use the same one: the name is both.
pub(super) type UpstreamKey = Hashed<(RegistrationToken, MessageId)>;

pub(super) fn key_of(message: &Upstream) -> UpstreamKey {
    Hashed::new((message.from().clone(), message.message_id().clone()))
}

/// All senders that have logged in or are to get something. As many as there are accounts, if the application names no others.
#[derive(Debug, Default)]
pub(super) struct Senders {
    by_id: BTreeMap<SenderId, Sender>,
    /// Whose a connection is.
    owners: BTreeMap<ConnectionId, SenderId>,
}

/// One sender.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) limits: SenderLimits,
    pub(super) lines: BTreeMap<ConnectionId, Line>,
    /// The connections that take a message now.
    ready: BTreeSet<ConnectionId>,
    /// Who got the last message; the next in the circle gets the next.
    last: ConnectionId,
    /// Messages from devices that are on no connection, by number: the oldest first, however often it went out before.
    pub(super) waiting: BTreeSet<u64>,
    /// Messages from devices that are not acked, by name.
    pub(super) by_key: BTreeMap<UpstreamKey, u64>,
    /// Bytes of their bodies.
    pub(super) bytes: usize,
    /// Receipts that wait for a connection.
    pub(super) receipts: VecDeque<Receipt>,
    /// Accepted messages whose ack may be lost, by id; each is known once. An app server may have started its ids anew, so
    /// only the same message is the same again.
    pub(super) doubtful: Lately<MessageId, Doubtful>,
}

/// A message whose ack may be lost.
#[derive(Debug)]
pub(super) enum Doubtful {
    /// It was acked on a connection that has ended.
    Acked(Fingerprint),
    /// It was stored by a hub before this one.
    Restored(Arc<Downstream>),
}

impl Doubtful {
    pub(super) fn is(&self, message: &Downstream) -> bool {
        match self {
            Self::Acked(content) => content.is_of(message),
            Self::Restored(restored) => **restored == *message,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) state: LineState,
    /// As it was when it logged in, since the connection goes by it.
    pub(super) upstream_window: usize,
    /// What was sent here and not acked, by number: those are compared faster than names.
    pub(super) in_flight: BTreeSet<u64>,
    /// What was sent here, and is done with since it was acked elsewhere. Until it is acked here too it has its place in the
    /// window, and nothing else of its name can be sent.
    pub(super) done_elsewhere: BTreeSet<UpstreamKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineState {
    /// It just logged in, and gets nothing yet.
    Greeting,
    Open,
    Draining,
}

impl Senders {
    pub(super) fn get_or_insert(&mut self, id: &SenderId, config: &HubConfig) -> &mut Sender {
        self.by_id
            .entry(id.clone())
            .or_insert_with(|| Sender::new(config.limits))
    }

    pub(super) fn get(&self, id: &SenderId) -> Option<&Sender> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &SenderId) -> Option<&mut Sender> {
        self.by_id.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sender> {
        self.by_id.values()
    }

    /// Whether the ack of this id may be lost for anybody.
    #[cfg(ccs_planted)]
    pub(super) fn plant_doubt_of_any(&mut self, id: &MessageId) -> bool {
        let mut senders = self.by_id.values_mut();
        senders.any(|sender| sender.doubtful.take(id).is_some())
    }

    pub(super) fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.owners.keys().copied()
    }

    pub(super) fn owner(&self, connection: ConnectionId) -> Option<&SenderId> {
        self.owners.get(&connection)
    }

    /// The connection's sender, with its name.
    pub(super) fn of(&mut self, connection: ConnectionId) -> Option<(SenderId, &mut Sender)> {
        let id = self.owners.get(&connection)?;
        Some((id.clone(), self.by_id.get_mut(id)?))
    }

    pub(super) fn insert(&mut self, connection: ConnectionId, id: &SenderId, config: &HubConfig) {
        self.owners.insert(connection, id.clone());
        let sender = self.get_or_insert(id, config);
        let line = Line {
            state: LineState::Greeting,
            upstream_window: sender.limits.upstream_window,
            in_flight: BTreeSet::new(),
            done_elsewhere: BTreeSet::new(),
        };
        #[cfg(ccs_planted)]
        let line = line.planted(config);
        sender.lines.insert(connection, line);
    }

    pub(super) fn remove(&mut self, connection: ConnectionId) -> Option<(SenderId, Line)> {
        let id = self.owners.remove(&connection)?;
        let sender = self.by_id.get_mut(&id)?;
        sender.ready.remove(&connection);
        let line = sender.lines.remove(&connection)?;
        Some((id, line))
    }
}

impl Line {
    fn places_taken(&self) -> usize {
        self.in_flight
            .len()
            .saturating_add(self.done_elsewhere.len())
    }

    fn has(&self, number: u64, message: &Upstream) -> bool {
        let done = || self.done_elsewhere.contains(&key_of(message));
        self.in_flight.contains(&number) || !self.done_elsewhere.is_empty() && done()
    }
}

impl Sender {
    fn new(limits: SenderLimits) -> Self {
        Self {
            limits,
            lines: BTreeMap::new(),
            ready: BTreeSet::new(),
            last: ConnectionId(0),
            waiting: BTreeSet::new(),
            by_key: BTreeMap::new(),
            bytes: 0,
            receipts: VecDeque::new(),
            doubtful: Lately::default(),
        }
    }

    /// To be told after anything changed on a connection: whether it takes a message now.
    pub(super) fn refresh(&mut self, connection: ConnectionId) {
        let takes = self.lines.get(&connection).is_some_and(|line| {
            line.state == LineState::Open && line.places_taken() < line.upstream_window
        });
        if takes {
            self.ready.insert(connection);
        } else {
            self.ready.remove(&connection);
        }
    }

    pub(super) fn any_open(&self) -> Option<ConnectionId> {
        let mut lines = self.lines.iter();
        let open = lines.find(|(_, line)| line.state == LineState::Open);
        open.map(|(id, _)| *id)
    }

    pub(super) fn takes_any(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next connection in the circle that takes this message, which is on none of them twice.
    pub(super) fn next_for(&self, number: u64, message: &Upstream) -> Option<ConnectionId> {
        let after = (Bound::Excluded(self.last), Bound::Unbounded);
        let circle = self
            .ready
            .range(after)
            .chain(self.ready.range(..=self.last));
        let has_it = |id: &ConnectionId| {
            let line = self.lines.get(id);
            line.is_some_and(|line| line.has(number, message))
        };
        circle.copied().find(|id| !has_it(id))
    }

    pub(super) fn put_on(&mut self, connection: ConnectionId, number: u64) {
        self.last = connection;
        if let Some(line) = self.lines.get_mut(&connection) {
            line.in_flight.insert(number);
        }
        self.refresh(connection);
    }
}
