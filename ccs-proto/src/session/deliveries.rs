//! What came from devices and is not done with: in order for each device, one at a time, as often as it takes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::event::Received;
use crate::client::AckToken;
use crate::hash::Hashed;
use crate::ledger::ConnectionId;
use crate::text::Text;
use crate::time::Time;

/// What makes two deliveries copies of one message: who sent it, and under which id. A session has one sender id, so that
/// is no part of it.
///
/// They are ordered for books of them, and what the order is means nothing. In a book of a hundred thousand a name is found the
/// faster the less room it takes there, so it is a hash and a pointer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryKey(Hashed<Arc<(Text, Text)>>);

impl DeliveryKey {
    /// The name of what `from` sent under `message_id`.
    pub fn new(from: impl Into<Text>, message_id: impl Into<Text>) -> Self {
        Self(Hashed::new(Arc::new((from.into(), message_id.into()))))
    }

    pub(super) fn of(received: &Received) -> Self {
        let from = match received {
            Received::Upstream(message) => message.from().text(),
            Received::Receipt(receipt) => receipt.from(),
        };
        Self::new(from.clone(), received.message_id().text().clone())
    }

    /// The device, or the service itself for a receipt.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.0.name().0
    }

    /// The id that it chose.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.0.name().1
    }

    /// The same in memory of its own.
    pub(super) fn detached(&self) -> Self {
        Self::new(self.from(), self.message_id())
    }

    pub(super) fn size(&self) -> usize {
        self.from().len().saturating_add(self.message_id().len())
    }
}

impl fmt::Debug for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryKey")
            .field("from", &self.from())
            .field("message_id", &self.message_id())
            .finish()
    }
}

/// The right to say once how one delivery was handled.
///
/// Dropping it means that it is never said: the message is not acked, no copy of it is handled, and later messages of its
/// device wait for as long as the session lives. Who gives up says [`Verdict::Retry`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a delivery of which nothing is said is never acked, and holds up its device"]
pub struct DeliveryToken {
    pub(super) session: u64,
    pub(super) number: u64,
}

/// What a handler says of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is handled: ack it.
    Ack,
    /// It could not be handled now: give it again after a while. Not for ever: see
    /// [`handler_tries`](super::SessionConfig::handler_tries). While the session is being shut down it is left un-acked
    /// and comes again.
    Retry,
    /// It can never be handled: keep it as a dead letter, then ack it.
    Dead,
}

/// Something that came from a device, to be handled.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// What it is.
    pub received: Received,
    /// The right to say how it was handled.
    pub token: DeliveryToken,
    /// Which try this is, from 1. Tries count on over reconnects.
    pub attempt: u32,
    /// The connection by which its last copy came.
    pub connection: ConnectionId,
}

/// A delivery that is not done with.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) key: DeliveryKey,
    pub(super) received: Received,
    /// Of the newest copy.
    pub(super) token: AckToken,
    /// Of the copies before it, on other connections: the endpoint waits for an ack on each.
    pub(super) older: Vec<AckToken>,
    pub(super) tries: u32,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waits for its turn.
    Queued,
    /// The handler has it.
    Running,
    /// The handler gets it again then.
    Waiting(Time),
    /// It is handled, and that is being stored.
    Storing,
}

/// The deliveries that are not done with, by number in order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    next: u64,
    held: BTreeMap<u64, Held>,
    by_key: BTreeMap<DeliveryKey, u64>,
    /// For each device its deliveries, the first of which is in hand.
    lanes: BTreeMap<Text, VecDeque<u64>>,
    runnable: BTreeSet<u64>,
    waiting: BTreeSet<(Time, u64)>,
    bytes: usize,
    #[cfg(ccs_planted)]
    pub(super) out_of_order: bool,
}

impl Deliveries {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Deliveries that a handler has, or that are handled and being stored.
    pub(super) fn in_hand(&self) -> usize {
        let in_hand = |held: &&Held| matches!(held.phase, Phase::Running | Phase::Storing);
        self.held.values().filter(in_hand).count()
    }

    /// A copy of something that is not done with joins it, with its token; the token of a copy before it on the same
    /// connection comes back. Tokens of connections that are not `there` any more are dropped.
    pub(super) fn join(
        &mut self,
        key: &DeliveryKey,
        token: AckToken,
        there: impl Fn(ConnectionId) -> bool,
    ) -> Result<Option<AckToken>, AckToken> {
        let Some(held) = self.by_key.get(key).and_then(|n| self.held.get_mut(n)) else {
            return Err(token);
        };
        let replaced = std::mem::replace(&mut held.token, token);
        held.older.push(replaced);
        held.older.retain(|older| there(older.connection()));
        let newest = held.token.connection();
        let same = |older: &AckToken| older.connection() == newest;
        let older = held.older.iter().position(same);
        let older = older.map(|place| held.older.remove(place));
        Ok(older)
    }

    pub(super) fn admit(&mut self, key: DeliveryKey, received: Received, token: AckToken) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(received.body().len());
        let first = match lane_of(&received) {
            Some(device) => {
                let lane = self.lanes.entry(device.clone()).or_default();
                lane.push_back(number);
                lane.len() == 1
            }
            None => true,
        };
        #[cfg(ccs_planted)]
        let first = first || self.out_of_order;
        if first {
            self.runnable.insert(number);
        }
        self.by_key.insert(key.clone(), number);
        let held = Held {
            key,
            received,
            token,
            older: Vec::new(),
            tries: 0,
            phase: Phase::Queued,
        };
        self.held.insert(number, held);
    }

    /// The next delivery to handle: the one that came first of those whose turn it is.
    pub(super) fn start_next(&mut self) -> Option<(u64, &Held)> {
        let number = self.runnable.pop_first()?;
        let held = self.held.get_mut(&number)?;
        held.phase = Phase::Running;
        held.tries = held.tries.saturating_add(1);
        Some((number, held))
    }

    pub(super) fn has_runnable(&self) -> bool {
        !self.runnable.is_empty()
    }

    /// The delivery that a handler has under this number.
    pub(super) fn running(&self, number: u64) -> Option<&Held> {
        let held = self.held.get(&number)?;
        (held.phase == Phase::Running).then_some(held)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Held> {
        self.held.get(&number)
    }

    pub(super) fn wait(&mut self, number: u64, due: Time) {
        if let Some(held) = self.held.get_mut(&number) {
            held.phase = Phase::Waiting(due);
            self.waiting.insert((due, number));
        }
    }

    pub(super) fn storing(&mut self, number: u64) {
        if let Some(held) = self.held.get_mut(&number) {
            held.phase = Phase::Storing;
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// Those whose wait is over can be handled again. They are still the first of their device.
    pub(super) fn resume_due(&mut self, now: Time) {
        while let Some((due, number)) = self.waiting.first().copied()
            && due <= now
        {
            self.waiting.pop_first();
            if let Some(held) = self.held.get_mut(&number) {
                held.phase = Phase::Queued;
                self.runnable.insert(number);
            }
        }
    }

    /// Done: the next one of its device has its turn.
    pub(super) fn finish(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        self.by_key.remove(&held.key);
        self.bytes = self.bytes.saturating_sub(held.received.body().len());
        self.runnable.remove(&number);
        if let Phase::Waiting(due) = held.phase {
            self.waiting.remove(&(due, number));
        }
        if let Some(device) = lane_of(&held.received)
            && let Some(lane) = self.lanes.get_mut(device.as_str())
        {
            if lane.front() == Some(&number) {
                lane.pop_front();
            }
            match lane.front() {
                Some(next) => {
                    if self
                        .held
                        .get(next)
                        .is_some_and(|n| n.phase == Phase::Queued)
                    {
                        self.runnable.insert(*next);
                    }
                }
                None => {
                    self.lanes.remove(device.as_str());
                }
            }
        }
        Some(held)
    }
}

/// Messages of one device are handled in order. Receipts come from the service, and each stands for itself.
fn lane_of(received: &Received) -> Option<&Text> {
    match received {
        Received::Upstream(message) => Some(message.from().text()),
        Received::Receipt(_) => None,
    }
}
