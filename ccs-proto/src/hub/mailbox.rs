//! What waits for one device, and what has to go when there is too much of it.

use std::collections::{BTreeMap, BTreeSet};

use super::mail::{DeliveryId, Device};
use super::share::ShareNo;
use crate::message::Downstream;

/// Whether a device can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It gets everything.
    Online,
    /// It gets everything but what is to wait while it is idle (`delay_while_idle`).
    Idle,
    /// It gets nothing.
    Offline,
}

impl Reach {
    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Idle => "idle",
            Self::Offline => "offline",
        }
    }

    pub(super) fn lets_through(self, message: &Downstream) -> bool {
        match self {
            Self::Online => true,
            Self::Idle => !message.waits_while_idle(),
            Self::Offline => false,
        }
    }
}

/// One device for which there is something.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) device: Device,
    pub(super) share: ShareNo,
    pub(super) reach: Reach,
    /// Copies that wait, in order.
    waiting: BTreeSet<DeliveryId>,
    /// The one of each collapse key.
    keyed: BTreeMap<String, DeliveryId>,
    /// All copies: those that wait, that are being stored, and that are on their way.
    pub(super) copies: usize,
}

/// What has to go so that one more message can wait. That may be the message itself, if it was given back and newer ones
/// wait by now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Goes {
    Nothing,
    /// The older one of the same collapse key: the last one wins.
    SameKey(DeliveryId),
    /// The oldest one with a collapse key, since there is no room for another key.
    OldestKey(DeliveryId),
    /// All those without a collapse key.
    Unkeyed(Vec<DeliveryId>),
}

impl Mailbox {
    pub(super) fn new(device: Device, share: ShareNo, reach: Reach) -> Self {
        Self {
            device,
            share,
            reach,
            waiting: BTreeSet::new(),
            keyed: BTreeMap::new(),
            copies: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.copies == 0
    }

    /// What waits, the oldest first.
    pub(super) fn waiting(&self) -> Vec<DeliveryId> {
        self.waiting.iter().copied().collect()
    }

    /// A copy waits, for which [room was made](Self::makes_room).
    pub(super) fn put(&mut self, id: DeliveryId, key: Option<&str>) {
        self.waiting.insert(id);
        if let Some(key) = key {
            self.keyed.insert(key.to_owned(), id);
        }
    }

    /// A copy waits no longer, if it did.
    pub(super) fn take(&mut self, id: DeliveryId, key: Option<&str>) {
        if self.waiting.remove(&id)
            && let Some(key) = key
        {
            self.keyed.remove(key);
        }
    }

    /// What has to go for a message and its collapse key.
    pub(super) fn makes_room(
        &self,
        id: DeliveryId,
        key: Option<&str>,
        max_keys: usize,
        max_unkeyed: usize,
    ) -> Goes {
        let Some(key) = key else {
            if self.waiting.len().saturating_sub(self.keyed.len()) < max_unkeyed {
                return Goes::Nothing;
            }
            let keyed = self.keyed.values().copied().collect();
            return Goes::Unkeyed(self.waiting.difference(&keyed).copied().collect());
        };
        if let Some(same) = self.keyed.get(key) {
            return Goes::SameKey(id.min(*same));
        }
        match self.keyed.values().min() {
            Some(oldest) if self.keyed.len() >= max_keys => Goes::OldestKey(id.min(*oldest)),
            _ => Goes::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::share::Shares;
    use super::*;

    fn empty() -> Mailbox {
        let sender = "1".parse().unwrap();
        let share = Shares::default().of(&sender);
        let device = Device::new(sender, "phone-1".into());
        Mailbox::new(device, share, Reach::Offline)
    }

    fn goes(waiting: &[Option<&str>], key: Option<&str>) -> Goes {
        goes_for(waiting, 9, key)
    }

    fn goes_for(waiting: &[Option<&str>], id: u64, key: Option<&str>) -> Goes {
        let mut mailbox = empty();
        for (id, key) in (1..).zip(waiting) {
            mailbox.put(DeliveryId(id), *key);
        }
        mailbox.makes_room(DeliveryId(id), key, 2, 3)
    }

    #[test]
    fn the_last_of_a_key_wins_and_the_oldest_key_makes_room_for_another() {
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(goes(&[a, None], b), Goes::Nothing);
        assert_eq!(goes(&[b, a], a), Goes::SameKey(DeliveryId(2)));
        let oldest = Goes::OldestKey(DeliveryId(1));
        assert_eq!(goes(&[b, None, a], Some("c")), oldest);
    }

    #[test]
    fn an_older_message_takes_no_newer_ones_place() {
        let (a, b, own) = (Some("a"), Some("b"), DeliveryId(0));
        assert_eq!(goes_for(&[a, b], 0, b), Goes::SameKey(own));
        assert_eq!(goes_for(&[a, b], 0, Some("c")), Goes::OldestKey(own));
        assert_eq!(goes_for(&[a], 0, b), Goes::Nothing);
    }

    #[test]
    fn one_message_too_many_without_a_key_takes_all_others_with_it() {
        assert_eq!(goes(&[None, None, Some("a")], None), Goes::Nothing);
        let full = [None, Some("a"), None, None];
        let all = [1, 3, 4].map(DeliveryId).to_vec();
        assert_eq!(goes(&full, None), Goes::Unkeyed(all));
        assert_eq!(goes(&full, Some("a")), Goes::SameKey(DeliveryId(2)));
    }

    #[test]
    fn a_key_is_free_when_its_message_is_gone() {
        let mut mailbox = empty();
        mailbox.put(DeliveryId(1), Some("a"));
        // It never waited.
        mailbox.take(DeliveryId(2), Some("a"));
        let makes_room = |mailbox: &Mailbox| mailbox.makes_room(DeliveryId(3), Some("a"), 2, 3);
        assert_eq!(makes_room(&mailbox), Goes::SameKey(DeliveryId(1)));
        mailbox.take(DeliveryId(1), Some("a"));
        assert_eq!(makes_room(&mailbox), Goes::Nothing);
    }
}
