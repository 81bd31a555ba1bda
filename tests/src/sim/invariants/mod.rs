//! What must hold after every event, whatever goes wrong.

mod downstream;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ccs_proto::message::Retry;
use ccs_proto::session::SessionEvent;
use ccs_proto::{ConnectionError, ConnectionId, Time};

pub(super) use downstream::Message;
pub(super) use upstream::{Key, Upward};

use super::plan::Settings;
use super::seen::{Seen, Sight};
use super::wiretap::{Answer, Stanza};

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
    /// Without faults everything comes to its end.
    Progress,
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

/// A connection as the app server sees it.
#[derive(Debug, Default)]
struct Seat {
    bound: bool,
    draining: bool,
    /// The session leaves it, once what is in flight there is answered (seed 140783).
    left: bool,
    after_drain: bool,
    in_flight: BTreeSet<String>,
}

/// What every message has been through, and the first rule that was broken.
#[derive(Debug)]
pub(super) struct Books {
    settings: Settings,
    pub(super) now: Time,
    pub(super) seen: Seen,
    pub(super) violation: Option<Violation>,
    seats: BTreeMap<ConnectionId, Seat>,
    not_before: Time,
    pub(super) messages: BTreeMap<String, Message>,
    pub(super) deliveries: BTreeMap<Key, Upward>,
    /// For each device, what a handler has of it.
    lanes: BTreeMap<String, Key>,
    last_was_drained: bool,
    arrivals: u64,
}

impl Books {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: Time::ZERO,
            seen: Seen::default(),
            violation: None,
            seats: BTreeMap::new(),
            not_before: Time::ZERO,
            messages: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            lanes: BTreeMap::new(),
            last_was_drained: false,
            arrivals: 0,
        }
    }

    pub(super) fn see(&mut self, sight: Sight) {
        self.seen.see(sight);
    }

    /// Notes a broken rule; the first one counts.
    pub(super) fn broken(&mut self, rule: Rule, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let at = self.now;
            let what = what();
            self.violation = Some(Violation { rule, at, what });
        }
    }

    pub(super) fn check(&mut self, holds: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(rule, what);
        }
    }

    pub(super) fn dials(&mut self) {
        let early = self.now < self.not_before;
        self.check(!early, Rule::DialWaits, || {
            "a dial that was to wait".to_owned()
        });
    }

    pub(super) fn connects(&mut self, connection: ConnectionId) {
        let seat = Seat {
            after_drain: self.last_was_drained,
            ..Seat::default()
        };
        self.last_was_drained = false;
        self.seats.insert(connection, seat);
        let takes_messages = |seat: &&Seat| !seat.draining && !seat.left;
        let live = self.seats.values().filter(takes_messages).count();
        let most = self.settings.connections;
        self.check(live <= most, Rule::Bounds, || {
            format!("{live} connections that take messages, of {most}")
        });
        if live > 1 {
            self.see(Sight::SecondConnection);
        }
    }

    /// One stanza at the app server's end.
    pub(super) fn stanza(&mut self, connection: ConnectionId, stanza: Stanza) {
        match stanza {
            Stanza::Sent { id } => self.sent(connection, id),
            Stanza::Acked { to, id } => self.acked(connection, to, id),
            Stanza::Nacked => self.broken(Rule::NoNack, || "the app server sent a nack".to_owned()),
            Stanza::Answered { id, answer } => {
                // The nack says the same as the notice (`docs/protocol.md` §7).
                if answer.is_draining() {
                    self.drains(connection);
                }
                let shuts_out = answer.shuts_out();
                let answers = |seat: &mut Seat| {
                    seat.left |= shuts_out;
                    seat.in_flight.remove(&id)
                };
                if self.seats.get_mut(&connection).is_some_and(answers) {
                    self.answered(&id, answer);
                }
            }
            Stanza::Draining => self.drains(connection),
            Stanza::Bound => {
                if let Some(seat) = self.seats.get_mut(&connection) {
                    seat.bound = true;
                }
            }
            Stanza::Came { from, id } => self.came(connection, from, id),
            Stanza::Other => {}
        }
    }

    fn drains(&mut self, connection: ConnectionId) {
        let Some(seat) = self.seats.get_mut(&connection) else {
            return;
        };
        if std::mem::replace(&mut seat.draining, true) {
            return;
        }
        let (count, again) = (seat.in_flight.len(), seat.after_drain);
        self.last_was_drained = true;
        self.see(Sight::Drained);
        if count == self.settings.window {
            self.see(Sight::DrainedFull);
        }
        if count == 100 {
            self.see(Sight::Drained100);
        }
        if again {
            self.see(Sight::DrainOfDrain);
        }
    }

    pub(super) fn is_draining(&self, connection: ConnectionId) -> bool {
        self.seats
            .get(&connection)
            .is_some_and(|seat| seat.draining)
    }

    /// An event of the session.
    pub(super) fn event(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::Disconnected {
                connection,
                unknown,
                end,
            } => {
                if matches!(end, Err(ConnectionError::AnswerTimeout { .. })) {
                    self.see(Sight::AnswerTimeout);
                }
                let lost = self.leaves(*connection);
                let unknown = *unknown;
                self.check(lost.len() == unknown, Rule::Answers, || {
                    format!("{unknown} said to be unknown, of {lost:?}")
                });
                for id in lost {
                    self.lost(&id, end);
                }
            }
            SessionEvent::Retrying { code, .. } => {
                if matches!(code.retry(), Retry::SlowDown { .. }) {
                    self.see(Sight::SlowTarget);
                }
            }
            SessionEvent::Reconnecting { after, .. } => self.not_before = self.now + *after,
            SessionEvent::Accepted { .. }
            | SessionEvent::NotStored { .. }
            | SessionEvent::Settled { .. } => self.message_event(event),
            _ => {}
        }
    }

    /// A connection is about to break.
    pub(super) fn cut(&mut self, connection: ConnectionId) {
        self.see(Sight::Cut);
        let seat = self.seats.get(&connection);
        if seat.is_some_and(|seat| !seat.in_flight.is_empty()) {
            self.see(Sight::CutInFlight);
        }
    }

    /// A connection is gone. Gives what was in flight there.
    pub(super) fn leaves(&mut self, connection: ConnectionId) -> BTreeSet<String> {
        let seat = self.seats.remove(&connection).unwrap_or_default();
        for id in &seat.in_flight {
            if let Some(message) = self.messages.get_mut(id) {
                message.out_on = None;
            }
        }
        seat.in_flight
    }

    /// The app server is gone, with all that was not stored.
    pub(super) fn crashes(&mut self) {
        let connections: Vec<_> = self.seats.keys().copied().collect();
        for connection in connections {
            self.leaves(connection);
        }
        self.not_before = Time::ZERO;
        self.lanes.clear();
        for message in self.messages.values_mut() {
            message.crash();
        }
        for upward in self.deliveries.values_mut() {
            upward.crash();
        }
    }
}

/// Codes after which a message is not sent again (`docs/protocol.md` §6).
const FOR_GOOD: [&str; 8] = [
    "INVALID_JSON",
    "BAD_REGISTRATION",
    "DEVICE_UNREGISTERED",
    "SENDER_ID_MISMATCH",
    "BAD_ACK",
    "INVALID_APNS_CREDENTIAL",
    "INVALID_TTL",
    "JSON_TYPE_ERROR",
];

fn is_for_good(answer: &Answer) -> bool {
    match answer {
        Answer::Ack => true,
        Answer::Nack { code, .. } => FOR_GOOD.contains(&code.as_str()),
    }
}
