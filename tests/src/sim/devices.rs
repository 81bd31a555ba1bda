//! The devices: what they send, to whom, and the receipts for what they get.

use std::collections::BTreeMap;

use ccs_proto::message::{Data, Receipt, Upstream};

use super::invariants::Key;
use super::sender::Sender;
use super::world::World;

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

/// How many messages each device sent to each sender: devices choose the same ids, and each begins anew for every sender.
#[derive(Debug, Default)]
pub(super) struct Devices {
    sent: BTreeMap<(String, Sender), u64>,
}

impl Devices {
    /// The next message of this device to this sender.
    fn write(&mut self, from: &str, to: Sender, poison: Option<Poison>) -> Upstream {
        let count = self.sent.entry((from.to_owned(), to)).or_default();
        *count += 1;
        let mut data = Data::new().with(SENDER, to.id().as_str());
        if let Some(poison) = poison {
            data = data.with(POISON, poison.word());
        }
        let message = Upstream::new(from, format!("u{count}").as_str());
        message.with_category("app").with_data(data)
    }
}

impl World {
    /// A device sends.
    pub(super) fn device_sends(&mut self, device: u64, to: Sender, poison: Option<Poison>) -> Key {
        let device = format!("phone-{device}");
        let message = self.devices.write(&device, to, poison);
        let key = (device, message.message_id().to_string());
        self.apps[to.0].books.posted(key.clone());
        self.endpoint.post(to.id(), message);
        key
    }

    /// A device has a message, and confirms it.
    pub(super) fn device_confirms(&mut self, to: Sender, id: &str, device: &str) {
        let receipt = Receipt::new(&id.into(), device, 1_498_801_519_251);
        let key = (receipt.from().to_string(), receipt.message_id().to_string());
        self.apps[to.0].books.posted(key);
        self.endpoint.receipt(&to.id(), receipt);
    }
}
