//! The simulated devices: what the service says to a message for them, and what they do with it. Reads no clock and
//! touches no socket.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ccs_tokio::proto::hub::{Acceptance, Reach};
use ccs_tokio::proto::message::{Downstream, MessageId, NackCode, RegistrationToken, Target};
use ccs_tokio::{Data, Upstream};

use super::command::{CATEGORY, TIME_TO_LIVE};
use super::quirk::{Memory, Quirk};

/// What becomes of a message of an app server.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    Accept(Acceptance, Acked),
    Refuse(NackCode, String),
    /// Never answered.
    Silence,
    /// Its connection is cut.
    Cut,
}

/// How a message is acked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acked {
    Once,
    Twice,
    /// After that its connection drains.
    ThenDrains,
}

/// All devices: whatever token is addressed is one.
#[derive(Debug)]
pub struct Devices {
    echo: bool,
    id_prefix: String,
    made: u64,
    /// Devices by topic, and by the notification key of a group.
    topics: BTreeMap<String, Vec<RegistrationToken>>,
    groups: BTreeMap<String, Vec<RegistrationToken>>,
    told: HashMap<RegistrationToken, Reach>,
    refusals: Memory<(RegistrationToken, u8)>,
    dropped: Memory<(RegistrationToken, MessageId)>,
}

impl Devices {
    /// `id_prefix` begins the ids that devices use; take another one for each run.
    pub fn new(echo: bool, id_prefix: impl Into<String>) -> Self {
        Self {
            echo,
            id_prefix: id_prefix.into(),
            made: 0,
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            told: HashMap::new(),
            refusals: Memory::default(),
            dropped: Memory::default(),
        }
    }

    pub fn subscribe(&mut self, topic: &str, devices: Vec<RegistrationToken>) {
        let known = self.topics.entry(topic.to_owned()).or_default();
        known.extend(devices);
    }

    pub fn group(&mut self, key: &str, devices: Vec<RegistrationToken>) {
        let known = self.groups.entry(key.to_owned()).or_default();
        known.extend(devices);
    }

    /// What becomes of a message that passed the protocol's own checks.
    pub fn decide(&mut self, message_id: &MessageId, message: &Downstream) -> Decision {
        match message.target() {
            Target::Token(token) if !self.groups.contains_key(token.as_str()) => {
                self.decide_for(token, message_id)
            }
            _ => self.accept(message, Acked::Once),
        }
    }

    /// It is accepted, whatever the devices' quirks are.
    pub fn accept(&self, message: &Downstream, acked: Acked) -> Decision {
        let with_reach = |device: RegistrationToken| {
            let reach = self.reach(&device);
            (device, reach)
        };
        let devices = self.members(message.target()).into_iter().map(with_reach);
        Decision::Accept(Acceptance::new(devices), acked)
    }

    fn decide_for(&mut self, token: &RegistrationToken, message_id: &MessageId) -> Decision {
        let accepted = Acceptance::new([(token.clone(), self.reach(token))]);
        let acked = match Quirk::of(token) {
            Some(Quirk::Bad) => {
                let text = format!("Invalid token on 'to' field: {token}");
                return Decision::Refuse(NackCode::BadRegistration, text);
            }
            Some(Quirk::Unregistered) => {
                return Decision::Refuse(NackCode::DeviceUnregistered, String::new());
            }
            Some(Quirk::Rate) => {
                let text = "Downstream message rate exceeded for this registration id".to_owned();
                return Decision::Refuse(NackCode::DeviceMessageRateExceeded, text);
            }
            Some(Quirk::Unavailable)
                if self.refusals.is_new((token.clone(), 1))
                    || self.refusals.is_new((token.clone(), 2)) =>
            {
                return Decision::Refuse(NackCode::ServiceUnavailable, String::new());
            }
            Some(Quirk::Internal) => {
                return Decision::Refuse(NackCode::InternalServerError, String::new());
            }
            Some(Quirk::Silent) => return Decision::Silence,
            Some(Quirk::Drop) if self.dropped.is_new((token.clone(), message_id.clone())) => {
                return Decision::Cut;
            }
            Some(Quirk::Canonical) => {
                let rest = token.as_str().trim_start_matches(Quirk::Canonical.prefix());
                let canonical = if rest.is_empty() { "phone" } else { rest };
                let accepted = accepted.with_canonical(canonical.into());
                return Decision::Accept(accepted, Acked::Once);
            }
            Some(Quirk::Dup) => Acked::Twice,
            Some(Quirk::Drain) => Acked::ThenDrains,
            Some(Quirk::Unavailable | Quirk::Drop | Quirk::Offline | Quirk::Idle) | None => {
                Acked::Once
            }
        };
        Decision::Accept(accepted, acked)
    }

    /// A device has a message; what it sends upon it.
    pub fn receive(&mut self, device: RegistrationToken, message: &Downstream) -> Option<Upstream> {
        if !self.echo {
            return None;
        }
        let id = self.next_id();
        let data = message.payload().cloned().unwrap_or_else(Data::new);
        Some(
            Upstream::new(device, id)
                .with_category(CATEGORY)
                .with_data(data)
                .with_time_to_live(TIME_TO_LIVE),
        )
    }

    /// An id for a message that a device sends.
    pub fn next_id(&mut self) -> String {
        self.made += 1;
        format!("{}-{}", self.id_prefix, self.made)
    }

    /// A device is told to be reachable or not.
    pub fn set(&mut self, device: &RegistrationToken, reach: Reach) {
        self.told.insert(device.clone(), reach);
    }

    fn reach(&self, device: &RegistrationToken) -> Reach {
        let by_name = match Quirk::of(device) {
            Some(Quirk::Offline) => Reach::Offline,
            Some(Quirk::Idle) => Reach::Idle,
            _ => Reach::Online,
        };
        self.told.get(device).copied().unwrap_or(by_name)
    }

    /// Who gets a message; of a topic, a condition or a group those that there are.
    fn members(&self, target: &Target) -> BTreeSet<RegistrationToken> {
        let of = |names: &BTreeMap<String, Vec<RegistrationToken>>, name: &str| {
            names.get(name).into_iter().flatten().cloned().collect()
        };
        let mut members: BTreeSet<RegistrationToken> = match target {
            Target::Token(token) if !self.groups.contains_key(token.as_str()) => {
                return BTreeSet::from([token.clone()]);
            }
            Target::Token(key) => of(&self.groups, key.as_str()),
            Target::Topic(topic) => of(&self.topics, topic.name()),
            Target::Condition(condition) => {
                let all = self.topics.values().flatten().cloned();
                let subscribes = |device: &RegistrationToken, topic: &str| {
                    self.topics
                        .get(topic)
                        .is_some_and(|devices| devices.contains(device))
                };
                all.filter(|device| condition.matches(|topic| subscribes(device, topic)))
                    .collect()
            }
            _ => BTreeSet::new(),
        };
        members.retain(|device| !Quirk::of(device).is_some_and(Quirk::has_no_device));
        members
    }
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
