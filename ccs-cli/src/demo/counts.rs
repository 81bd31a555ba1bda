//! What was sent and what arrived, counted on both sides and held against each other.

use super::desk::AppSide;
use super::phones::{Chapter, Phones};

/// A message that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    pub chapter: Chapter,
    /// Who never got it.
    pub who: String,
    pub what: String,
}

/// The end of a story in numbers.
#[derive(Debug)]
pub struct Reconciled {
    pub sent: usize,
    pub acked: usize,
    pub handled: usize,
    /// Handled more than once.
    pub handled_twice: usize,
    /// Given up, and kept.
    pub dead: usize,
    /// Came again, and were known.
    pub known_copies: u32,
    pub retried: u32,
    pub connections: u32,
    pub accepted: usize,
    pub expected: usize,
    pub delivered: usize,
    /// Copies of downstream messages, which phones know by their id.
    pub copies: u32,
    pub receipts: (u32, u32),
    pub refused: u32,
    pub lost: Vec<Lost>,
    /// In their order.
    pub chapters: Vec<Chapter>,
    /// What else does not add up, in words.
    pub disagreements: Vec<String>,
}

impl Reconciled {
    pub fn new(phones: &Phones, app: &AppSide) -> Self {
        let lost = lost(phones, app);
        let arrived = |piece| phones.got.contains_key(piece);
        Self {
            sent: phones.sent.len(),
            acked: phones.acked.len(),
            handled: app.handled.len(),
            handled_twice: app.handled.values().filter(|times| **times > 1).count(),
            dead: app.dead.len(),
            known_copies: app.known_copies,
            retried: app.retried,
            connections: app.connections,
            accepted: app.accepted.len(),
            expected: phones.expected.len(),
            delivered: phones.expected.keys().filter(|p| arrived(p)).count(),
            copies: phones.copies,
            receipts: (phones.receipts_sent, phones.receipts_acked),
            refused: phones.refused,
            lost,
            chapters: phones.chapters.clone(),
            disagreements: disagreements(phones, app),
        }
    }

    pub fn lost_in(&self, chapter: Chapter) -> usize {
        let of = |lost: &&Lost| lost.chapter == chapter;
        self.lost.iter().filter(of).count()
    }
}

/// Messages that are gone, whichever way they went, and whatever was acked.
fn lost(phones: &Phones, app: &AppSide) -> Vec<Lost> {
    let missing = phones.expected.iter().filter_map(|(piece, chapter)| {
        let (who, what) = piece.clone();
        let missing = !phones.got.contains_key(piece);
        missing.then_some(Lost { chapter, who, what })
    });
    let unhandled = phones.sent.iter().filter_map(|(id, chapter)| {
        let forgotten = phones.poison.contains(id) && !app.dead.contains(id);
        let unacked = !phones.acked.contains_key(id);
        (forgotten || unacked).then(|| Lost {
            chapter,
            who: "the app server".to_owned(),
            what: id.clone(),
        })
    });
    missing.chain(unhandled).collect()
}

fn disagreements(phones: &Phones, app: &AppSide) -> Vec<String> {
    let mut found = Vec::new();
    for (piece, times) in &phones.got {
        if *times > 1 || !phones.expected.contains_key(piece) {
            let (phone, content) = piece;
            found.push(format!("{phone} got {content:?} more often than was meant"));
        }
    }
    let disputed = phones.seen.symmetric_difference(&app.accepted).count();
    if disputed > 0 {
        found.push(format!(
            "{disputed} messages were accepted or arrived, but not both"
        ));
    }
    let given_up = app.dead.iter().filter(|id| !phones.poison.contains(*id));
    for id in given_up {
        found.push(format!("{id} was given up, which a handler could do"));
    }
    for (id, times) in &app.handled {
        if *times > 1 {
            found.push(format!("{id} was handled {times} times"));
        }
    }
    let (sent, acked) = (phones.receipts_sent, phones.receipts_acked);
    if (sent, acked) != (phones.receipts_due, phones.receipts_due) {
        let due = phones.receipts_due;
        found.push(format!("receipts: {due} due, {sent} sent, {acked} acked"));
    }
    if phones.refused != phones.refusals_due {
        let (due, refused) = (phones.refusals_due, phones.refused);
        found.push(format!("refusals: {due} due, {refused} given"));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn piece(phone: &str, what: &str) -> (String, String) {
        (phone.to_owned(), what.to_owned())
    }

    #[test]
    fn what_did_not_arrive_is_lost_whatever_was_acked() {
        let mut phones = Phones::default();
        for id in ["u-1", "u-2"] {
            phones.sent.insert(id.to_owned(), "first");
            phones.acked.insert(id.to_owned(), 1);
        }
        phones.got.insert(piece("a", "one"), 1);
        phones.expected.insert(piece("a", "one"), "first");
        phones.expected.insert(piece("b", "two"), "second");
        let app = AppSide::default();
        let end = Reconciled::new(&phones, &app);
        assert_eq!(end.lost.len(), 1);
        assert_eq!((end.lost_in("first"), end.lost_in("second")), (0, 1));
        phones.acked.remove("u-2");
        assert_eq!(Reconciled::new(&phones, &app).lost.len(), 2);
    }

    #[test]
    fn a_poison_message_is_lost_unless_it_is_kept() {
        let mut phones = Phones::default();
        phones.sent.insert("u-1".to_owned(), "poison");
        phones.acked.insert("u-1".to_owned(), 1);
        phones.poison.insert("u-1".to_owned());
        let mut app = AppSide::default();
        assert_eq!(Reconciled::new(&phones, &app).lost_in("poison"), 1);
        app.dead.insert("u-1".to_owned());
        assert_eq!(Reconciled::new(&phones, &app).lost, []);
    }

    #[test]
    fn what_arrives_twice_or_for_nobody_does_not_agree_either() {
        type Sides = (Phones, AppSide);
        let good = || {
            let phones = Phones {
                expected: BTreeMap::from([(piece("a", "one"), "")]),
                got: BTreeMap::from([(piece("a", "one"), 1)]),
                seen: BTreeSet::from(["d-1".to_owned()]),
                ..Phones::default()
            };
            let app = AppSide {
                accepted: BTreeSet::from(["d-1".to_owned()]),
                ..AppSide::default()
            };
            (phones, app)
        };
        let words = |(phones, app): &Sides| Reconciled::new(phones, app).disagreements;
        assert_eq!(words(&good()), [""; 0]);

        let spoils: [fn(&mut Sides); 7] = [
            |(phones, _)| *phones.got.values_mut().next().unwrap() += 1,
            |(phones, _)| _ = phones.got.insert(piece("b", "one"), 1),
            |(phones, _)| phones.seen.clear(),
            |(phones, _)| phones.receipts_due = 1,
            |(phones, _)| phones.refused = 1,
            |(_, app)| _ = app.handled.insert("u-1".to_owned(), 2),
            |(_, app)| _ = app.dead.insert("u-1".to_owned()),
        ];
        for (at, spoil) in spoils.iter().enumerate() {
            let mut sides = good();
            spoil(&mut sides);
            assert_eq!(words(&sides).len(), 1, "spoil {at}: {:?}", words(&sides));
            assert_eq!(Reconciled::new(&sides.0, &sides.1).lost, []);
        }
    }
}
