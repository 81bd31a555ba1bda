//! The simulated devices: a message in, what comes of it out. Reads no clock and touches no socket.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use ccs_tokio::proto::message::{Downstream, MessageId, NackCode, RegistrationToken, Target};
use ccs_tokio::proto::{ConnectionId, Time};
use ccs_tokio::{Data, Upstream};

use super::quirk::{Memory, Quirk};
use super::upstream::{CATEGORY, TIME_TO_LIVE};

/// How long the service keeps a message that does not say it: four weeks.
const KEPT: Duration = Duration::from_secs(2_419_200);
/// Collapse keys of one device at a time.
const COLLAPSE_KEYS: usize = 4;
/// Messages without a collapse key that are stored for one device. One more, and all of them are discarded.
const STORED: usize = 100;
/// Messages that are stored for all devices together; beyond that the service is unavailable.
const STORED_BY_ALL: usize = 100_000;

/// Something that follows from a message. The answer comes first, if there is one: without it being given, nothing else
/// happens.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    Answer(Answer),
    /// The connection that the message came by drains.
    Drain,
    /// The connection that the message came by is cut.
    Cut,
    /// A device has the message.
    Delivered(Delivery),
    /// The service keeps the message for a device.
    Stored(Delivery),
    /// The service gives up a message that it kept.
    Discarded(Delivery, &'static str),
    /// A device confirms a message.
    Receipt(Delivery),
    /// A device sends.
    Upstream(Upstream),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Ack(Option<RegistrationToken>),
    AckTwice,
    Nack(NackCode, String),
}

/// A message on its way to one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub connection: ConnectionId,
    pub message_id: MessageId,
    pub device: RegistrationToken,
}

/// Whether a device can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Online,
    /// Takes all but what waits while a device is idle.
    Idle,
    Offline,
}

impl Reach {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Idle => "idle",
            Self::Offline => "offline",
        }
    }
}

/// All devices: whatever token is addressed is one.
#[derive(Debug)]
pub struct Devices {
    echo: bool,
    id_prefix: String,
    echoed: u64,
    /// Devices by topic, and by the notification key of a group.
    topics: BTreeMap<String, Vec<RegistrationToken>>,
    groups: BTreeMap<String, Vec<RegistrationToken>>,
    told: HashMap<RegistrationToken, Reach>,
    stored: BTreeMap<RegistrationToken, VecDeque<Stored>>,
    stored_by_all: usize,
    refusals: Memory<(RegistrationToken, u8)>,
    dropped: Memory<(RegistrationToken, MessageId)>,
}

#[derive(Debug)]
struct Stored {
    copy: Delivery,
    message: Downstream,
    expires: Time,
}

impl Devices {
    /// `id_prefix` begins the ids of echoes; take another one for each run.
    pub fn new(echo: bool, id_prefix: impl Into<String>) -> Self {
        Self {
            echo,
            id_prefix: id_prefix.into(),
            echoed: 0,
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            told: HashMap::new(),
            stored: BTreeMap::new(),
            stored_by_all: 0,
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

    /// What comes of a message that passed the protocol's own checks.
    pub fn receive(
        &mut self,
        now: Time,
        connection: ConnectionId,
        message_id: &MessageId,
        message: &Downstream,
    ) -> Vec<Effect> {
        let copy = |device: &RegistrationToken| Delivery {
            connection,
            message_id: message_id.clone(),
            device: device.clone(),
        };
        let token = match message.target() {
            Target::Token(token) if !self.groups.contains_key(token.as_str()) => token.clone(),
            _ => {
                let members = self.members(message.target());
                let copies = members.iter().map(copy).collect();
                return self.spread(now, copies, message);
            }
        };
        let copy = copy(&token);
        let mut effects = Vec::new();
        let delivered = self.answer(&copy, &mut effects);
        let full = self.stored_by_all >= STORED_BY_ALL;
        if delivered && full && !self.reaches(&token, message) && !message.is_dry_run() {
            let text = "too much is stored".to_owned();
            return vec![nack(NackCode::ServiceUnavailable, text)];
        }
        if delivered && !message.is_dry_run() {
            let rest = effects.split_off(1);
            self.hand_over(now, copy, message.clone(), &mut effects);
            effects.extend(rest);
        }
        effects
    }

    /// To many devices: the answer is for the service, whatever becomes of the single copies.
    fn spread(&mut self, now: Time, copies: Vec<Delivery>, message: &Downstream) -> Vec<Effect> {
        let mut effects = vec![Effect::Answer(Answer::Ack(None))];
        if message.is_dry_run() {
            return effects;
        }
        let mut message = message.clone();
        for copy in copies {
            let gone = Quirk::of(&copy.device).is_some_and(Quirk::has_no_device);
            let full = self.stored_by_all >= STORED_BY_ALL;
            if gone || (full && !self.reaches(&copy.device, &message)) {
                continue;
            }
            self.hand_over(now, copy, message.clone(), &mut effects);
            // A receipt's id is made of the message's, so there can be only one.
            message = message.receipt_requested(false);
        }
        effects
    }

    /// The answer to a message for one device; whether the device, or the store, gets the message.
    fn answer(&mut self, copy: &Delivery, effects: &mut Vec<Effect>) -> bool {
        let token = &copy.device;
        let ack = |canonical| Effect::Answer(Answer::Ack(canonical));
        match Quirk::of(token) {
            Some(Quirk::Bad) => {
                let text = format!("Invalid token on 'to' field: {token}");
                effects.push(nack(NackCode::BadRegistration, text));
                return false;
            }
            Some(Quirk::Unregistered) => {
                effects.push(nack(NackCode::DeviceUnregistered, String::new()));
                return false;
            }
            Some(Quirk::Rate) => {
                let text = "Downstream message rate exceeded for this registration id".to_owned();
                effects.push(nack(NackCode::DeviceMessageRateExceeded, text));
                return false;
            }
            Some(Quirk::Unavailable) => {
                let again = self.refusals.is_new((token.clone(), 1))
                    || self.refusals.is_new((token.clone(), 2));
                if again {
                    effects.push(nack(NackCode::ServiceUnavailable, String::new()));
                    return false;
                }
                effects.push(ack(None));
            }
            Some(Quirk::Internal) => {
                effects.push(nack(NackCode::InternalServerError, String::new()));
                return false;
            }
            Some(Quirk::Silent) => return false,
            Some(Quirk::Drop)
                if self
                    .dropped
                    .is_new((token.clone(), copy.message_id.clone())) =>
            {
                effects.push(Effect::Cut);
                return false;
            }
            Some(Quirk::Canonical) => {
                let rest = token.as_str().trim_start_matches(Quirk::Canonical.prefix());
                let canonical = if rest.is_empty() { "phone" } else { rest };
                effects.push(ack(Some(RegistrationToken::from(canonical))));
            }
            Some(Quirk::Dup) => effects.push(Effect::Answer(Answer::AckTwice)),
            Some(Quirk::Drain) => effects.extend([ack(None), Effect::Drain]),
            Some(Quirk::Drop | Quirk::Offline | Quirk::Idle) | None => effects.push(ack(None)),
        }
        true
    }

    /// The device is told to be reachable or not. What is stored for one that can be reached again is delivered.
    pub fn set(&mut self, now: Time, device: &RegistrationToken, reach: Reach) -> Vec<Effect> {
        self.told.insert(device.clone(), reach);
        let mut effects = Vec::new();
        if reach == Reach::Online {
            for stored in self.stored.remove(device).unwrap_or_default() {
                self.stored_by_all -= 1;
                if stored.expires > now {
                    self.deliver(stored.copy, &stored.message, &mut effects);
                } else {
                    effects.push(Effect::Discarded(stored.copy, "expired"));
                }
            }
        }
        effects
    }

    /// Gives up what is stored and has had its time.
    pub fn expire(&mut self, now: Time) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.stored.retain(|_, queue| {
            queue.retain(|stored| {
                let kept = stored.expires > now;
                if !kept {
                    effects.push(Effect::Discarded(stored.copy.clone(), "expired"));
                }
                kept
            });
            !queue.is_empty()
        });
        self.stored_by_all -= effects.len();
        effects
    }

    pub fn stores_anything(&self) -> bool {
        self.stored_by_all > 0
    }

    fn hand_over(
        &mut self,
        now: Time,
        copy: Delivery,
        message: Downstream,
        effects: &mut Vec<Effect>,
    ) {
        if self.reaches(&copy.device, &message) {
            self.deliver(copy, &message, effects);
        } else {
            self.store(now, copy, message, effects);
        }
    }

    fn deliver(&mut self, copy: Delivery, message: &Downstream, effects: &mut Vec<Effect>) {
        effects.push(Effect::Delivered(copy.clone()));
        if message.wants_receipt() {
            effects.push(Effect::Receipt(copy.clone()));
        }
        if self.echo {
            self.echoed += 1;
            let id = format!("{}-echo-{}", self.id_prefix, self.echoed);
            let echo = Upstream::new(copy.device, id)
                .with_category(CATEGORY)
                .with_data(message.payload().cloned().unwrap_or_else(Data::new))
                .with_time_to_live(TIME_TO_LIVE);
            effects.push(Effect::Upstream(echo));
        }
    }

    fn store(&mut self, now: Time, copy: Delivery, message: Downstream, effects: &mut Vec<Effect>) {
        let kept = message.kept_for().unwrap_or(KEPT);
        if kept.is_zero() {
            // Now or never.
            effects.push(Effect::Discarded(copy, "expired"));
            return;
        }
        let queue = self.stored.entry(copy.device.clone()).or_default();
        let before = queue.len();
        make_room(queue, message.collapses_by(), effects);
        effects.push(Effect::Stored(copy.clone()));
        queue.push_back(Stored {
            copy,
            message,
            expires: now + kept,
        });
        self.stored_by_all = self.stored_by_all - before + queue.len();
    }

    fn reaches(&self, device: &RegistrationToken, message: &Downstream) -> bool {
        let by_name = match Quirk::of(device) {
            Some(Quirk::Offline) => Reach::Offline,
            Some(Quirk::Idle) => Reach::Idle,
            _ => Reach::Online,
        };
        match self.told.get(device).copied().unwrap_or(by_name) {
            Reach::Online => true,
            Reach::Idle => !message.waits_while_idle(),
            Reach::Offline => false,
        }
    }

    /// Who gets a message to a topic, a condition or a group; nobody twice.
    fn members(&self, target: &Target) -> BTreeSet<RegistrationToken> {
        let of = |names: &BTreeMap<String, Vec<RegistrationToken>>, name: &str| {
            names.get(name).into_iter().flatten().cloned().collect()
        };
        match target {
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
        }
    }
}

/// The last message of a collapse key wins, four keys have room, and so have a hundred messages without a key.
fn make_room(queue: &mut VecDeque<Stored>, key: Option<&str>, effects: &mut Vec<Effect>) {
    let mut discard = |why, goes: &dyn Fn(&Stored) -> bool| {
        queue.retain(|stored| {
            let goes = goes(stored);
            if goes {
                effects.push(Effect::Discarded(stored.copy.clone(), why));
            }
            !goes
        });
        let keyed = queue.iter().filter(|stored| stored.key().is_some());
        let oldest = keyed.clone().next().and_then(|stored| stored.key());
        (keyed.count(), oldest.map(str::to_owned), queue.len())
    };
    let (keyed, oldest, all) = discard("collapsed", &|stored| key.is_some() && stored.key() == key);
    if key.is_some() && keyed >= COLLAPSE_KEYS {
        discard("too many collapse keys", &|stored| {
            stored.key() == oldest.as_deref()
        });
    } else if key.is_none() && all - keyed >= STORED {
        discard("too many stored", &|stored| stored.key().is_none());
    }
}

impl Stored {
    fn key(&self) -> Option<&str> {
        self.message.collapses_by()
    }
}

fn nack(code: NackCode, description: String) -> Effect {
    Effect::Answer(Answer::Nack(code, description))
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
