//! The connections between app servers and the endpoint: whose they are, what flies on them, which end still holds them.

use std::collections::BTreeMap;
use std::time::Duration;

use ccs_proto::{ConnectionId, Time};

use super::dice::Dice;
use super::sender::Sender;
use super::wire::{End, Pipe};

#[derive(Debug)]
pub(super) struct Link {
    /// Who dialled.
    pub(super) sender: Sender,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    /// The app server has not closed its end.
    pub(super) held: bool,
    /// The endpoint has not closed its own.
    pub(super) served: bool,
}

#[derive(Debug)]
pub(super) struct Links {
    seed: u64,
    by_id: BTreeMap<ConnectionId, Link>,
    last: u64,
    opened: Vec<ConnectionId>,
}

impl Link {
    /// Both ends hold it and nothing is wrong with it.
    pub(super) fn is_whole(&self, now: Time) -> bool {
        let pipes = self.up.is_whole(now) && self.down.is_whole(now);
        pipes && self.held && self.served
    }

    /// To the endpoint and back, at most.
    pub(super) fn round_trip(&self) -> Duration {
        self.up.slowest() + self.down.slowest()
    }
}

impl Links {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            by_id: BTreeMap::new(),
            last: 0,
            opened: Vec::new(),
        }
    }

    /// The id of the next connection.
    pub(super) fn fresh_id(&mut self) -> ConnectionId {
        self.last += 1;
        ConnectionId(self.last)
    }

    /// A dial succeeded. `slow`: bytes may take their time there.
    pub(super) fn open(&mut self, id: ConnectionId, sender: Sender, slow: bool) -> &Link {
        let pipe = |way| Pipe::new(Dice::of(self.seed, &[10, id.0, way]), slow);
        let link = Link {
            sender,
            up: pipe(0),
            down: pipe(1),
            held: true,
            served: true,
        };
        self.opened.push(id);
        self.by_id.entry(id).or_insert(link)
    }

    /// Those that the endpoint has not heard of.
    pub(super) fn take_opened(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.opened)
    }

    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        self.by_id.keys().copied().collect()
    }

    pub(super) fn of(&self, sender: Sender) -> Vec<ConnectionId> {
        let own = self.by_id.iter().filter(|(_, link)| link.sender == sender);
        own.map(|(id, _)| *id).collect()
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Link> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Link> {
        self.by_id.get_mut(&id)
    }

    /// When everything that was written has arrived.
    pub(super) fn all_arrived(&self) -> Option<Time> {
        let both = |link: &Link| [link.up.all_arrived(), link.down.all_arrived()];
        self.by_id.values().flat_map(both).max()
    }

    /// Lets arrive what is due, and says whether there was anything.
    pub(super) fn arrive(&mut self, now: Time) -> bool {
        let mut any = false;
        for link in self.by_id.values_mut() {
            any |= link.up.arrive(now) | link.down.arrive(now);
        }
        any
    }

    pub(super) fn next_arrival(&self) -> Option<Time> {
        let both = |link: &Link| [link.up.next_arrival(), link.down.next_arrival()];
        self.by_id.values().flat_map(both).flatten().min()
    }

    /// The app server's end is closed.
    pub(super) fn app_closes(&mut self, now: Time, id: ConnectionId, end: End) {
        if let Some(link) = self.by_id.get_mut(&id)
            && std::mem::replace(&mut link.held, false)
        {
            link.up.finish(now, end);
            link.down.swallow();
        }
    }

    /// Forgets those that neither end holds.
    pub(super) fn sweep(&mut self) {
        self.by_id.retain(|_, link| link.held || link.served);
    }
}
