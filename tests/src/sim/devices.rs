//! The devices: what they send, to whom, and the receipts for what they get.

use std::collections::BTreeMap;

use ccs_proto::message::{Data, Receipt, Upstream};

use super::invariants::Key;
use super::sender::Sender;
use super::world::World;

/// The value of `data` that says for whom or from whom a message is, so that a mix-up shows wherever it happens.
pub(super) const SENDER: &str = "sender";

/// How many messages each device sent to each sender: devices choose the same ids, and each begins anew for every sender.
#[derive(Debug, Default)]
pub(super) struct Devices {
    sent: BTreeMap<(String, Sender), u64>,
}

impl Devices {
    /// The next message of this device to this sender.
    fn write(&mut self, from: &str, to: Sender) -> Upstream {
        let count = self.sent.entry((from.to_owned(), to)).or_default();
        *count += 1;
        let data = Data::new().with(SENDER, to.id().as_str());
        let message = Upstream::new(from, format!("u{count}").as_str());
        message.with_category("app").with_data(data)
    }
}

impl World {
    /// A device sends.
    pub(super) fn device_sends(&mut self, device: &str, to: Sender) -> Key {
        let message = self.devices.write(device, to);
        let key = (device.to_owned(), message.message_id().to_string());
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
