//! What devices did not get yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::command::StoreId;
use super::config::HubConfig;
use super::lately::Lately;
use super::mailbox::{Mailbox, Reach};
use crate::ledger::ConnectionId;
use crate::message::{Downstream, MessageId, RegistrationToken, SenderId};
use crate::time::Time;

/// A device, as one sender knows it: tokens belong to the sender that they were made for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    /// Who sends to it.
    pub sender: SenderId,
    /// What it is addressed by.
    pub token: RegistrationToken,
}

impl Device {
    /// The device of this token, as this sender knows it.
    #[must_use]
    pub fn new(sender: SenderId, token: RegistrationToken) -> Self {
        Self { sender, token }
    }
}

/// One message on its way to one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub(super) u64);

/// One device's copy of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Who gets it.
    pub device: Device,
    /// The id that its sender gave it.
    pub message_id: MessageId,
    /// The connection by which it came; `None` after a restart.
    pub connection: Option<ConnectionId>,
}

/// All copies, and the messages that they are of.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) letters: BTreeMap<StoreId, Letter>,
    pub(super) copies: BTreeMap<DeliveryId, Held>,
    pub(super) boxes: BTreeMap<Device, Mailbox>,
    /// How many messages were discarded since too many waited for a device, which was not told yet.
    pub(super) untold: Lately<Device, u64>,
    on_their_way: usize,
    bytes: usize,
}

/// A message, as long as a device has not got it.
#[derive(Debug)]
pub(super) struct Letter {
    sender: SenderId,
    pub(super) message_id: MessageId,
    pub(super) message: Arc<Downstream>,
    connection: Option<ConnectionId>,
    pub(super) expires: Time,
    copies: BTreeSet<DeliveryId>,
    /// A device has it.
    pub(super) confirmed: bool,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) letter: StoreId,
    pub(super) device: Device,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Storing,
    Waiting,
    OnItsWay,
}

/// A copy that is gone, and what it was of.
pub(super) struct Taken {
    pub(super) copy: Copy,
    pub(super) sender: SenderId,
    /// Whether its device is the first that has the message, and the app server wants to know.
    pub(super) wants_receipt: bool,
}

/// Roughly, in bytes: the body that its parts keep, and what they are held in.
fn weight(message: &Downstream) -> usize {
    message.held_bytes().saturating_add(512)
}

impl Mail {
    pub(super) fn len(&self) -> usize {
        self.copies.len()
    }

    /// Whether copies for these devices may come in: those that are to wait, and those that go on their way at once, have
    /// a bound each.
    pub(super) fn has_room(
        &self,
        config: &HubConfig,
        devices: &BTreeMap<RegistrationToken, Reach>,
        message: &Downstream,
    ) -> bool {
        let leave = |reach: &&Reach| reach.lets_through(message);
        let leaving = devices.values().filter(leave).count();
        let staying = devices.len().saturating_sub(leaving);
        let waiting = self.copies.len().saturating_sub(self.on_their_way);
        let fits = |held: usize, more| held.saturating_add(more) <= config.kept_messages;
        let stays = fits(waiting, staying) && self.bytes < config.kept_bytes;
        (staying == 0 || stays) && fits(self.on_their_way, leaving)
    }

    pub(super) fn letter(
        &mut self,
        id: StoreId,
        connection: Option<ConnectionId>,
        sender: &SenderId,
        message_id: &MessageId,
        message: &Arc<Downstream>,
        expires: Time,
    ) {
        self.bytes = self.bytes.saturating_add(weight(message));
        let letter = Letter {
            sender: sender.clone(),
            message_id: message_id.clone(),
            message: Arc::clone(message),
            connection,
            expires,
            copies: BTreeSet::new(),
            confirmed: false,
        };
        self.letters.insert(id, letter);
    }

    /// A copy that is being stored.
    pub(super) fn insert(&mut self, id: DeliveryId, letter: StoreId, device: Device, reach: Reach) {
        if let Some(letter) = self.letters.get_mut(&letter) {
            letter.copies.insert(id);
        }
        let new = || Mailbox::new(reach);
        let mailbox = self.boxes.entry(device.clone()).or_insert_with(new);
        mailbox.copies = mailbox.copies.saturating_add(1);
        let state = State::Storing;
        let held = Held {
            letter,
            device,
            state,
        };
        self.copies.insert(id, held);
    }

    pub(super) fn copies_of(&self, letter: StoreId) -> Vec<DeliveryId> {
        let letter = self.letters.get(&letter);
        letter.map_or_else(Vec::new, |letter| letter.copies.iter().copied().collect())
    }

    pub(super) fn letter_of(&self, id: DeliveryId) -> Option<&Letter> {
        self.letters.get(&self.copies.get(&id)?.letter)
    }

    /// A copy that its device was given and has not answered for.
    pub(super) fn on_its_way(&self, id: DeliveryId) -> Option<&Held> {
        let held = self.copies.get(&id)?;
        (held.state == State::OnItsWay).then_some(held)
    }

    pub(super) fn copy(&self, id: DeliveryId) -> Option<Copy> {
        let held = self.copies.get(&id)?;
        let letter = self.letters.get(&held.letter)?;
        Some(Copy {
            device: held.device.clone(),
            message_id: letter.message_id.clone(),
            connection: letter.connection,
        })
    }

    pub(super) fn set_state(&mut self, id: DeliveryId, state: State) {
        let Some(held) = self.copies.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut held.state, state);
        let count = |state: State| usize::from(state == State::OnItsWay);
        self.on_their_way = self
            .on_their_way
            .saturating_add(count(state))
            .saturating_sub(count(before));
        let letter = self.letters.get(&held.letter);
        let key = letter.and_then(|letter| letter.message.collapses_by());
        if let Some(mailbox) = self.boxes.get_mut(&held.device) {
            if state == State::Waiting {
                mailbox.put(id, key);
            } else {
                mailbox.take(id, key);
            }
        }
    }

    /// Takes a copy away, and says so of its message if it was the last.
    pub(super) fn take(&mut self, id: DeliveryId) -> Option<(Taken, Option<StoreId>)> {
        let copy = self.copy(id)?;
        self.set_state(id, State::Storing);
        let held = self.copies.remove(&id)?;
        if let Some(mailbox) = self.boxes.get_mut(&held.device) {
            mailbox.copies = mailbox.copies.saturating_sub(1);
            if mailbox.is_empty() {
                self.boxes.remove(&held.device);
            }
        }
        let letter = self.letters.get_mut(&held.letter)?;
        letter.copies.remove(&id);
        let wants_receipt = letter.message.wants_receipt() && !letter.confirmed;
        let sender = letter.sender.clone();
        let done = letter.copies.is_empty();
        if done {
            self.bytes = self.bytes.saturating_sub(weight(&letter.message));
            self.letters.remove(&held.letter);
        }
        let taken = Taken {
            copy,
            sender,
            wants_receipt,
        };
        Some((taken, done.then_some(held.letter)))
    }
}
