//! What devices get: everything that was acked, in order, and no more often than what was lost explains.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ccs_proto::hub::{Copy, Device, Discarded};
use ccs_proto::message::{Downstream, MessageId, SenderId};
use ccs_proto::{ConnectionId, Time};

use super::downstream::FOUR_WEEKS;
use super::{Findings, Rule};
use crate::sim::devices::SENDER;
use crate::sim::seen::Sight;

/// How long what comes may have crossed an ack (`docs/protocol.md` §12 #48).
const CROSSES_WITHIN: Duration = Duration::from_secs(60);

type Name = (SenderId, MessageId);

/// A message that the hub was told to take over.
#[derive(Debug)]
struct Letter {
    token: String,
    collapse_key: Option<String>,
    life: Duration,
    /// It waits while its device is idle, so later ones pass it.
    waits_while_idle: bool,
    first: Time,
    last: Time,
    /// Its place in the order of acceptance.
    number: u64,
    /// It was taken over more than once, or came back after it was done with, so it has no certain place.
    again: bool,
    /// The hub has it, or its store.
    kept: bool,
    /// It waits for its device.
    waits: bool,
    /// How often its device got it.
    got: u32,
    /// Crashes of the endpoint at which the store had it.
    crashes: u32,
    discarded: Option<Discarded>,
}

#[derive(Debug)]
pub(in crate::sim) struct Mail {
    findings: Findings,
    letters: BTreeMap<Name, Letter>,
    accepted: u64,
    /// For each device, the place of the newest that it got.
    newest: BTreeMap<Device, u64>,
    /// For each device, what was discarded and it was not told of.
    untold: BTreeMap<Device, u64>,
    /// What was acked on each connection, and nothing tells that its app server knows it.
    acked: BTreeMap<ConnectionId, VecDeque<(Time, MessageId)>>,
    /// Acked messages of which the app server may not know it: they come again, and are known then.
    in_doubt: BTreeSet<Name>,
}

impl Letter {
    fn has_come(&self) -> bool {
        self.got > 0 || self.discarded.is_some()
    }
}

impl Mail {
    pub(in crate::sim) fn new(findings: Findings) -> Self {
        Self {
            findings,
            letters: BTreeMap::new(),
            accepted: 0,
            newest: BTreeMap::new(),
            untold: BTreeMap::new(),
            acked: BTreeMap::new(),
            in_doubt: BTreeSet::new(),
        }
    }

    /// The hub wants a decision on it.
    pub(in crate::sim) fn arrives(&mut self, sender: &SenderId, id: &MessageId) {
        let known = self.in_doubt.contains(&(sender.clone(), id.clone()));
        self.findings.check(!known, Rule::NoNeedlessCopy, || {
            format!("{id} of {sender} comes again as its ack may be lost, and is taken for another")
        });
    }

    /// The hub says that it has it already.
    pub(in crate::sim) fn is_known(&mut self, sender: &SenderId, id: &MessageId) {
        self.in_doubt.remove(&(sender.clone(), id.clone()));
    }

    pub(in crate::sim) fn is_in_doubt(&mut self, sender: &SenderId, id: &MessageId) {
        self.in_doubt.insert((sender.clone(), id.clone()));
    }

    /// It was acked on this connection.
    pub(in crate::sim) fn acked(&mut self, connection: ConnectionId, id: &MessageId) {
        let acked = (self.findings.now(), id.clone());
        self.acked.entry(connection).or_default().push_back(acked);
    }

    /// Something came by this connection. It may have crossed the acks of the last minute, as many as the window holds.
    pub(in crate::sim) fn hears(&mut self, connection: ConnectionId, window: usize) {
        let now = self.findings.now();
        if let Some(acked) = self.acked.get_mut(&connection) {
            acked.drain(..acked.len().saturating_sub(window));
            acked.retain(|(at, _)| now - *at < CROSSES_WITHIN);
        }
    }

    /// In order, if the app server has read all that was written.
    pub(in crate::sim) fn ends(
        &mut self,
        connection: ConnectionId,
        sender: &SenderId,
        in_order: bool,
    ) {
        let acked = self.acked.remove(&connection).unwrap_or_default();
        for (_, id) in acked.into_iter().filter(|_| !in_order) {
            self.is_in_doubt(sender, &id);
        }
    }

    /// The hub was told to take it over.
    pub(in crate::sim) fn accepted(
        &mut self,
        sender: &SenderId,
        id: &MessageId,
        message: &Downstream,
    ) {
        let now = self.findings.now();
        self.accepted += 1;
        let number = self.accepted;
        let letter = self.letters.entry((sender.clone(), id.clone()));
        let letter = letter.or_insert_with(|| Letter {
            token: message.target().to_string(),
            collapse_key: message.collapses_by().map(str::to_owned),
            life: message.kept_for().unwrap_or(FOUR_WEEKS),
            waits_while_idle: message.waits_while_idle(),
            first: now,
            last: now,
            number,
            again: false,
            kept: false,
            waits: false,
            got: 0,
            crashes: 0,
            discarded: None,
        });
        letter.again |= letter.kept || letter.got > 0;
        letter.number = number;
        letter.last = now;
        letter.kept = true;
    }

    fn get_mut(&mut self, sender: &SenderId, id: &MessageId) -> Option<&mut Letter> {
        self.letters.get_mut(&(sender.clone(), id.clone()))
    }

    /// It waits for its device.
    pub(in crate::sim) fn waits(&mut self, copy: &Copy) {
        self.findings.see(Sight::Kept);
        if let Some(letter) = self.get_mut(&copy.device.sender, &copy.message_id) {
            letter.waits = true;
        }
    }

    /// It is on its way to its device.
    pub(in crate::sim) fn goes_out(&mut self, device: &Device, id: &MessageId) {
        let now = self.findings.now();
        let Some(letter) = self.get_mut(&device.sender, id) else {
            return;
        };
        let waited = std::mem::replace(&mut letter.waits, false);
        let over = waited && letter.last + letter.life <= now;
        self.findings.check(!over, Rule::NothingAfterTheEnd, || {
            format!("{id} waited for {device:?}, has expired and is delivered")
        });
    }

    /// The hub says that its device does not get it.
    pub(in crate::sim) fn discarded(&mut self, copy: &Copy, why: Discarded) {
        let now = self.findings.now();
        let name = (copy.device.sender.clone(), copy.message_id.clone());
        let Some(letter) = self.letters.get(&name) else {
            return;
        };
        let newer = || {
            self.letters.iter().any(|((of, _), other)| {
                *of == name.0
                    && other.token == letter.token
                    && other.number > letter.number
                    && other.collapse_key.is_some()
                    && (why != Discarded::Collapsed || other.collapse_key == letter.collapse_key)
            })
        };
        let (sight, holds) = match why {
            Discarded::Expired => (Sight::ExpiredAtHub, letter.first + letter.life <= now),
            Discarded::Collapsed => (Sight::Collapsed, letter.again || newer()),
            Discarded::TooManyKeys => (Sight::TooManyKeys, letter.again || newer()),
            _ => (Sight::TooManyKept, letter.collapse_key.is_none()),
        };
        self.findings.see(sight);
        self.findings.check(holds, Rule::TrueOutcome, || {
            format!("{name:?} is said to be {}, and is {letter:?}", why.as_str())
        });
        if why == Discarded::TooMany {
            *self.untold.entry(copy.device.clone()).or_default() += 1;
        }
        if let Some(letter) = self.letters.get_mut(&name) {
            letter.discarded = Some(why);
        }
    }

    /// A device is told that so many messages for it were discarded.
    pub(in crate::sim) fn told(&mut self, device: &Device, count: u64) {
        let discarded = self.untold.remove(device).unwrap_or_default();
        self.findings
            .check(discarded == count, Rule::TrueOutcome, || {
                format!("{device:?} is told of {count} discarded messages, and it were {discarded}")
            });
    }

    /// A device has it. `unknown`: how often its sender could not know what became of it.
    pub(in crate::sim) fn got(
        &mut self,
        device: &Device,
        id: &MessageId,
        message: &Downstream,
        unknown: u32,
    ) {
        let findings = self.findings.clone();
        let says = message.payload().and_then(|data| data.get(SENDER));
        let newest = self.newest.entry(device.clone()).or_default();
        let letter = self.letters.get_mut(&(device.sender.clone(), id.clone()));
        let Some(letter) = letter.filter(|letter| {
            letter.token == device.token.as_str() && says.as_deref() == Some(device.sender.as_str())
        }) else {
            return findings.broken(Rule::Identity, || format!("{id} is not for {device:?}"));
        };
        letter.got += 1;
        if letter.got > 1 {
            findings.see(Sight::DeliveredAgain);
        }
        let most = 1 + unknown + letter.crashes;
        findings.check(letter.got <= most, Rule::NoNeedlessCopy, || {
            format!("{device:?} has {id} more than {most} times")
        });
        if letter.again || letter.got > 1 {
            return;
        }
        let late = letter.number < *newest && !letter.waits_while_idle;
        findings.check(!late, Rule::DeviceOrder, || {
            format!("{device:?} has {id} after a newer one")
        });
        *newest = letter.number.max(*newest);
    }

    /// The hub is gone; the store has these.
    pub(in crate::sim) fn crashes(&mut self, stored: BTreeSet<Name>) {
        self.untold.clear();
        self.acked.clear();
        for (name, letter) in &mut self.letters {
            letter.waits = false;
            letter.kept = stored.contains(name);
            letter.crashes += u32::from(letter.kept);
            // It was discarded, and its record comes back: newer ones were delivered meanwhile.
            letter.again |= letter.kept && letter.discarded.is_some();
        }
        self.in_doubt = stored;
    }

    /// Whether its device has it, does not get it for a reason, or `later` still can.
    pub(in crate::sim) fn is_safe(&self, sender: &SenderId, id: &str, later: bool) -> bool {
        let letter = self.letters.get(&(sender.clone(), id.into()));
        letter.is_some_and(|letter| letter.has_come() || later && letter.kept)
    }

    /// At the end, when all devices can be reached.
    pub(in crate::sim) fn ends_well(&self) {
        let untold = &self.untold;
        self.findings.check(untold.is_empty(), Rule::NoLoss, || {
            format!("devices were not told of what was discarded: {untold:?}")
        });
    }
}
