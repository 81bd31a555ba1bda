//! What waits for one device, and what has to go when there is too much of it.

use std::collections::BTreeSet;

use super::mail::DeliveryId;
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
    pub(super) reach: Reach,
    /// Copies that wait, in order.
    pub(super) waiting: BTreeSet<DeliveryId>,
    /// All copies: those that wait, that are being stored, and that are on their way.
    pub(super) copies: usize,
}

impl Mailbox {
    pub(super) fn new(reach: Reach) -> Self {
        Self {
            reach,
            waiting: BTreeSet::new(),
            copies: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.copies == 0
    }
}

/// What has to go so that one more message can wait. That may be the message itself, if it was given back and newer ones
/// wait by now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Goes {
    Nothing,
    /// Those of the same collapse key: the last one wins.
    SameKey(Vec<DeliveryId>),
    /// Those of the oldest collapse key, since there is no room for another key.
    OldestKey(Vec<DeliveryId>),
    /// All those without a collapse key.
    Unkeyed(Vec<DeliveryId>),
}

/// Decides that, for a message and its collapse key. `waiting` are those that wait and their keys, the oldest first; there
/// are no more than a device may have.
pub(super) fn makes_room<'a>(
    waiting: impl Iterator<Item = (DeliveryId, Option<&'a str>)>,
    (id, key): (DeliveryId, Option<&str>),
    max_keys: usize,
    max_unkeyed: usize,
) -> Goes {
    let (keyed, unkeyed): (Vec<_>, Vec<_>) = waiting.partition(|(_, key)| key.is_some());
    let of = |wanted: Option<&str>| {
        let same = keyed.iter().filter(|(_, key)| *key == wanted);
        same.map(|(id, _)| *id).collect::<Vec<_>>()
    };
    let Some(key) = key else {
        return if unkeyed.len() >= max_unkeyed {
            Goes::Unkeyed(unkeyed.into_iter().map(|(id, _)| id).collect())
        } else {
            Goes::Nothing
        };
    };
    let same = of(Some(key));
    match same.last() {
        Some(newest) if *newest > id => return Goes::SameKey(vec![id]),
        Some(_) => return Goes::SameKey(same),
        None => {}
    }
    let keys: BTreeSet<_> = keyed.iter().map(|(_, key)| *key).collect();
    match keyed.first() {
        Some((oldest, _)) if keys.len() >= max_keys && *oldest > id => Goes::OldestKey(vec![id]),
        Some((_, oldest)) if keys.len() >= max_keys => Goes::OldestKey(of(*oldest)),
        _ => Goes::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(waiting: &[Option<&str>], key: Option<&str>) -> Goes {
        goes_for(waiting, 9, key)
    }

    fn goes_for(waiting: &[Option<&str>], id: u64, key: Option<&str>) -> Goes {
        let ids = (1..).map(DeliveryId);
        makes_room(
            ids.zip(waiting.iter().copied()),
            (DeliveryId(id), key),
            2,
            3,
        )
    }

    fn ids(numbers: &[u64]) -> Vec<DeliveryId> {
        numbers.iter().copied().map(DeliveryId).collect()
    }

    #[test]
    fn the_last_of_a_key_wins_and_the_oldest_key_makes_room_for_another() {
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(goes(&[a, None], b), Goes::Nothing);
        assert_eq!(goes(&[a, b, a], a), Goes::SameKey(ids(&[1, 3])));
        assert_eq!(goes(&[b, None, a], Some("c")), Goes::OldestKey(ids(&[1])));
    }

    #[test]
    fn an_older_message_takes_no_newer_ones_place() {
        let (a, b) = (Some("a"), Some("b"));
        assert_eq!(goes_for(&[a, b], 0, b), Goes::SameKey(ids(&[0])));
        assert_eq!(goes_for(&[a, b], 0, Some("c")), Goes::OldestKey(ids(&[0])));
        assert_eq!(goes_for(&[a], 0, b), Goes::Nothing);
    }

    #[test]
    fn one_message_too_many_without_a_key_takes_all_others_with_it() {
        assert_eq!(goes(&[None, None, Some("a")], None), Goes::Nothing);
        let full = [None, Some("a"), None, None];
        assert_eq!(goes(&full, None), Goes::Unkeyed(ids(&[1, 3, 4])));
        assert_eq!(goes(&full, Some("a")), Goes::SameKey(ids(&[2])));
    }
}
