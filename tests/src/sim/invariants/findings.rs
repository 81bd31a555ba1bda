//! What a run has met, and the first rule that it broke: one for all who check.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use ccs_proto::Time;

use crate::sim::seen::{Seen, Sight};

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// What is accepted is settled in the end, and what is acked is with the endpoint.
    NoLoss,
    /// What is accepted is stored.
    AcceptedIsStored,
    /// No ack before it is stored that the message was handled.
    NoEarlyAck,
    /// An ack goes out where the message came by, once for each time that it came.
    AckWhereItCame,
    /// An app server sends no nack.
    NoNack,
    /// No more than the window is in flight.
    Window,
    /// Whatever was in flight is acked, nacked or unknown, and it is told how many are unknown.
    Answers,
    /// An id belongs to one message, on every try.
    SameId,
    /// A message is in flight once; what was handled is not handled again.
    NoNeedlessCopy,
    /// Nothing new goes out on a draining connection.
    Draining,
    /// What is refused for good, expired, cancelled or settled is not sent.
    NothingAfterTheEnd,
    /// The outcome that is told is the one that was.
    TrueOutcome,
    /// An outcome is told once.
    OneOutcome,
    /// Tries have an end.
    FiniteTries,
    /// No dial before its time.
    DialWaits,
    /// Whatever is held has a bound.
    Bounds,
    /// The messages of one device are handled in order, one at a time.
    DeviceOrder,
    /// Nothing is sent before the stream is bound.
    LoginFirst,
    /// Without faults everything comes to its end, in so many round trips.
    Progress,
    /// A message that nobody can bear holds up others for no longer than its own tries take.
    Isolation,
    /// What one sender sends and gets is no other's, whatever its id.
    Identity,
    /// It makes no difference in which pieces bytes arrive.
    AnyPieces,
    /// No word about the key.
    Secret,
}

/// A rule was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// When, since the start of the run.
    pub at: Time,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.since_origin().as_secs_f64();
        write!(f, "{:?} broken at {at:.3} s: {}", self.rule, self.what)
    }
}

/// Shared by everything in one run.
#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct Findings(Rc<RefCell<Found>>);

#[derive(Debug, Default)]
struct Found {
    now: Time,
    seen: Seen,
    violation: Option<Violation>,
}

impl Findings {
    pub(in crate::sim) fn now(&self) -> Time {
        self.0.borrow().now
    }

    pub(in crate::sim) fn set_now(&self, now: Time) {
        self.0.borrow_mut().now = now;
    }

    pub(in crate::sim) fn see(&self, sight: Sight) {
        self.0.borrow_mut().seen.see(sight);
    }

    /// Notes a broken rule; the first one counts.
    pub(in crate::sim) fn broken(&self, rule: Rule, what: impl FnOnce() -> String) {
        if self.is_right() {
            let at = self.now();
            let what = what();
            self.0.borrow_mut().violation = Some(Violation { rule, at, what });
        }
    }

    pub(in crate::sim) fn check(&self, holds: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(rule, what);
        }
    }

    pub(in crate::sim) fn is_right(&self) -> bool {
        self.0.borrow().violation.is_none()
    }

    /// Everything that was found.
    pub(in crate::sim) fn take(&self) -> (Seen, Option<Violation>) {
        let mut found = self.0.borrow_mut();
        (std::mem::take(&mut found.seen), found.violation.take())
    }
}
