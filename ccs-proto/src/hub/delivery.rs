//! Giving messages to devices, at once or when they can be reached.

use std::sync::Arc;

use super::command::{Command, StoreId};
use super::event::{Discarded, HubEvent};
use super::mail::{BoxId, DeliveryId, Device, HandedOut, Taken};
use super::mailbox::{Goes, Reach};
use super::{Due, Hub};
use crate::message::{Downstream, MessageId, RegistrationToken, SenderId};
use crate::time::Time;

impl Hub {
    /// Tells whether a device can be reached. What waits for one that can is given to it, the oldest first.
    pub fn reach(&mut self, now: Time, device: &Device, reach: Reach) {
        self.tick(now);
        // What has had its time is not delivered, although nobody has looked since.
        self.run_due();
        self.tell_if_online(device, reach);
        if let Some(mailbox) = self.mail.find(device) {
            self.set_reach(mailbox, reach);
        }
        self.run_due();
    }

    /// A device that can be reached is told that messages for it were discarded, if it was not told before.
    pub(super) fn tell_if_online(&mut self, device: &Device, reach: Reach) {
        if reach != Reach::Online {
            return;
        }
        let share = self.mail.shares.find_mut(&device.sender);
        let deleted = share.and_then(|share| share.untold.take(&device.token));
        #[cfg(ccs_planted)]
        let deleted = self.plant_silence(deleted);
        if let Some(messages) = deleted {
            self.tell_deleted(device.clone(), messages);
        }
    }

    pub(super) fn set_reach(&mut self, mailbox: BoxId, reach: Reach) {
        let Some(mailbox) = self.mail.mailbox_mut(mailbox) else {
            return;
        };
        // What can be given to the device as it was does not wait.
        if mailbox.reach == reach {
            return;
        }
        mailbox.reach = reach;
        let waiting = mailbox.waiting();
        #[cfg(ccs_planted)]
        let waiting = self.plant_order(waiting);
        for id in waiting {
            let letter = self.mail.letter_of(id);
            if letter.is_some_and(|letter| reach.lets_through(&letter.message)) {
                self.deliver(id);
            }
        }
    }

    fn tell_deleted(&mut self, device: Device, messages: u64) {
        self.command(Command::TellDeleted {
            device: device.clone(),
            messages,
        });
        self.emit(HubEvent::ToldDeleted { device, messages });
    }

    /// A device has a message. If its app server wants to know, it gets a receipt, which says that it was `sent_at`, in
    /// milliseconds since the Unix epoch. A delivery that was answered before changes nothing.
    pub fn delivered(&mut self, now: Time, delivery: DeliveryId, sent_at: u64) {
        self.tick(now);
        if let Some(held) = self.mail.on_its_way(delivery) {
            let letter = held.letter;
            if let Some(taken) = self.take_copy(delivery) {
                if let Some(letter) = self.mail.letters.get_mut(&letter) {
                    letter.confirmed = true;
                }
                self.emit(HubEvent::Delivered(taken.copy.clone()));
                if taken.wants_receipt {
                    self.receipt(&taken, sent_at);
                }
            }
        }
        self.run_due();
    }

    /// A device did not get a message: it cannot be reached, and what is for it waits. One that did not get this message
    /// must not get those that were to be delivered after it: give all of them back, in any order. A delivery that was
    /// answered before changes nothing.
    pub fn not_delivered(&mut self, now: Time, delivery: DeliveryId) {
        self.tick(now);
        if let Some(held) = self.mail.on_its_way(delivery) {
            let mailbox = held.mailbox;
            if let Some(mailbox) = self.mail.mailbox_mut(mailbox) {
                mailbox.reach = Reach::Offline;
            }
            #[cfg(ccs_planted)]
            if self.is_planted(super::Planted::DropWhatComesBack) {
                self.take_copy(delivery);
                return;
            }
            self.keep(delivery);
        }
        self.run_due();
    }

    pub(super) fn restore_mail(
        &mut self,
        id: StoreId,
        sender: &SenderId,
        message_id: &MessageId,
        message: &Arc<Downstream>,
        devices: &[RegistrationToken],
        expires: Time,
    ) {
        self.mail
            .letter(id, None, sender, message_id, message, expires);
        for token in devices {
            let device = Device::new(sender.clone(), token.clone());
            let delivery = DeliveryId(self.next_number());
            let mailbox = self.mail.find_or_open(device, Reach::Offline);
            self.mail.insert(delivery, id, mailbox);
            self.keep(delivery);
        }
    }

    /// It is stored: from here on it goes its way.
    pub(super) fn release(&mut self, id: DeliveryId) {
        match (self.mail.mailbox_of(id), self.mail.letter_of(id)) {
            (Some(mailbox), Some(letter)) if mailbox.reach.lets_through(&letter.message) => {
                self.deliver(id);
            }
            _ => self.keep(id),
        }
    }

    fn deliver(&mut self, id: DeliveryId) {
        let Some((handed_out, expires)) = self.mail.hand_out(id) else {
            return;
        };
        if let Some(expires) = expires {
            self.timers.remove(&(expires, Due::CopyExpires(id)));
        }
        #[cfg(ccs_planted)]
        self.plant_early_forget(id);
        let HandedOut {
            device,
            message_id,
            message,
        } = handed_out;
        self.command(Command::Deliver {
            delivery: id,
            device,
            message_id,
            message,
        });
    }

    /// It waits for its device, if it has any time to.
    fn keep(&mut self, id: DeliveryId) {
        let (Some(letter), Some(copy)) = (self.mail.letter_of(id), self.mail.copy(id)) else {
            return;
        };
        let expires = letter.expires;
        if expires <= self.now {
            return self.discard(id, Discarded::Expired);
        }
        let goes = self.goes_for(id);
        #[cfg(ccs_planted)]
        let goes = self.plant_oldest_key(id, goes);
        let (goes, why) = match goes {
            Goes::Nothing => (Vec::new(), Discarded::Expired),
            Goes::SameKey(id) => (vec![id], Discarded::Collapsed),
            Goes::OldestKey(id) => (vec![id], Discarded::TooManyKeys),
            Goes::Unkeyed(ids) => (ids, Discarded::TooMany),
        };
        let goes_itself = goes.contains(&id);
        if why == Discarded::TooMany {
            let limit = self.config.kept_messages;
            if let Some(share) = self.mail.shares.find_mut(&copy.device.sender) {
                let token = &copy.device.token;
                let before = share.untold.take(token).unwrap_or_default();
                let deleted = before.saturating_add(goes.len() as u64);
                share.untold.insert(token.clone(), deleted, limit);
            }
        }
        for other in goes {
            self.discard(other, why);
        }
        if goes_itself {
            return;
        }
        self.mail.put_back(id);
        self.timers.insert((expires, Due::CopyExpires(id)));
        self.emit(HubEvent::Kept(copy));
    }

    fn goes_for(&self, id: DeliveryId) -> Goes {
        let letter = self.mail.letter_of(id);
        let key = letter.and_then(|letter| letter.message.collapses_by());
        let mailbox = self.mail.mailbox_of(id);
        mailbox.map_or(Goes::Nothing, |mailbox| {
            let (keys, unkeyed) = (self.config.collapse_keys, self.config.kept_per_device);
            mailbox.makes_room(id, key, keys, unkeyed)
        })
    }

    pub(super) fn copy_expires(&mut self, id: DeliveryId) {
        self.discard(id, Discarded::Expired);
    }

    fn discard(&mut self, id: DeliveryId, why: Discarded) {
        if let Some(taken) = self.take_copy(id) {
            self.emit(HubEvent::Discarded(taken.copy, why));
        }
    }

    pub(super) fn take_copy(&mut self, id: DeliveryId) -> Option<Taken> {
        let taken = self.mail.take(id)?;
        if let Some(expires) = taken.expires {
            self.timers.remove(&(expires, Due::CopyExpires(id)));
        }
        if let Some(letter) = taken.last_of {
            self.forget(letter);
        }
        Some(taken)
    }
}
