//! What devices send, until an app server has acked it.

use std::collections::btree_map::{self, BTreeMap};
use std::ops::Bound;
use std::time::Duration;

use super::command::{Command, Record, StoreId};
use super::event::{HubEvent, SubmitError};
use super::senders::{Line, LineState, key_of};
use super::storing::Stored;
use super::{Due, Hub};
use crate::ledger::ConnectionId;
use crate::message::{SenderId, Upstream};
use crate::time::Time;

/// Messages by number, which is also the order in which they were submitted and the name of their record.
pub(super) type Upstreams = BTreeMap<u64, Entry>;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) sender: SenderId,
    pub(super) message: Upstream,
    expires: Time,
    /// When it is sent once more.
    again: Option<Time>,
    /// The connections that have it un-acked, the newest last; none while it waits or is being stored.
    on: Vec<ConnectionId>,
}

impl Entry {
    fn new(sender: SenderId, message: Upstream, expires: Time) -> Self {
        Self {
            sender,
            message,
            expires,
            again: None,
            on: Vec::new(),
        }
    }
}

/// The least time after which a message is sent once more.
const SOON: Duration = Duration::from_millis(1);

impl Hub {
    /// Takes what a device sent, for this sender, which should be one that can log in: it is remembered. It is accepted with
    /// [`Accepted`](HubEvent::Accepted); one with no time to live goes to a connection now or never.
    ///
    /// # Errors
    /// The message comes back when too many wait, or when the same device's message of that id does.
    pub fn submit(
        &mut self,
        now: Time,
        sender: &SenderId,
        message: Upstream,
    ) -> Result<(), SubmitError> {
        self.tick(now);
        let number = self.next_number();
        let of = self.senders.get_or_insert(sender, &self.config);
        let bytes = of.bytes.saturating_add(message.body().len());
        let full =
            of.by_key.len() >= self.config.upstream_messages || bytes > self.config.upstream_bytes;
        match of.by_key.entry(key_of(&message)) {
            btree_map::Entry::Occupied(_) => return Err(SubmitError::UnderWay(Box::new(message))),
            btree_map::Entry::Vacant(_) if full => {
                return Err(SubmitError::Full(Box::new(message)));
            }
            btree_map::Entry::Vacant(new) => new.insert(number),
        };
        of.bytes = bytes;
        let kept_for = message.time_to_live().map(Duration::from_secs);
        let expires = self.now + kept_for.unwrap_or(self.config.upstream_kept_for);
        let sender = sender.clone();
        let entry = Entry::new(sender.clone(), message.clone(), expires);
        self.upstreams.insert(number, entry);
        self.store(
            StoreId(number),
            Stored::Upstream(number),
            Record::Upstream {
                sender,
                message,
                expires,
            },
        );
        #[cfg(ccs_planted)]
        if self.is_planted(super::Planted::AcceptBeforeStored) {
            self.upstream_stored(number);
        }
        Ok(())
    }

    pub(super) fn restore_upstream(
        &mut self,
        number: u64,
        sender: SenderId,
        message: Upstream,
        expires: Time,
    ) {
        let of = self.senders.get_or_insert(&sender, &self.config);
        of.bytes = of.bytes.saturating_add(message.body().len());
        // One before it of the same name was done with, or this one would not have been taken.
        let before = of.by_key.insert(key_of(&message), number);
        if let Some(before) = before {
            self.remove_upstream(before);
        }
        let entry = Entry::new(sender, message, expires);
        self.upstreams.insert(number, entry);
        self.wait(number);
    }

    pub(super) fn upstream_stored(&mut self, number: u64) {
        if let Some(entry) = self.upstreams.get(&number) {
            let (sender, message) = (entry.sender.clone(), entry.message.clone());
            let may_wait = entry.expires > self.now;
            self.emit(HubEvent::Accepted {
                sender: sender.clone(),
                message: message.clone(),
            });
            // What came before goes before.
            let of = self.senders.get(&sender);
            let of = of.filter(|of| of.waiting.is_empty() && of.takes_any());
            if let Some(connection) = of.and_then(|of| of.next_for(number, &message)) {
                self.send_on(number, connection);
                #[cfg(ccs_planted)]
                self.plant_copies(number);
                return;
            }
            self.wait(number);
            self.pump(&sender);
            let of = self.senders.get(&sender);
            if may_wait && of.is_some_and(|of| of.waiting.contains(&number)) {
                self.emit(HubEvent::UpstreamWaits { sender, message });
            }
        }
    }

    pub(super) fn upstream_not_stored(&mut self, number: u64) {
        if let Some(entry) = self.remove_upstream(number) {
            let Entry {
                sender, message, ..
            } = entry;
            self.emit(HubEvent::NotStored { sender, message });
        }
    }

    pub(super) fn wait(&mut self, number: u64) {
        if let Some(entry) = self.upstreams.get_mut(&number)
            && let Some(sender) = self.senders.get_mut(&entry.sender)
        {
            if let Some(again) = entry.again.take() {
                self.timers.remove(&(again, Due::SendAgain(number)));
            }
            sender.waiting.insert(number);
            let expires = (entry.expires, Due::UpstreamExpires(number));
            self.timers.insert(expires);
        }
    }

    /// Gives what waits to connections, as long as any takes one.
    pub(super) fn pump(&mut self, sender: &SenderId) {
        let mut after = Bound::Unbounded;
        while let Some(of) = self.senders.get(sender).filter(|of| of.takes_any())
            && let Some(number) = of.waiting.range((after, Bound::Unbounded)).next().copied()
        {
            #[cfg(ccs_planted)]
            let number = self.plant_newest(sender, number);
            // One that every connection has had is passed over, and does not hold up the others.
            after = Bound::Excluded(number);
            let entry = self.upstreams.get(&number);
            // What has had its time is not sent, although nobody has looked since.
            let entry = entry.filter(|entry| entry.expires >= self.now);
            let next = entry.and_then(|entry| of.next_for(number, &entry.message));
            if let Some(connection) = next {
                self.send_on(number, connection);
                #[cfg(ccs_planted)]
                self.plant_copies(number);
            }
        }
    }

    pub(super) fn send_on(&mut self, number: u64, connection: ConnectionId) {
        let Some(entry) = self.upstreams.get_mut(&number) else {
            return;
        };
        let again = !entry.on.is_empty();
        entry.on.push(connection);
        let (expires, message) = (entry.expires, entry.message.clone());
        if let Some(sender) = self.senders.get_mut(&entry.sender) {
            sender.waiting.remove(&number);
            sender.put_on(connection, number);
        }
        self.timers.remove(&(expires, Due::UpstreamExpires(number)));
        self.arm(number);
        self.command(Command::Send {
            connection,
            message: message.clone(),
        });
        self.emit(if again {
            HubEvent::UpstreamSentAgain {
                connection,
                message,
            }
        } else {
            HubEvent::UpstreamSent {
                connection,
                message,
            }
        });
    }

    /// Starts the time after which it is sent once more.
    fn arm(&mut self, number: u64) {
        if let Some(entry) = self.upstreams.get_mut(&number) {
            if let Some(before) = entry.again.take() {
                self.timers.remove(&(before, Due::SendAgain(number)));
            }
            // A time that is over at once would be so for ever.
            let after = self.config.send_again_after.map(|after| after.max(SOON));
            entry.again = after.map(|after| self.now + after);
            self.timers
                .extend(entry.again.map(|again| (again, Due::SendAgain(number))));
        }
    }

    pub(super) fn acked(&mut self, connection: ConnectionId, message: &Upstream) {
        let key = key_of(message);
        let Some((id, sender)) = self.senders.of(connection) else {
            return;
        };
        let number = sender.by_key.get(&key).copied();
        let line = sender.lines.get_mut(&connection);
        let number = line.and_then(|line| {
            let here = number.filter(|number| line.in_flight.remove(number));
            if here.is_none() {
                // Nothing is left of it but its place, which is free now.
                line.done_elsewhere.remove(&key);
            }
            here
        });
        sender.refresh(connection);
        if let Some(entry) = number.and_then(|number| self.remove_upstream(number)) {
            let message = entry.message;
            self.emit(HubEvent::UpstreamAcked {
                connection,
                message,
            });
        }
        self.pump(&id);
    }

    /// What a connection leaves un-acked waits again, if no other connection has it.
    pub(super) fn take_back(&mut self, connection: ConnectionId, line: Line) {
        for number in line.in_flight {
            // One that was acked elsewhere is not there any more.
            if let Some(entry) = self.upstreams.get_mut(&number) {
                entry.on.retain(|on| *on != connection);
                if entry.on.is_empty() {
                    #[cfg(ccs_planted)]
                    if self.plants_loss(line.state) {
                        self.remove_upstream(number);
                        continue;
                    }
                    self.wait(number);
                }
            }
        }
    }

    /// No ack for long: another connection gets it too, or else its own gets it once more. One that drains ends soon.
    pub(super) fn send_again(&mut self, number: u64) {
        let Some(entry) = self.upstreams.get_mut(&number) else {
            return;
        };
        entry.again = None;
        if entry.expires <= self.now {
            return;
        }
        let message = entry.message.clone();
        let Some(sender) = self.senders.get(&entry.sender) else {
            return;
        };
        let is_open = |id: &&ConnectionId| {
            let line = sender.lines.get(*id);
            line.is_some_and(|line| line.state == LineState::Open)
        };
        if let Some(other) = sender.next_for(number, &message) {
            self.send_on(number, other);
        } else if let Some(connection) = entry.on.iter().rfind(is_open).copied() {
            self.arm(number);
            self.command(Command::SendAgain {
                connection,
                message: message.clone(),
            });
            self.emit(HubEvent::UpstreamSentAgain {
                connection,
                message,
            });
        } else {
            self.arm(number);
        }
    }

    pub(super) fn upstream_expires(&mut self, number: u64) {
        if let Some(entry) = self.remove_upstream(number) {
            let Entry {
                sender, message, ..
            } = entry;
            self.emit(HubEvent::UpstreamExpired { sender, message });
        }
    }

    /// It is done with; its places on connections are freed by their acks, or with the connections.
    pub(super) fn remove_upstream(&mut self, number: u64) -> Option<Entry> {
        let entry = self.upstreams.remove(&number)?;
        if let Some(sender) = self.senders.get_mut(&entry.sender) {
            sender.waiting.remove(&number);
            let key = key_of(&entry.message);
            for connection in &entry.on {
                if let Some(line) = sender.lines.get_mut(connection)
                    && line.in_flight.remove(&number)
                {
                    line.done_elsewhere.insert(key.clone());
                }
            }
            if let btree_map::Entry::Occupied(own) = sender.by_key.entry(key)
                && *own.get() == number
            {
                own.remove();
            }
            sender.bytes = sender.bytes.saturating_sub(entry.message.body().len());
        }
        let expires = (entry.expires, Due::UpstreamExpires(number));
        self.timers.remove(&expires);
        if let Some(again) = entry.again {
            self.timers.remove(&(again, Due::SendAgain(number)));
        }
        self.forget(StoreId(number));
        Some(entry)
    }
}
