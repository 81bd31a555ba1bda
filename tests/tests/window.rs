//! The window against a model that does everything the slow way.

use std::time::Duration;

use ccs_proto::Time;
use ccs_proto::internals::{Full, Window};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Op {
    Reserve,
    GiveBack,
    Enqueue(u8),
    HandOut,
    Settle(u8),
    FirstFrom(u8),
    Cancel(u8),
    Overdue,
    TakeQueued,
    TakeInFlight,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..8_u8;
    prop_oneof![
        8 => Just(Op::Reserve),
        1 => Just(Op::GiveBack),
        8 => key.clone().prop_map(Op::Enqueue),
        8 => Just(Op::HandOut),
        6 => key.clone().prop_map(Op::Settle),
        2 => key.clone().prop_map(Op::FirstFrom),
        2 => key.prop_map(Op::Cancel),
        2 => Just(Op::Overdue),
        1 => Just(Op::TakeQueued),
        1 => Just(Op::TakeInFlight),
    ]
}

/// A message under way, by its key and a number that no other has.
#[derive(Debug, Clone, Copy)]
struct Sent {
    key: u8,
    number: usize,
    since: Time,
    reported: bool,
}

/// Two lists and a count.
#[derive(Debug, Default)]
struct Model {
    reserved: usize,
    queued: Vec<(u8, usize)>,
    in_flight: Vec<Sent>,
}

impl Model {
    fn capacity(&self, limit: usize) -> usize {
        limit - self.reserved - self.queued.len() - self.in_flight.len()
    }

    fn has(&self, key: u8) -> bool {
        self.queued.iter().any(|(queued, _)| *queued == key)
            || self.in_flight.iter().any(|sent| sent.key == key)
    }
}

const PATIENCE: Duration = Duration::from_secs(3);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_window_does_what_two_lists_would_do(
        limit in 0..5_usize, ops in prop::collection::vec(op(), 0..200),
    ) {
        let mut window: Window<u8, usize> = Window::new(limit);
        let mut model = Model::default();
        for (number, op) in ops.into_iter().enumerate() {
            let now = Time::ZERO + Duration::from_secs(number as u64);
            match op {
                Op::Reserve => {
                    let free = model.capacity(limit) > 0;
                    model.reserved += usize::from(free);
                    prop_assert_eq!(window.reserve(), if free { Ok(()) } else { Err(Full) });
                }
                Op::GiveBack => {
                    model.reserved = model.reserved.saturating_sub(1);
                    window.give_back();
                }
                Op::Enqueue(key) if model.reserved > 0 => {
                    model.reserved -= 1;
                    let taken = !model.has(key);
                    if taken {
                        model.queued.push((key, number));
                    }
                    prop_assert_eq!(window.enqueue(key, number), if taken { Ok(()) } else { Err(number) });
                }
                Op::Enqueue(_) => {}
                Op::HandOut => {
                    let next = (!model.queued.is_empty()).then(|| model.queued.remove(0));
                    if let Some((key, number)) = next {
                        model.in_flight.push(Sent { key, number, since: now, reported: false });
                    }
                    prop_assert_eq!(window.hand_out(now).copied(), next.map(|(_, number)| number));
                }
                Op::Settle(key) => {
                    let at = model.in_flight.iter().position(|sent| sent.key == key);
                    let settled = at.map(|at| model.in_flight.remove(at).number);
                    prop_assert_eq!(window.settle(&key), settled);
                }
                Op::FirstFrom(key) => {
                    let keys = model.in_flight.iter().map(|sent| sent.key);
                    let first = keys.filter(|found| *found >= key).min();
                    prop_assert_eq!(window.first_from(key..).copied(), first);
                }
                Op::Cancel(key) => {
                    let at = model.queued.iter().position(|(queued, _)| *queued == key);
                    let cancelled = at.map(|at| model.queued.remove(at).1);
                    prop_assert_eq!(window.cancel(&key), cancelled);
                }
                Op::Overdue => {
                    let next = model.in_flight.iter_mut().find(|sent| !sent.reported);
                    let at = next.as_ref().map(|sent| sent.since + PATIENCE);
                    prop_assert_eq!(window.next_overdue(PATIENCE), at);
                    let overdue = next.filter(|sent| sent.since + PATIENCE <= now);
                    let number = overdue.map(|sent| {
                        sent.reported = true;
                        sent.number
                    });
                    prop_assert_eq!(window.take_overdue(PATIENCE, now).copied(), number);
                }
                Op::TakeQueued => {
                    let taken = std::mem::take(&mut model.queued).into_iter();
                    prop_assert_eq!(window.take_queued(), taken.map(|(_, number)| number).collect::<Vec<_>>());
                }
                Op::TakeInFlight => {
                    let taken = std::mem::take(&mut model.in_flight).into_iter();
                    prop_assert_eq!(window.take_in_flight(), taken.map(|sent| sent.number).collect::<Vec<_>>());
                }
            }
            prop_assert_eq!(window.capacity(), model.capacity(limit));
            prop_assert_eq!(window.in_flight(), model.in_flight.len());
            prop_assert_eq!(window.queued(), model.queued.len());
            let oldest = model.in_flight.first().map(|sent| (sent.key, sent.since));
            prop_assert_eq!(window.oldest().map(|(key, since)| (*key, since)), oldest);
        }
    }
}
