//! What was sent and what arrived, counted on both sides and held against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the phones sent and got. They do not look at what the app server believes.
#[derive(Debug, Default)]
pub struct PhoneSide(Mutex<Phones>);

#[derive(Debug, Default)]
pub struct Phones {
    /// Ids of upstream messages that phones sent.
    pub sent: BTreeSet<String>,
    /// Ids of upstream messages that the app server acked.
    pub acked: BTreeSet<String>,
    /// What reached each phone: how often each piece of content did.
    pub got: BTreeMap<(String, String), u32>,
    /// Downstream message ids, to tell a copy from a second message.
    pub seen: BTreeSet<String>,
    pub duplicates: u32,
    pub receipts_sent: u32,
    pub receipts_acked: u32,
    pub refused: u32,
}

impl PhoneSide {
    pub fn lock(&self) -> MutexGuard<'_, Phones> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What should have reached the phones, from what the phones sent and the story asked for: each is a phone and a piece
/// of content.
pub type Expected = BTreeSet<(String, String)>;

/// The end of the story in numbers.
#[derive(Debug)]
pub struct Reconciled {
    pub upstream_sent: usize,
    pub upstream_acked: usize,
    pub expected: usize,
    pub delivered: usize,
    pub duplicates: u32,
    pub receipts: (u32, u32),
    pub refused: u32,
    /// Content that should have reached a phone and did not.
    pub lost: Vec<(String, String)>,
    /// Upstream messages that nobody acked: the endpoint would send them again.
    pub unacked: usize,
}

impl Reconciled {
    pub fn new(phones: &Phones, expected: &Expected) -> Self {
        let lost: Vec<_> = expected
            .iter()
            .filter(|content| !phones.got.contains_key(content))
            .cloned()
            .collect();
        Self {
            upstream_sent: phones.sent.len(),
            upstream_acked: phones.acked.len(),
            expected: expected.len(),
            delivered: expected.len() - lost.len(),
            duplicates: phones.duplicates,
            receipts: (phones.receipts_sent, phones.receipts_acked),
            refused: phones.refused,
            lost,
            unacked: phones.sent.difference(&phones.acked).count(),
        }
    }

    /// Messages that are gone, whichever way they went.
    pub fn losses(&self) -> usize {
        self.lost.len() + self.unacked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_arrive_is_lost_whatever_was_acked() {
        let content = |phone: &str, what: &str| (phone.to_owned(), what.to_owned());
        let mut phones = Phones::default();
        phones.sent.extend(["u-1".to_owned(), "u-2".to_owned()]);
        phones.acked.extend(["u-1".to_owned(), "u-2".to_owned()]);
        phones.got.insert(content("a", "one"), 1);
        let expected = Expected::from([content("a", "one"), content("b", "two")]);
        let end = Reconciled::new(&phones, &expected);
        assert_eq!(end.lost, [content("b", "two")]);
        assert_eq!(end.losses(), 1);
        phones.acked.remove("u-2");
        assert_eq!(Reconciled::new(&phones, &expected).losses(), 2);
    }
}
