//! What devices send, until the app server has acked it: accepted, stored, sent, sent again, expired.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ccs_proto::message::{SenderId, Upstream};
use ccs_proto::{ConnectionId, Time};

use super::{Findings, Key, Rule};
use crate::sim::dice::Dice;
use crate::sim::seen::Sight;

/// One message of a device.
#[derive(Debug)]
struct Posted {
    message: Upstream,
    /// Its place among all that the hub was given; none while the device has it.
    number: Option<u64>,
    submitted: Time,
    accepted: bool,
    acked: bool,
    expired: bool,
    /// The connections that have it un-acked.
    on: BTreeSet<ConnectionId>,
    /// When it was sent last.
    sent: Option<Time>,
    /// Its device sent it once more after it was acked.
    again: bool,
}

#[derive(Debug)]
pub(in crate::sim) struct Post {
    findings: Findings,
    /// After that it may be sent again, although no connection was lost.
    send_again_after: Option<Duration>,
    posted: BTreeMap<(SenderId, Key), Posted>,
    /// What devices have and the hub was not given, in order.
    with_devices: Vec<(SenderId, Key)>,
    given: u64,
    /// For each sender, what was accepted and never sent.
    fresh: BTreeMap<SenderId, BTreeSet<u64>>,
    draining: BTreeSet<ConnectionId>,
}

pub(in crate::sim) fn key_of(message: &Upstream) -> Key {
    (message.from().to_string(), message.message_id().to_string())
}

impl Posted {
    fn is_done(&self) -> bool {
        self.acked || self.expired
    }

    fn expires(&self) -> Option<Time> {
        let life = self.message.time_to_live()?;
        Some(self.submitted + Duration::from_secs(life))
    }
}

impl Post {
    pub(in crate::sim) fn new(send_again_after: Option<Duration>, findings: Findings) -> Self {
        Self {
            findings,
            send_again_after,
            posted: BTreeMap::new(),
            with_devices: Vec::new(),
            given: 0,
            fresh: BTreeMap::new(),
            draining: BTreeSet::new(),
        }
    }

    /// A device has a message for this sender.
    pub(in crate::sim) fn posted(&mut self, to: SenderId, message: Upstream) {
        let name = (to, key_of(&message));
        let again = self.posted.contains_key(&name);
        let posted = Posted {
            message,
            number: None,
            submitted: Time::ZERO,
            accepted: false,
            acked: false,
            expired: false,
            on: BTreeSet::new(),
            sent: None,
            again,
        };
        self.posted.insert(name.clone(), posted);
        self.with_devices.push(name);
    }

    /// A device sends once more what was acked.
    pub(in crate::sim) fn posted_again(&mut self, dice: &mut Dice) {
        let acked = self
            .posted
            .iter()
            .filter(|(_, p)| p.acked && p.on.is_empty());
        let acked: Vec<_> = acked.map(|((to, _), p)| (to, &p.message)).collect();
        if !acked.is_empty() {
            let (to, message) = *dice.pick(&acked);
            self.posted(to.clone(), message.clone());
        }
    }

    /// The hub is given what it does not have.
    pub(in crate::sim) fn take_unsubmitted(&mut self, now: Time) -> Vec<(SenderId, Upstream)> {
        let mut taken = Vec::new();
        for name in std::mem::take(&mut self.with_devices) {
            if let Some(posted) = self.posted.get_mut(&name) {
                self.given += 1;
                posted.number = Some(self.given);
                posted.submitted = now;
                taken.push((name.0, posted.message.clone()));
            }
        }
        taken
    }

    fn get_mut(&mut self, to: &SenderId, message: &Upstream) -> Option<&mut Posted> {
        self.posted.get_mut(&(to.clone(), key_of(message)))
    }

    /// The hub has accepted it.
    pub(in crate::sim) fn accepted(&mut self, to: &SenderId, message: &Upstream) {
        let Some(posted) = self.get_mut(to, message) else {
            let strange = || format!("{message:?} is accepted, and nobody sent it to {to}");
            return self.findings.broken(Rule::Identity, strange);
        };
        posted.accepted = true;
        if let Some(number) = posted.number.filter(|_| posted.sent.is_none()) {
            self.fresh.entry(to.clone()).or_default().insert(number);
        }
    }

    /// The hub says that it has it already: it was stored before a crash, and the device had not heard of it.
    pub(in crate::sim) fn known(&mut self, to: &SenderId, message: &Upstream) {
        let now = self.findings.now();
        if let Some(posted) = self.get_mut(to, message) {
            posted.accepted = true;
            posted.sent = posted.sent.or(Some(now));
        }
    }

    /// It could not be stored, so the device has it.
    pub(in crate::sim) fn not_stored(&mut self, to: &SenderId, message: &Upstream) {
        let name = (to.clone(), key_of(message));
        let Some(posted) = self.posted.get_mut(&name) else {
            return;
        };
        posted.number = None;
        let accepted = posted.accepted;
        self.with_devices.push(name);
        self.findings.check(!accepted, Rule::NoLoss, || {
            format!("{message:?} was accepted, and then given back")
        });
    }

    /// The hub sends it, for the first time or again.
    pub(in crate::sim) fn sent(
        &mut self,
        on: ConnectionId,
        login: Option<&SenderId>,
        message: &Upstream,
    ) {
        let now = self.findings.now();
        let findings = self.findings.clone();
        let draining = self.draining.contains(&on);
        findings.check(!draining, Rule::Draining, || {
            format!("{message:?} is sent on {on:?}, which drains")
        });
        // The connection is over.
        let Some(login) = login else {
            return;
        };
        let name = (login.clone(), key_of(message));
        let Some(posted) = self.posted.get_mut(&name) else {
            return findings.broken(Rule::Identity, || {
                format!("{message:?} is sent to {login} and is not for it")
            });
        };
        let again = posted.sent.replace(now);
        let elsewhere = !posted.on.is_empty();
        posted.on.insert(on);
        if let Some(before) = again {
            let after = self.send_again_after;
            let in_time = after.is_some_and(|after| before + after <= now);
            findings.check(in_time || !elsewhere, Rule::NoNeedlessCopy, || {
                format!("{message:?} is sent again and no connection was lost")
            });
        } else if let Some(number) = posted.number {
            let fresh = self.fresh.entry(login.clone()).or_default();
            fresh.remove(&number);
            let older = fresh.first().is_some_and(|first| *first < number);
            findings.check(!older, Rule::DeviceOrder, || {
                format!("{message:?} is sent before an older one")
            });
        }
    }

    /// The app server has acked it.
    pub(in crate::sim) fn acked(&mut self, to: &SenderId, message: &Upstream, on: ConnectionId) {
        if let Some(posted) = self.get_mut(to, message) {
            posted.acked = true;
            posted.on.remove(&on);
            let number = posted.number.unwrap_or_default();
            self.fresh.entry(to.clone()).or_default().remove(&number);
        }
    }

    /// The hub says that its time is over.
    pub(in crate::sim) fn expired(&mut self, to: &SenderId, message: &Upstream) {
        let now = self.findings.now();
        self.findings.see(Sight::UpstreamExpired);
        let Some(posted) = self.get_mut(to, message) else {
            return;
        };
        posted.expired = true;
        let number = posted.number.unwrap_or_default();
        let over = posted.expires().is_some_and(|expires| expires <= now);
        self.fresh.entry(to.clone()).or_default().remove(&number);
        self.findings.check(over, Rule::TrueOutcome, || {
            format!("{message:?} is said to be expired and has time")
        });
    }

    pub(in crate::sim) fn drains(&mut self, connection: ConnectionId) {
        self.draining.insert(connection);
    }

    /// A connection is over.
    pub(in crate::sim) fn ends(&mut self, connection: ConnectionId) {
        self.draining.remove(&connection);
        for posted in self.posted.values_mut() {
            posted.on.remove(&connection);
        }
    }

    /// The hub is gone; the store has these.
    pub(in crate::sim) fn crashes(&mut self, stored: &BTreeSet<(SenderId, Key)>) {
        let now = self.findings.now();
        self.draining.clear();
        self.fresh.clear();
        for (name, posted) in &mut self.posted {
            posted.on.clear();
            let kept = stored.contains(name);
            let lost = posted.accepted && !posted.is_done() && !kept;
            self.findings.check(!lost, Rule::AcceptedIsStored, || {
                format!("{name:?} was accepted, and is not in the endpoint's store after a crash")
            });
            if posted.is_done() || self.with_devices.contains(name) {
                continue;
            }
            posted.accepted = kept;
            match posted.number.filter(|_| kept) {
                None => self.with_devices.push(name.clone()),
                // The record may be that of the first time, which was not forgotten yet, so it has no certain place.
                Some(_) if posted.again => posted.sent = posted.sent.or(Some(now)),
                Some(number) if posted.sent.is_none() => {
                    self.fresh.entry(name.0.clone()).or_default().insert(number);
                }
                Some(_) => {}
            }
        }
    }

    /// What was sent to this sender, and is neither acked nor expired.
    pub(in crate::sim) fn unacked(&self, to: &SenderId) -> impl Iterator<Item = &Upstream> {
        let posted = self.posted.iter().filter(move |((of, _), _)| of == to);
        posted
            .filter(|(_, p)| !p.is_done())
            .map(|(_, p)| &p.message)
    }
}
