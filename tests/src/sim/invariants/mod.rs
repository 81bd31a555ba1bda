//! What must hold after every event, whatever goes wrong.

mod downstream;
mod findings;
mod mail;
mod post;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};

use ccs_proto::message::Retry;
use ccs_proto::session::SessionEvent;
use ccs_proto::{ConnectionError, ConnectionId, Ignored, Time};

use downstream::Message;
pub(super) use downstream::Outcome;
pub(super) use findings::Findings;
pub use findings::{Rule, Violation};
pub(super) use mail::Mail;
pub(super) use post::{Post, key_of};
pub(super) use upstream::Key;
use upstream::Upward;

use super::seen::Sight;
use super::sender::Sender;
use super::settings::Settings;
use super::wiretap::{Answer, Stanza};

/// A connection as the app server sees it.
#[derive(Debug, Default)]
struct Seat {
    bound: bool,
    draining: bool,
    /// The session leaves it, once what is in flight there is answered.
    left: bool,
    after_drain: bool,
    in_flight: BTreeSet<String>,
}

/// What every message of one sender has been through.
#[derive(Debug)]
pub(super) struct Books {
    sender: Sender,
    settings: Settings,
    findings: Findings,
    seats: BTreeMap<ConnectionId, Seat>,
    not_before: Time,
    pub(super) messages: BTreeMap<String, Message>,
    pub(super) deliveries: BTreeMap<Key, Upward>,
    /// What was sent to this sender.
    posted: BTreeSet<Key>,
    /// The endpoint has said of some device that it gets too much.
    pub(super) slowed: bool,
    /// For each device, what a handler has of it.
    lanes: BTreeMap<String, Key>,
    /// Answers to what was not in flight, of which the session has said nothing.
    strays: BTreeMap<String, u32>,
    last_was_drained: bool,
    arrivals: u64,
}

impl Books {
    pub(super) fn new(sender: Sender, settings: Settings, findings: Findings) -> Self {
        Self {
            sender,
            settings,
            findings,
            seats: BTreeMap::new(),
            not_before: Time::ZERO,
            messages: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            posted: BTreeSet::new(),
            slowed: false,
            lanes: BTreeMap::new(),
            strays: BTreeMap::new(),
            last_was_drained: false,
            arrivals: 0,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.findings.now()
    }

    pub(super) fn see(&self, sight: Sight) {
        self.findings.see(sight);
    }

    pub(super) fn broken(&self, rule: Rule, what: impl FnOnce() -> String) {
        let sender = self.sender;
        self.findings
            .broken(rule, || format!("{sender}: {}", what()));
    }

    pub(super) fn check(&self, holds: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(rule, what);
        }
    }

    pub(super) fn dials(&mut self) {
        let early = self.now() < self.not_before;
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
                    let in_flight = seat.in_flight.remove(&id);
                    seat.left |= in_flight && shuts_out;
                    in_flight
                };
                if self.seats.get_mut(&connection).is_some_and(answers) {
                    self.answered(&id, answer);
                } else {
                    self.stray(id, &answer);
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
            SessionEvent::Ignored(Ignored::UnknownAnswer { message_id }) => {
                self.ignored(message_id.as_str());
            }
            SessionEvent::Reconnecting { after, .. } => self.not_before = self.now() + *after,
            SessionEvent::Accepted { .. }
            | SessionEvent::NotStored { .. }
            | SessionEvent::Settled { .. } => self.message_event(event),
            _ => {}
        }
    }

    /// A connection breaks, within a stanza or not.
    pub(super) fn cut(&mut self, connection: ConnectionId, within: bool) {
        self.see(Sight::Cut);
        if within {
            self.see(Sight::CutMidStanza);
        }
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

    /// Accepted messages that have no outcome.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = (&String, &Message)> {
        let messages = self.messages.iter();
        messages.filter(|(_, m)| m.accepted && m.outcome.is_none())
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
