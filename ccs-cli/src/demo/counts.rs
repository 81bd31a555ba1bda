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
    /// Ids of downstream messages that arrived, to tell a copy from a second message.
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

/// What the app server believes. Nothing is counted as delivered because of it; it has to agree with the phones.
#[derive(Debug, Default)]
pub struct AppSide {
    /// Ids of upstream messages whose handler succeeded.
    pub handled: BTreeSet<String>,
    /// Ids of downstream messages that the endpoint accepted.
    pub accepted: BTreeSet<String>,
    /// How many of the accepted belong to the broadcast.
    pub broadcast: usize,
}

/// What should have reached the phones, from what the phones sent and the story asked for: each is a phone and a piece
/// of content.
pub type Expected = BTreeSet<(String, String)>;

/// The end of the story in numbers.
#[derive(Debug)]
pub struct Reconciled {
    pub upstream_sent: usize,
    pub upstream_handled: usize,
    pub upstream_acked: usize,
    pub accepted: usize,
    pub broadcast: usize,
    pub expected: usize,
    pub delivered: usize,
    pub duplicates: u32,
    pub receipts: (u32, u32),
    pub refused: u32,
    /// Content that should have reached a phone and did not.
    pub lost: Vec<(String, String)>,
    /// Content that reached a phone which nobody meant it for, or that reached it twice as two messages.
    pub extra: Vec<(String, String)>,
    /// Downstream messages of which one side knows and the other does not.
    pub disputed: usize,
    /// Upstream messages that nobody acked: the endpoint would send them again.
    pub unacked: usize,
}

impl Reconciled {
    pub fn new(phones: &Phones, app: &AppSide, expected: &Expected) -> Self {
        let lost: Vec<_> = expected
            .iter()
            .filter(|content| !phones.got.contains_key(content))
            .cloned()
            .collect();
        let extra = phones
            .got
            .iter()
            .filter(|&(content, &times)| times > 1 || !expected.contains(content))
            .map(|(content, _)| content.clone())
            .collect();
        Self {
            upstream_sent: phones.sent.len(),
            upstream_handled: app.handled.len(),
            upstream_acked: phones.acked.len(),
            accepted: app.accepted.len(),
            broadcast: app.broadcast,
            expected: expected.len(),
            delivered: expected.len() - lost.len(),
            duplicates: phones.duplicates,
            receipts: (phones.receipts_sent, phones.receipts_acked),
            refused: phones.refused,
            lost,
            extra,
            disputed: phones.seen.symmetric_difference(&app.accepted).count(),
            unacked: phones.sent.difference(&phones.acked).count(),
        }
    }

    /// Messages that are gone, whichever way they went.
    pub fn losses(&self) -> usize {
        self.lost.len() + self.unacked
    }

    /// What else does not add up, in words. One message is refused and one receipt asked for in each story.
    pub fn disagreements(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (phone, content) in &self.extra {
            found.push(format!("{phone} got {content:?} more often than was meant"));
        }
        if self.disputed > 0 {
            found.push(format!(
                "{} messages were accepted or arrived, but not both",
                self.disputed
            ));
        }
        if self.receipts != (1, 1) {
            let (sent, acked) = self.receipts;
            found.push(format!(
                "1 receipt was due; {sent} were sent, {acked} acked"
            ));
        }
        if self.refused != 1 {
            found.push(format!("1 refusal was due; there were {}", self.refused));
        }
        found
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
        let app = AppSide::default();
        let end = Reconciled::new(&phones, &app, &expected);
        assert_eq!(end.lost, [content("b", "two")]);
        assert_eq!(end.losses(), 1);
        phones.acked.remove("u-2");
        assert_eq!(Reconciled::new(&phones, &app, &expected).losses(), 2);
    }

    #[test]
    fn what_arrives_twice_or_for_nobody_does_not_agree_either() {
        let content = |phone: &str, what: &str| (phone.to_owned(), what.to_owned());
        let good = || Phones {
            got: BTreeMap::from([(content("a", "one"), 1)]),
            seen: BTreeSet::from(["d-1".to_owned()]),
            receipts_sent: 1,
            receipts_acked: 1,
            refused: 1,
            ..Phones::default()
        };
        let app = AppSide {
            accepted: BTreeSet::from(["d-1".to_owned()]),
            ..AppSide::default()
        };
        let expected = Expected::from([content("a", "one")]);
        let words = |phones: &Phones| Reconciled::new(phones, &app, &expected).disagreements();
        assert!(words(&good()).is_empty());

        let spoils: [fn(&mut Phones); 5] = [
            |phones| *phones.got.values_mut().next().unwrap() += 1,
            |phones| _ = phones.got.insert(("b".to_owned(), "one".to_owned()), 1),
            |phones| phones.seen.clear(),
            |phones| phones.receipts_acked = 0,
            |phones| phones.refused = 0,
        ];
        for (at, spoil) in spoils.iter().enumerate() {
            let mut phones = good();
            spoil(&mut phones);
            assert_eq!(words(&phones).len(), 1, "spoil {at}: {:?}", words(&phones));
            assert_eq!(Reconciled::new(&phones, &app, &expected).losses(), 0);
        }
    }
}
