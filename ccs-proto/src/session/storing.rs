//! Accepting is two steps: what is to be kept is given to the store, and things go on when the store has it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Session;
use super::command::{Command, Forgotten, Record, StoreId};
use super::deliveries::DeliveryKey;
use super::event::{DeadLetter, DeadMessage, DeadReason, SessionEvent, Settlement};
use super::queue::Place;
use crate::message::EncodedDownstream;
use crate::time::Time;

/// What goes on when a record is stored. Messages and deliveries are named by their numbers.
#[derive(Debug, Clone)]
pub(super) enum Pending {
    /// A message to a device is accepted.
    Accept(u64),
    /// A message to a device is dead.
    Bury(u64, DeadReason),
    /// A delivery is handled.
    Handled(u64),
    /// A delivery is dead.
    BuryDelivery(u64, DeadReason),
}

#[derive(Debug)]
struct Asked {
    pending: Pending,
    refusals: u32,
}

/// Records that the store was asked to keep, and those that it will be asked for again.
#[derive(Debug, Default)]
pub(super) struct Stores {
    next: u64,
    asked: BTreeMap<StoreId, Asked>,
    again: BTreeMap<StoreId, Asked>,
    due: BTreeSet<(Time, StoreId)>,
}

impl Stores {
    pub(super) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.again.is_empty()
    }
}

impl Session {
    /// The store has this record. An id that is not known, or was answered before, changes nothing.
    pub fn stored(&mut self, now: Time, id: StoreId) {
        self.tick(now);
        if let Some(asked) = self.stores.asked.remove(&id) {
            match asked.pending {
                Pending::Accept(number) => self.accepted(number),
                Pending::Bury(number, reason) => self.buried(number, reason),
                Pending::Handled(number) => self.delivery_stored(number, None),
                Pending::BuryDelivery(number, reason) => self.delivery_stored(number, Some(reason)),
            }
        }
        self.turn();
    }

    /// The store cannot keep this record. A message that was to be accepted is not; everything else is asked for again
    /// after a back-off, and nothing is acked until it is stored.
    pub fn refused(&mut self, now: Time, id: StoreId) {
        self.tick(now);
        if let Some(mut asked) = self.stores.asked.remove(&id) {
            if let Pending::Accept(number) = asked.pending {
                if let Some(entry) = self.queue.remove(number) {
                    let message = Box::new(entry.message);
                    self.emit(SessionEvent::NotStored { message });
                }
            } else {
                let backoff = self.config.store_retry;
                let wait = backoff.wait(asked.refusals, &mut self.random);
                asked.refusals = asked.refusals.saturating_add(1);
                self.stores.due.insert((self.now + wait, id));
                self.stores.again.insert(id, asked);
            }
        }
        self.turn();
    }

    /// Takes back a record that was stored by a session before this one, `age` ago. To be called before anything else,
    /// in the order in which the records were stored. A message to a device may have been sent: it goes out with the same id, and
    /// its outcome comes as an event.
    pub fn restore(&mut self, now: Time, age: Duration, record: Record) {
        self.tick(now);
        match record {
            Record::Downstream(message) => {
                if !self.queue.contains(message.id()) {
                    let number = self.insert(*message, age);
                    if let Some(entry) = self.queue.get_mut(number) {
                        entry.unknown = true;
                    }
                    self.go_home(number);
                }
            }
            Record::Handled(key) => self.remember(&key),
            Record::DeadLetter(dead) => {
                if let DeadMessage::Received(received) = &dead.message {
                    self.remember(&DeliveryKey::of(received));
                }
                self.look_at(*dead);
            }
        }
        self.turn();
    }

    pub(super) fn store(&mut self, pending: Pending) {
        let id = StoreId(self.stores.next);
        self.stores.next = self.stores.next.wrapping_add(1);
        self.ask(
            id,
            Asked {
                pending,
                refusals: 0,
            },
        );
    }

    fn ask(&mut self, id: StoreId, asked: Asked) {
        if let Some(record) = self.record(&asked.pending) {
            self.stores.asked.insert(id, asked);
            self.commands.push_back(Command::Store { id, record });
        }
    }

    fn record(&self, pending: &Pending) -> Option<Record> {
        Some(match pending {
            Pending::Accept(number) => {
                let entry = self.queue.get(*number)?;
                Record::Downstream(Box::new(entry.message.clone()))
            }
            Pending::Handled(number) => Record::Handled(self.deliveries.get(*number)?.key.clone()),
            Pending::Bury(number, reason) => {
                let message = self.queue.get(*number)?.message.clone();
                Record::DeadLetter(Box::new(dead_downstream(message, reason.clone())))
            }
            Pending::BuryDelivery(number, reason) => {
                let received = self.deliveries.get(*number)?.received.clone();
                Record::DeadLetter(Box::new(DeadLetter {
                    message: DeadMessage::Received(received),
                    reason: reason.clone(),
                }))
            }
        })
    }

    pub(super) fn store_again(&mut self) {
        while let Some((due, id)) = self.stores.due.first().copied()
            && due <= self.now
        {
            self.stores.due.pop_first();
            if let Some(asked) = self.stores.again.remove(&id) {
                self.ask(id, asked);
            }
        }
    }

    pub(super) fn accepted(&mut self, number: u64) {
        let Some(entry) = self
            .queue
            .get(number)
            .filter(|entry| entry.place() == Place::Storing)
        else {
            return;
        };
        let id = entry.message.id().clone();
        self.emit(SessionEvent::Accepted { id });
        self.go_home(number);
    }

    fn buried(&mut self, number: u64, reason: DeadReason) {
        if let Some(entry) = self.queue.remove(number) {
            let id = entry.message.id().clone();
            self.keep_dead(dead_downstream(entry.message, reason.clone()));
            let outcome = Settlement::Dead(reason);
            self.emit(SessionEvent::Settled { id, outcome });
        }
    }

    /// A delivery is done with. Each of its copies is acked on the connection by which it came, or not at all: then it
    /// comes again and is known.
    pub(super) fn delivery_stored(&mut self, number: u64, dead: Option<DeadReason>) {
        if let Some(held) = self.deliveries.finish(number) {
            self.remember(&held.key);
            if let Some(reason) = dead {
                let message = DeadMessage::Received(held.received);
                self.keep_dead(DeadLetter { message, reason });
            }
            #[cfg(ccs_planted)]
            if self.is_planted(super::Planted::AckOnOtherConnection)
                && self.plant_foreign_ack(&held.key, &held.token)
            {
                return;
            }
            for token in held.older.into_iter().chain([held.token]) {
                self.ack(token);
            }
        }
    }

    fn remember(&mut self, key: &DeliveryKey) {
        for key in self.remembered.insert(key) {
            let forgotten = Forgotten::Handled(key);
            self.commands.push_back(Command::Forget(forgotten));
        }
    }

    pub(super) fn bury(&mut self, number: u64, reason: DeadReason) {
        self.queue.put(number, Place::Burying);
        self.store(Pending::Bury(number, reason));
    }
}

fn dead_downstream(message: EncodedDownstream, reason: DeadReason) -> DeadLetter {
    DeadLetter {
        message: DeadMessage::Downstream(Box::new(message)),
        reason,
    }
}
