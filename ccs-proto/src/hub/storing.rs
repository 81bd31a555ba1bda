//! Accepting is two steps: what is to be kept is given to the store, and things go on when the store has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Hub;
use super::command::{Command, Record, StoreId};
use super::downstream::Accepting;
use super::senders::Doubtful;
use crate::time::Time;

/// What goes on when a record is stored.
#[derive(Debug)]
pub(super) enum Stored {
    /// The message from a device of this number is accepted.
    Upstream(u64),
    /// A message of an app server is accepted.
    Downstream(Accepting),
}

/// Records that the store was asked to keep and has not answered for.
#[derive(Debug, Default)]
pub(super) struct Stores(BTreeMap<StoreId, Stored>);

impl Hub {
    /// The store has this record. An id that is not known, or was answered before, changes nothing.
    pub fn stored(&mut self, now: Time, id: StoreId) {
        self.tick(now);
        match self.stores.0.remove(&id) {
            Some(Stored::Upstream(number)) => self.upstream_stored(number),
            Some(Stored::Downstream(accepting)) => self.downstream_stored(id, accepting),
            None => {}
        }
        self.run_due();
    }

    /// The store cannot keep this record, so the message is not accepted: an app server is told to try again, and what a
    /// device sent comes back with [`NotStored`](super::HubEvent::NotStored).
    pub fn refused(&mut self, now: Time, id: StoreId) {
        self.tick(now);
        match self.stores.0.remove(&id) {
            Some(Stored::Upstream(number)) => self.upstream_not_stored(number),
            Some(Stored::Downstream(accepting)) => self.downstream_not_stored(id, accepting),
            None => {}
        }
        self.run_due();
    }

    /// Takes back a record that was stored by a hub before this one. To be called before anything else, in the order of
    /// their ids. Messages to devices wait until the devices are told to be [reachable](Hub::reach). Whether their acks
    /// arrived is not known: of each sender so many as [`remembered_ids`](super::HubConfig::remembered_ids) says, the newest, are
    /// known if they are sent again, and nobody gets those twice.
    pub fn restore(&mut self, now: Time, id: StoreId, record: Record) {
        self.tick(now);
        self.last = self.last.max(id.0);
        #[cfg(ccs_planted)]
        let record = self.plant_new_life(record);
        match record {
            Record::Upstream {
                sender,
                message,
                expires,
            } => self.restore_upstream(id.0, sender, message, expires),
            Record::Downstream {
                sender,
                message_id,
                message,
                devices,
                expires,
            } => {
                let of = self.senders.get_or_insert(&sender, &self.config);
                let restored = Doubtful::Restored(Arc::clone(&message));
                let limit = self.config.remembered_ids;
                of.doubtful.insert(message_id.compact(), restored, limit);
                #[cfg(ccs_planted)]
                self.plant_certainty(&sender, &message_id);
                self.restore_mail(id, &sender, &message_id, &message, &devices, expires);
            }
        }
        self.run_due();
    }

    pub(super) fn store(&mut self, id: StoreId, then: Stored, record: Record) {
        self.stores.0.insert(id, then);
        self.command(Command::Store { id, record });
    }

    pub(super) fn forget(&mut self, id: StoreId) {
        self.command(Command::Forget(id));
    }
}
