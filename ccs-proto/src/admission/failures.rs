//! Token buckets that are charged by failures, of as many keys as memory is kept for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::FailureLimit;
use crate::time::Time;

/// What each key owes. A key that owes nothing needs no entry, so strangers that do not fail cost nothing.
#[derive(Debug)]
pub(super) struct Failures<K> {
    limit: FailureLimit,
    remembered: usize,
    debts: BTreeMap<K, Debt>,
    /// Keys by when they failed last.
    by_age: BTreeMap<u64, K>,
    next: u64,
}

#[derive(Debug)]
struct Debt {
    /// When all failures are paid off. Each costs one interval, from then or from now on.
    paid_at: Time,
    age: u64,
}

impl<K: Ord + Clone> Failures<K> {
    pub(super) fn new(limit: FailureLimit, remembered: usize) -> Self {
        Self {
            limit,
            remembered: remembered.max(1),
            debts: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
        }
    }

    /// How long until one more failure would be within the limit; `None` if it is now.
    pub(super) fn wait(&self, now: Time, key: &K) -> Option<Duration> {
        let paid_at = self.debts.get(key)?.paid_at.since_origin();
        let owed = paid_at.saturating_sub(now.since_origin());
        let wait = owed
            .saturating_add(self.interval())
            .saturating_sub(self.limit.within);
        (!wait.is_zero()).then_some(wait)
    }

    pub(super) fn charge(&mut self, now: Time, key: K) {
        let interval = self.interval();
        let age = self.next;
        self.next = self.next.wrapping_add(1);
        let debt = self
            .debts
            .entry(key.clone())
            .or_insert(Debt { paid_at: now, age });
        debt.paid_at = debt.paid_at.max(now).after(interval);
        let older = std::mem::replace(&mut debt.age, age);
        self.by_age.remove(&older);
        self.by_age.insert(age, key);
        if self.debts.len() > self.remembered
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.debts.remove(&oldest);
        }
    }

    /// What one failure costs.
    fn interval(&self) -> Duration {
        let count = self.limit.count.max(1);
        self.limit.within.checked_div(count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: FailureLimit = FailureLimit {
        count: 3,
        within: Duration::from_secs(30),
    };

    fn at(seconds: u64) -> Time {
        Time::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn the_limit_fills_at_once_and_one_place_comes_back_each_interval() {
        let mut failures = Failures::new(LIMIT, 10);
        for n in 0..3 {
            assert_eq!(failures.wait(at(0), &'a'), None, "{n}");
            failures.charge(at(0), 'a');
        }
        assert_eq!(failures.wait(at(0), &'a'), Some(Duration::from_secs(10)));
        assert_eq!(failures.wait(at(9), &'a'), Some(Duration::from_secs(1)));
        assert_eq!(failures.wait(at(10), &'a'), None);
        assert_eq!(failures.wait(at(0), &'b'), None, "another's bucket");
        failures.charge(at(10), 'a');
        assert_eq!(failures.wait(at(10), &'a'), Some(Duration::from_secs(10)));
        // Never more than the limit at once, however long it was quiet.
        for _ in 0..3 {
            failures.charge(at(1_000), 'a');
        }
        assert!(failures.wait(at(1_000), &'a').is_some());
    }

    #[test]
    fn what_was_overdrawn_is_paid_off() {
        let mut failures = Failures::new(LIMIT, 10);
        for _ in 0..6 {
            failures.charge(at(0), 'a');
        }
        assert_eq!(failures.wait(at(0), &'a'), Some(Duration::from_secs(40)));
        assert_eq!(failures.wait(at(40), &'a'), None);
    }

    #[test]
    fn at_the_bound_the_key_that_failed_least_recently_is_forgotten() {
        let mut failures = Failures::new(LIMIT, 2);
        for key in ['a', 'a', 'a', 'b', 'b', 'b', 'a', 'c'] {
            failures.charge(at(0), key);
        }
        assert!(failures.wait(at(0), &'a').is_some());
        assert_eq!(failures.wait(at(0), &'b'), None);
        assert_eq!(failures.debts.len(), 2);
        assert_eq!(failures.by_age.len(), 2);
    }

    #[test]
    fn a_limit_of_nothing_is_a_limit_of_one() {
        let none = FailureLimit { count: 0, ..LIMIT };
        let mut failures = Failures::new(none, 0);
        assert_eq!(failures.wait(at(0), &'a'), None);
        failures.charge(at(0), 'a');
        assert_eq!(failures.wait(at(0), &'a'), Some(LIMIT.within));
    }
}
