//! Which handler gets what, how many run at once, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::deliveries::{Delivery, DeliveryToken, Verdict};
use super::event::Received;
use crate::time::Time;

/// One handler, by the caller's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HandlerId(pub u64);

/// One run of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(u64);

/// Something to run: give `received` to the handler and say how it ended with [`Router::finished`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// To be named when it is over.
    pub id: RunId,
    /// Whose turn it is.
    pub handler: HandlerId,
    /// What it is to handle.
    pub received: Received,
    /// Which try this is, from 1.
    pub attempt: u32,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// The handler has said so.
    Said(Verdict),
    /// The handler panicked: its message is tried again.
    Panicked,
}

/// What a handler has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HandlerCounts {
    /// Runs begun.
    pub runs: u64,
    /// Messages that it handled.
    pub acked: u64,
    /// Runs after which it asked for another try.
    pub retried: u64,
    /// Messages that it gave up.
    pub dead: u64,
    /// Runs in which it panicked.
    pub panicked: u64,
    /// Runs that took too long.
    pub timed_out: u64,
}

/// Gives each kind of message its handler. Decides what runs and when it has run for too long; the caller runs it.
///
/// A route by a value of `data` goes before one by category, and that before the one for receipts or for the rest. The
/// messages of one device come one at a time because the session gives them so. At the bound
/// [`wants`](Self::wants) says no, and deliveries wait in the session.
///
/// ```
/// use ccs_proto::session::{HandlerId, Router};
/// use std::time::Duration;
///
/// let mut router = Router::new(64, Duration::from_secs(30));
/// router.on_value("action", "ECHO", HandlerId(1));
/// router.on_category("com.example.app", HandlerId(2));
/// router.otherwise(HandlerId(3));
/// assert!(router.wants());
/// ```
#[derive(Debug)]
pub struct Router {
    limit: usize,
    patience: Duration,
    /// By key and value of `data`; the keys in the order in which they were first named.
    keys: Vec<String>,
    values: BTreeMap<(String, String), HandlerId>,
    categories: BTreeMap<String, HandlerId>,
    receipts: Option<HandlerId>,
    rest: Option<HandlerId>,
    next: u64,
    running: BTreeMap<RunId, Running>,
    deadlines: BTreeSet<(Time, RunId)>,
    counts: BTreeMap<HandlerId, HandlerCounts>,
    unrouted: u64,
}

#[derive(Debug)]
struct Running {
    handler: HandlerId,
    token: DeliveryToken,
    deadline: Time,
}

impl Router {
    /// A router without routes: at most `limit` runs at once, each for `patience` at most.
    #[must_use]
    pub fn new(limit: usize, patience: Duration) -> Self {
        Self {
            limit,
            patience,
            keys: Vec::new(),
            values: BTreeMap::new(),
            categories: BTreeMap::new(),
            receipts: None,
            rest: None,
            next: 0,
            running: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            counts: BTreeMap::new(),
            unrouted: 0,
        }
    }

    /// Messages whose `data` has this value for this key, such as `action` and `ECHO`. Of several keys that fit, the one
    /// that was named first decides.
    pub fn on_value(
        &mut self,
        key: impl Into<String>,
        value: impl Into<String>,
        handler: HandlerId,
    ) {
        let key = key.into();
        if !self.keys.contains(&key) {
            self.keys.push(key.clone());
        }
        self.values.insert((key, value.into()), handler);
    }

    /// Messages of this app, which no value of their `data` gives to another handler.
    pub fn on_category(&mut self, category: impl Into<String>, handler: HandlerId) {
        self.categories.insert(category.into(), handler);
    }

    /// Receipts. Without this they are acked as they come.
    pub fn on_receipts(&mut self, handler: HandlerId) {
        self.receipts = Some(handler);
    }

    /// Every other message. Without this they are dead letters: kept, and acked.
    pub fn otherwise(&mut self, handler: HandlerId) {
        self.rest = Some(handler);
    }

    /// Whether one more may run now.
    #[must_use]
    pub fn wants(&self) -> bool {
        self.running.len() < self.limit
    }

    /// Runs at this moment.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Takes a delivery: something to run, or what is to be said of it at once because it has no handler.
    ///
    /// # Errors
    /// The verdict for [`Session::handled`](super::Session::handled).
    pub fn start(
        &mut self,
        now: Time,
        delivery: Delivery,
    ) -> Result<Run, (DeliveryToken, Verdict)> {
        let Delivery {
            received,
            token,
            attempt,
            ..
        } = delivery;
        let Some(handler) = self.route(&received) else {
            self.unrouted = self.unrouted.saturating_add(1);
            let verdict = match received {
                Received::Upstream(_) => Verdict::Dead,
                Received::Receipt(_) => Verdict::Ack,
            };
            return Err((token, verdict));
        };
        let id = RunId(self.next);
        self.next = self.next.wrapping_add(1);
        let deadline = now + self.patience;
        self.deadlines.insert((deadline, id));
        self.counts_of(handler).runs += 1;
        self.running.insert(
            id,
            Running {
                handler,
                token,
                deadline,
            },
        );
        Ok(Run {
            id,
            handler,
            received,
            attempt,
        })
    }

    fn route(&self, received: &Received) -> Option<HandlerId> {
        let message = match received {
            Received::Receipt(_) => return self.receipts,
            Received::Upstream(message) => message,
        };
        let by_value = || {
            let data = message.data()?;
            self.keys.iter().find_map(|key| {
                let value = data.get(key)?;
                self.values.get(&(key.clone(), value.into_owned())).copied()
            })
        };
        let by_category = || self.categories.get(message.category()?).copied();
        by_value().or_else(by_category).or(self.rest)
    }

    /// A run is over. Gives what is to be said of its message; nothing when it had taken too long before that.
    pub fn finished(&mut self, id: RunId, end: RunEnd) -> Option<(DeliveryToken, Verdict)> {
        let run = self.running.remove(&id)?;
        self.deadlines.remove(&(run.deadline, id));
        let counts = self.counts_of(run.handler);
        let verdict = match end {
            RunEnd::Said(verdict) => verdict,
            RunEnd::Panicked => {
                counts.panicked += 1;
                Verdict::Retry
            }
        };
        match verdict {
            Verdict::Ack => counts.acked += 1,
            Verdict::Retry => counts.retried += 1,
            Verdict::Dead => counts.dead += 1,
        }
        Some((run.token, verdict))
    }

    /// When the next run will have taken too long.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// A run that has taken too long by now: stop it. Its message is tried again. Call until there is none.
    pub fn overdue(&mut self, now: Time) -> Option<(RunId, DeliveryToken, Verdict)> {
        let (due, id) = self.deadlines.first().copied()?;
        if due > now {
            return None;
        }
        self.deadlines.pop_first();
        let run = self.running.remove(&id)?;
        let counts = self.counts_of(run.handler);
        counts.timed_out += 1;
        counts.retried += 1;
        Some((id, run.token, Verdict::Retry))
    }

    /// What a handler has done so far.
    #[must_use]
    pub fn counts(&self, handler: HandlerId) -> HandlerCounts {
        self.counts.get(&handler).copied().unwrap_or_default()
    }

    /// Messages and receipts that no handler was there for.
    #[must_use]
    pub fn unrouted(&self) -> u64 {
        self.unrouted
    }

    fn counts_of(&mut self, handler: HandlerId) -> &mut HandlerCounts {
        self.counts.entry(handler).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::ConnectionId;
    use crate::message::{Data, Receipt, Upstream};

    const PATIENCE: Duration = Duration::from_secs(30);

    fn delivery(number: u64, received: Received) -> Delivery {
        Delivery {
            received,
            token: DeliveryToken { session: 1, number },
            attempt: 1,
            connection: ConnectionId(1),
        }
    }

    fn upstream(data: &[(&str, &str)], category: &str) -> Received {
        let data: Data = data.iter().copied().collect();
        let message = Upstream::new("phone-1", "u-1");
        Received::Upstream(Box::new(message.with_data(data).with_category(category)))
    }

    fn receipt() -> Received {
        Received::Receipt(Box::new(Receipt::new(&"m-1".into(), "phone-1", 0)))
    }

    #[test]
    fn a_value_goes_before_the_category_and_that_before_the_rest() {
        let mut router = Router::new(100, PATIENCE);
        router.on_value("action", "ECHO", HandlerId(1));
        router.on_value("kind", "news", HandlerId(2));
        router.on_category("app", HandlerId(3));
        router.otherwise(HandlerId(4));
        router.on_receipts(HandlerId(5));
        let cases = [
            (upstream(&[("action", "ECHO")], "app"), 1),
            (upstream(&[("kind", "news"), ("action", "ECHO")], "app"), 1),
            (upstream(&[("kind", "news"), ("action", "other")], "app"), 2),
            (upstream(&[("action", "other")], "app"), 3),
            (upstream(&[], "another app"), 4),
            (receipt(), 5),
        ];
        for (received, handler) in cases {
            let run = router.start(Time::ZERO, delivery(0, received.clone()));
            assert_eq!(run.unwrap().handler, HandlerId(handler), "{received:?}");
        }
    }

    #[test]
    fn what_has_no_handler_is_kept_as_dead_and_a_receipt_is_acked() {
        let mut router = Router::new(100, PATIENCE);
        let lost = router.start(Time::ZERO, delivery(1, upstream(&[], "app")));
        assert_eq!(lost.unwrap_err().1, Verdict::Dead);
        let receipt = router.start(Time::ZERO, delivery(2, receipt()));
        assert_eq!(receipt.unwrap_err().1, Verdict::Ack);
        assert_eq!((router.unrouted(), router.running()), (2, 0));
    }

    #[test]
    fn runs_are_bounded_and_each_ends_once() {
        let mut router = Router::new(2, PATIENCE);
        router.otherwise(HandlerId(1));
        let start = |router: &mut Router, number| {
            let started = router.start(Time::ZERO, delivery(number, upstream(&[], "app")));
            started.unwrap().id
        };
        let first = start(&mut router, 1);
        assert!(router.wants());
        let second = start(&mut router, 2);
        assert!(!router.wants());
        let (token, verdict) = router.finished(first, RunEnd::Said(Verdict::Ack)).unwrap();
        assert_eq!((token.number, verdict), (1, Verdict::Ack));
        assert!(router.wants());
        assert_eq!(router.finished(first, RunEnd::Said(Verdict::Ack)), None);
        let (token, verdict) = router.finished(second, RunEnd::Panicked).unwrap();
        assert_eq!(
            (token.number, verdict),
            (2, Verdict::Retry),
            "a panic is a try"
        );
        let counts = router.counts(HandlerId(1));
        assert_eq!((counts.runs, counts.acked, counts.retried), (2, 1, 1));
        assert_eq!(counts.panicked, 1);
        assert_eq!(router.poll_timeout(), None);
    }

    #[test]
    fn a_run_that_takes_too_long_is_a_try_and_its_late_end_says_nothing() {
        let mut router = Router::new(2, PATIENCE);
        router.otherwise(HandlerId(1));
        let run = router.start(Time::ZERO, delivery(7, upstream(&[], "app")));
        let id = run.unwrap().id;
        let due = router.poll_timeout().unwrap();
        assert_eq!(due, Time::ZERO + PATIENCE);
        let early = Time::from_origin(PATIENCE - Duration::from_nanos(1));
        assert_eq!(router.overdue(early), None);
        let (stopped, token, verdict) = router.overdue(due).unwrap();
        assert_eq!((stopped, token.number, verdict), (id, 7, Verdict::Retry));
        assert_eq!(router.overdue(due), None);
        assert_eq!(router.finished(id, RunEnd::Said(Verdict::Ack)), None);
        assert_eq!(router.counts(HandlerId(1)).timed_out, 1);
        assert!(router.wants());
    }
}
