//! The devices: what they send, to whom, whether they can be reached, and what they get.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ccs_proto::Time;
use ccs_proto::hub::{DeliveryId, Device, Reach};
use ccs_proto::message::{Data, Downstream, MessageId, Receipt, Upstream};

use super::invariants::{Key, Rule};
use super::seen::Sight;
use super::sender::Sender;
use super::stage::Due;
use super::world::World;

/// How long a message is on its way to its device at most when nothing is wrong, in milliseconds, and the device's word that it
/// is there.
pub(super) const ARRIVES: u64 = 200;
pub(super) const CONFIRMS: u64 = 100;

/// The value of `data` that says for whom or from whom a message is, so that a mix-up shows wherever it happens.
pub(super) const SENDER: &str = "sender";

/// The value of `data` that says what the message does to its handler.
const POISON: &str = "poison";

/// What a message does to its handler, each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poison {
    Fails,
    Panics,
    Hangs,
}

impl Poison {
    pub(super) const ALL: [Self; 3] = [Self::Fails, Self::Panics, Self::Hangs];

    fn word(self) -> &'static str {
        match self {
            Self::Fails => "fails",
            Self::Panics => "panics",
            Self::Hangs => "hangs",
        }
    }

    /// What is in this message.
    pub(super) fn in_message(message: &Upstream) -> Option<Self> {
        let word = message.data()?.get(POISON)?;
        let mut all = Self::ALL.into_iter();
        all.find(|poison| poison.word() == word)
    }
}

/// The devices' side of things.
#[derive(Debug, Default)]
pub(super) struct Devices {
    /// How many messages each device sent to each sender: devices choose the same ids, and each begins anew for every sender.
    sent: BTreeMap<(String, Sender), u64>,
    /// All others are online.
    reach: BTreeMap<String, Reach>,
    /// What is on its way to each device, in order.
    under_way: BTreeMap<Device, VecDeque<UnderWay>>,
    /// Deliveries so far, and when the last one to each device is there.
    given: u64,
    last: BTreeMap<Device, Time>,
}

#[derive(Debug)]
struct UnderWay {
    delivery: DeliveryId,
    message_id: MessageId,
    message: Arc<Downstream>,
}

impl Devices {
    /// The next message of this device to this sender.
    fn write(
        &mut self,
        from: &str,
        to: Sender,
        poison: Option<Poison>,
        life: Option<u64>,
    ) -> Upstream {
        let count = self.sent.entry((from.to_owned(), to)).or_default();
        *count += 1;
        let mut data = Data::new().with(SENDER, to.id().as_str());
        if let Some(poison) = poison {
            data = data.with(POISON, poison.word());
        }
        let message = Upstream::new(from, format!("u{count}").as_str());
        let message = message.with_category("app").with_data(data);
        match life {
            Some(seconds) => message.with_time_to_live(seconds),
            None => message,
        }
    }

    pub(super) fn reach_of(&self, token: &str) -> Reach {
        self.reach.get(token).copied().unwrap_or(Reach::Online)
    }

    /// Nothing is on its way to any of them.
    pub(super) fn are_idle(&self) -> bool {
        self.under_way.values().all(VecDeque::is_empty)
    }

    /// The endpoint that gave them anything is gone.
    pub(super) fn forget(&mut self) {
        self.under_way.clear();
    }
}

impl World {
    /// A device sends.
    pub(super) fn device_sends(
        &mut self,
        device: u64,
        to: Sender,
        poison: Option<Poison>,
        life: Option<u64>,
    ) -> Key {
        let device = format!("phone-{device}");
        let message = self.devices.write(&device, to, poison, life);
        let key = (device, message.message_id().to_string());
        self.apps[to.0].books.posted(key.clone());
        self.endpoint.post.posted(to.id(), message);
        self.endpoint.submit_posted(self.stage.now);
        key
    }

    /// From now on a device can be reached, or not: what is on its way then does not arrive.
    pub(super) fn reaches(&mut self, device: u64, reach: Reach) {
        let token = format!("phone-{device}");
        self.devices.reach.insert(token.clone(), reach);
        let now = self.stage.now;
        for app in &self.apps {
            let device = Device::new(app.sender.id(), token.as_str().into());
            if reach == Reach::Offline {
                let back = self.devices.under_way.remove(&device).unwrap_or_default();
                for under_way in back {
                    self.stage.findings.see(Sight::GivenBack);
                    let life = self.endpoint.life;
                    self.endpoint
                        .delivered(now, life, under_way.delivery, false);
                }
            }
            self.endpoint.reach(now, &device, reach);
        }
    }

    pub(super) fn all_are_online(&mut self) {
        for device in 0..self.stage.plan.settings.devices {
            self.reaches(device, Reach::Online);
        }
    }

    /// A new hub hears of the devices, and they of it.
    pub(super) fn endpoint_starts(&mut self) {
        if self.endpoint.starts(&mut self.stage) {
            for device in 0..self.stage.plan.settings.devices {
                let reach = self.devices.reach_of(&format!("phone-{device}"));
                self.reaches(device, reach);
            }
            self.endpoint.submit_posted(self.stage.now);
        }
    }

    /// The endpoint gives a message to a device.
    pub(super) fn gives(
        &mut self,
        delivery: DeliveryId,
        device: Device,
        message_id: MessageId,
        message: Arc<Downstream>,
    ) {
        let now = self.stage.now;
        if self.devices.reach_of(device.token.as_str()) == Reach::Offline {
            self.stage.findings.see(Sight::GivenBack);
            let life = self.endpoint.life;
            return self.endpoint.delivered(now, life, delivery, false);
        }
        self.devices.given += 1;
        let mut dice = self.stage.dice(&[60, self.devices.given]);
        let last = self.devices.last.get(&device).copied();
        let slow = !self.stage.calm && dice.percent(10);
        let arrives = dice.millis(0, if slow { 30_000 } else { ARRIVES });
        let due = (now + arrives).max(last.unwrap_or(now));
        self.devices.last.insert(device.clone(), due);
        let under_way = self.devices.under_way.entry(device.clone()).or_default();
        under_way.push_back(UnderWay {
            delivery,
            message_id,
            message,
        });
        let span = due.since_origin().saturating_sub(now.since_origin());
        self.stage.after(span, Due::Device(device));
    }

    /// The next message that is on its way to this device is there.
    pub(super) fn device_gets(&mut self, device: &Device) {
        let under_way = self.devices.under_way.get_mut(device);
        let Some(UnderWay {
            delivery,
            message_id: id,
            message,
        }) = under_way.and_then(VecDeque::pop_front)
        else {
            return;
        };
        self.stage.note(|| format!("{device:?} has {id}"));
        let whose = self.apps.iter_mut();
        let Some(app) = whose
            .into_iter()
            .find(|app| app.sender.id() == device.sender)
        else {
            return;
        };
        let known = app.books.messages.get(id.as_str());
        let unknown = known.map_or(u32::MAX / 2, |message| message.doubts);
        self.endpoint.mail.got(device, &id, &message, unknown);
        if message.wants_receipt() {
            let receipt = Receipt::new(&id, device.token.clone(), 1);
            let key = (receipt.from().to_string(), receipt.message_id().to_string());
            app.books.posted(key);
        }
        self.devices.given += 1;
        let mut dice = self.stage.dice(&[61, self.devices.given]);
        let life = self.endpoint.life;
        let confirms = if dice.percent(50) {
            Duration::ZERO
        } else {
            dice.millis(0, CONFIRMS)
        };
        self.stage.after(confirms, Due::Confirmed(life, delivery));
    }

    /// What app servers were told that it is taken over is with its device, or `later` still can be.
    pub(super) fn promises_hold(&self, later: bool) {
        for app in &self.apps {
            let sender = app.sender.id();
            let promised = app.books.messages.iter().filter(|(_, m)| m.promised);
            for (id, _) in promised {
                let safe = self.endpoint.mail.is_safe(&sender, id, later);
                app.books.check(safe, Rule::NoLoss, || {
                    format!("{id} was acked, and its device does not get it")
                });
            }
        }
    }
}
