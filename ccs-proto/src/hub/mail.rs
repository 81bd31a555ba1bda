//! What devices did not get yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::command::StoreId;
use super::mailbox::{Mailbox, Reach};
use super::share::{ShareNo, Shares};
use crate::hash::Hashed;
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

/// All copies, the messages that they are of, and the devices that they are for.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) letters: BTreeMap<StoreId, Letter>,
    copies: BTreeMap<DeliveryId, Held>,
    boxes: BTreeMap<BoxId, Mailbox>,
    last_box: u64,
    pub(super) shares: Shares,
}

/// One device's mailbox: numbers are found faster than devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BoxId(u64);

/// A message, as long as a device has not got it.
#[derive(Debug)]
pub(super) struct Letter {
    sender: SenderId,
    share: ShareNo,
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
    pub(super) mailbox: BoxId,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
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
    /// When it was to expire, if it waited.
    pub(super) expires: Option<Time>,
    /// The message, if nothing of it is left.
    pub(super) last_of: Option<StoreId>,
}

/// What a device is given.
pub(super) struct HandedOut {
    pub(super) device: Device,
    pub(super) message_id: MessageId,
    pub(super) message: Arc<Downstream>,
}

/// Roughly, in bytes: the body that its parts keep, and what they are held in.
fn weight(message: &Downstream) -> usize {
    message.held_bytes().saturating_add(512)
}

impl Mail {
    pub(super) fn len(&self) -> usize {
        self.copies.len()
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
        let share = self.shares.of(sender);
        if let Some(share) = self.shares.get_mut(share) {
            share.bytes = share.bytes.saturating_add(weight(message));
        }
        let letter = Letter {
            sender: sender.clone(),
            share,
            message_id: message_id.clone(),
            message: Arc::clone(message),
            connection,
            expires,
            copies: BTreeSet::new(),
            confirmed: false,
        };
        self.letters.insert(id, letter);
    }

    /// The mailbox of a device for which there is something.
    pub(super) fn find(&mut self, device: &Device) -> Option<BoxId> {
        let share = self.shares.find_mut(&device.sender)?;
        share.boxes.get(&Hashed::new(device.token.clone())).copied()
    }

    /// The same, or a new one of a device that can be reached or not.
    pub(super) fn find_or_open(&mut self, device: Device, reach: Reach) -> BoxId {
        let new = BoxId(self.last_box.saturating_add(1));
        let share = self.shares.of(&device.sender);
        let boxes = self.shares.get_mut(share).map(|share| &mut share.boxes);
        let token = Hashed::new(device.token.clone());
        let found = boxes.map(|boxes| *boxes.entry(token).or_insert(new));
        if let Some(found) = found.filter(|found| *found != new) {
            return found;
        }
        self.last_box = new.0;
        self.boxes.insert(new, Mailbox::new(device, share, reach));
        new
    }

    pub(super) fn mailbox_mut(&mut self, id: BoxId) -> Option<&mut Mailbox> {
        self.boxes.get_mut(&id)
    }

    /// A copy that is being stored.
    pub(super) fn insert(&mut self, id: DeliveryId, letter: StoreId, mailbox: BoxId) {
        if let Some(letter) = self.letters.get_mut(&letter) {
            letter.copies.insert(id);
        }
        if let Some(mailbox) = self.boxes.get_mut(&mailbox) {
            mailbox.copies = mailbox.copies.saturating_add(1);
            if let Some(share) = self.shares.get_mut(mailbox.share) {
                share.copies = share.copies.saturating_add(1);
            }
        }
        let state = State::Storing;
        let held = Held {
            letter,
            mailbox,
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

    pub(super) fn mailbox_of(&self, id: DeliveryId) -> Option<&Mailbox> {
        self.boxes.get(&self.copies.get(&id)?.mailbox)
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
            device: self.boxes.get(&held.mailbox)?.device.clone(),
            message_id: letter.message_id.clone(),
            connection: letter.connection,
        })
    }

    /// Hands a copy out, and says when it was to expire if it waited.
    pub(super) fn hand_out(&mut self, id: DeliveryId) -> Option<(HandedOut, Option<Time>)> {
        let held = self.copies.get_mut(&id)?;
        let letter = self.letters.get(&held.letter)?;
        let mailbox = self.boxes.get_mut(&held.mailbox)?;
        let before = std::mem::replace(&mut held.state, State::OnItsWay);
        let share = self.shares.get_mut(letter.share)?;
        share.on_their_way = share.on_their_way.saturating_add(1);
        let waited = before == State::Waiting;
        if waited {
            mailbox.take(id, letter.message.collapses_by());
        }
        let handed_out = HandedOut {
            device: mailbox.device.clone(),
            message_id: letter.message_id.clone(),
            message: Arc::clone(&letter.message),
        };
        Some((handed_out, waited.then_some(letter.expires)))
    }

    /// Has a copy wait, for which room was made. One that comes back is not on its way any more.
    pub(super) fn put_back(&mut self, id: DeliveryId) {
        let Some(held) = self.copies.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut held.state, State::Waiting);
        let letter = self.letters.get(&held.letter);
        let mailbox = self.boxes.get_mut(&held.mailbox);
        if let (Some(letter), Some(mailbox)) = (letter, mailbox) {
            mailbox.put(id, letter.message.collapses_by());
            let share = self.shares.get_mut(letter.share);
            if let Some(share) = share.filter(|_| before == State::OnItsWay) {
                share.on_their_way = share.on_their_way.saturating_sub(1);
            }
        }
    }

    /// Takes a copy away.
    pub(super) fn take(&mut self, id: DeliveryId) -> Option<Taken> {
        let held = self.copies.remove(&id)?;
        let letter = self.letters.get_mut(&held.letter)?;
        let mailbox = self.boxes.get_mut(&held.mailbox)?;
        let share = self.shares.get_mut(letter.share)?;
        let copy = Copy {
            device: mailbox.device.clone(),
            message_id: letter.message_id.clone(),
            connection: letter.connection,
        };
        let waited = held.state == State::Waiting;
        if waited {
            mailbox.take(id, letter.message.collapses_by());
        }
        if held.state == State::OnItsWay {
            share.on_their_way = share.on_their_way.saturating_sub(1);
        }
        share.copies = share.copies.saturating_sub(1);
        mailbox.copies = mailbox.copies.saturating_sub(1);
        if mailbox.is_empty() {
            share.boxes.remove(&Hashed::new(copy.device.token.clone()));
            self.boxes.remove(&held.mailbox);
        }
        letter.copies.remove(&id);
        let taken = Taken {
            copy,
            sender: letter.sender.clone(),
            wants_receipt: letter.message.wants_receipt() && !letter.confirmed,
            expires: waited.then_some(letter.expires),
            last_of: letter.copies.is_empty().then_some(held.letter),
        };
        if taken.last_of.is_some() {
            share.bytes = share.bytes.saturating_sub(weight(&letter.message));
            self.letters.remove(&held.letter);
        }
        Some(taken)
    }
}
