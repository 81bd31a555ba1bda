//! What devices send: came, handled, stored, acked.

use std::collections::BTreeMap;

use ccs_proto::ConnectionId;

use super::{Books, Rule};
use crate::sim::seen::Sight;

/// Who sent it, and under which id.
pub(in crate::sim) type Key = (String, String);

/// Everything about one message from a device, or one receipt.
#[derive(Debug, Default)]
pub(in crate::sim) struct Upward {
    /// How often it came by each connection, and how often it was acked there.
    copies: BTreeMap<ConnectionId, (u32, u32)>,
    /// Which of all it was by each connection, the first time; only messages of devices are in an order.
    places: BTreeMap<ConnectionId, u64>,
    /// The handler said that it is handled, or dead; in this life of the app server.
    done: bool,
    /// That was said at any time, in whatever life.
    over: bool,
    /// The store has that.
    pub(in crate::sim) stored: bool,
    /// The session remembers it no longer, for want of room.
    forgotten: bool,
    running: bool,
    /// A handler had it, in this life.
    started: bool,
}

impl Upward {
    pub(super) fn crash(&mut self) {
        self.done = false;
        self.running = false;
        self.started = false;
    }
}

impl Books {
    /// A device sent this to the sender, or the endpoint a receipt.
    pub(in crate::sim) fn posted(&mut self, key: Key) {
        self.posted.insert(key);
    }

    /// Whether a handler is done with all of these.
    pub(in crate::sim) fn has_handled(&self, keys: &[Key]) -> bool {
        let done = |key| self.deliveries.get(key).is_some_and(|upward| upward.over);
        keys.iter().all(done)
    }

    pub(super) fn came(&mut self, connection: ConnectionId, from: String, id: String) {
        self.arrivals += 1;
        let place = self.arrivals;
        let draining = self.is_draining(connection);
        let key = (from, id);
        let own = self.posted.contains(&key);
        self.check(own, Rule::Identity, || {
            format!("{key:?} came, and was not sent to this sender")
        });
        let upward = self.deliveries.entry(key.clone()).or_default();
        upward.copies.entry(connection).or_default().0 += 1;
        upward.places.entry(connection).or_insert(place);
        let waits = self.lanes.contains_key(&key.0);
        if draining {
            self.see(Sight::SentToDraining);
        }
        if waits {
            self.see(Sight::DeviceWaits);
        }
    }

    pub(super) fn acked(&mut self, connection: ConnectionId, to: String, id: String) {
        let key = (to, id);
        let upward = self.deliveries.entry(key.clone()).or_default();
        let stored = upward.stored;
        let (came, acked) = upward.copies.entry(connection).or_default();
        *acked += 1;
        let right = *acked <= *came;
        self.check(right, Rule::AckWhereItCame, || {
            format!("{key:?} is acked on {connection:?}, where it did not come or was acked")
        });
        self.check(stored, Rule::NoEarlyAck, || {
            format!("{key:?} is acked, and that it was handled is not stored")
        });
        if self.is_draining(connection) {
            self.see(Sight::AckedWhileDraining);
        }
    }

    /// A handler gets it. `lane`: messages of devices are in order, receipts are not.
    pub(in crate::sim) fn handler_starts(&mut self, key: &Key, lane: bool) {
        let Some(upward) = self.deliveries.get_mut(key) else {
            return self.broken(Rule::NoNeedlessCopy, || format!("{key:?} never came"));
        };
        let known = (upward.done || upward.stored) && !upward.forgotten;
        let again = upward.running || known;
        let first = !std::mem::replace(&mut upward.started, true);
        upward.running = true;
        let alone = match upward.places.iter().collect::<Vec<_>>()[..] {
            [(connection, place)] => Some((*connection, *place)),
            _ => None,
        };
        self.check(!again, Rule::NoNeedlessCopy, || {
            format!("{key:?} is handled again")
        });
        if !lane {
            return;
        }
        let other = self.lanes.insert(key.0.clone(), key.clone());
        let other = other.filter(|other| other != key);
        self.check(other.is_none(), Rule::DeviceOrder, || {
            format!("{key:?} is handled before {other:?} is done with")
        });
        // Where both came by one connection and this one by no other, what came before is handled before.
        if let Some((connection, place)) = alone.filter(|_| first) {
            let from = (key.0.clone(), String::new());
            let earlier = self
                .deliveries
                .range(from..)
                .take_while(|(other, _)| other.0 == key.0)
                .find(|(_, other)| {
                    let before = other.places.get(&connection).is_some_and(|p| *p < place);
                    before && !(other.over || other.stored)
                })
                .map(|(key, _)| key.clone());
            self.check(earlier.is_none(), Rule::DeviceOrder, || {
                format!("{key:?} is handled before {earlier:?}")
            });
        }
    }

    /// The handler is done with it, in whatever way.
    pub(in crate::sim) fn handler_ends(&mut self, key: &Key, lane: bool, done: bool) {
        if let Some(upward) = self.deliveries.get_mut(key) {
            upward.running = false;
            upward.done = done;
            upward.over |= done;
        }
        if lane && done {
            self.lanes.remove(&key.0);
        }
    }

    /// The store has it that this was handled, or has forgotten it.
    pub(in crate::sim) fn delivery_kept(&mut self, key: &Key, kept: bool) {
        if let Some(upward) = self.deliveries.get_mut(key) {
            upward.stored = kept;
            upward.done = kept;
            upward.forgotten = !kept;
        }
    }

    /// The session remembers it no longer.
    pub(in crate::sim) fn delivery_forgotten(&mut self, key: &Key) {
        if let Some(upward) = self.deliveries.get_mut(key) {
            upward.forgotten = true;
            self.see(Sight::ForgottenCopy);
        }
    }
}
