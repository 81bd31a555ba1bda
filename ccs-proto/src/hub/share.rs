//! What of the mail is one sender's. Each has its own bounds, so that nobody takes the place of another.

use std::collections::BTreeMap;

use super::config::HubConfig;
use super::lately::Lately;
use super::mail::BoxId;
use super::mailbox::Reach;
use crate::hash::Hashed;
use crate::message::{Downstream, RegistrationToken, SenderId};

/// The shares of all senders that sent to devices: as many as there are accounts.
#[derive(Debug, Default)]
pub(super) struct Shares {
    by_sender: BTreeMap<SenderId, ShareNo>,
    all: Vec<Share>,
}

/// A share, as long as there is the hub.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShareNo(usize);

#[derive(Debug, Default)]
pub(super) struct Share {
    /// The devices for which there is something.
    pub(super) boxes: BTreeMap<Hashed<RegistrationToken>, BoxId>,
    /// How many messages were discarded since too many waited for a device, which was not told yet.
    pub(super) untold: Lately<RegistrationToken, u64>,
    pub(super) copies: usize,
    pub(super) on_their_way: usize,
    /// Of the bodies that its messages keep, and what they are held in.
    pub(super) bytes: usize,
}

impl Shares {
    pub(super) fn of(&mut self, sender: &SenderId) -> ShareNo {
        if let Some(share) = self.by_sender.get(sender) {
            return *share;
        }
        let new = ShareNo(self.all.len());
        self.by_sender.insert(sender.clone(), new);
        self.all.push(Share::default());
        new
    }

    pub(super) fn get_mut(&mut self, share: ShareNo) -> Option<&mut Share> {
        self.all.get_mut(share.0)
    }

    /// That of a sender that sent something.
    pub(super) fn find_mut(&mut self, sender: &SenderId) -> Option<&mut Share> {
        let share = *self.by_sender.get(sender)?;
        self.get_mut(share)
    }

    /// Whether copies for these devices may come in: those that are to wait, and those that go on their way at once, have
    /// a bound each.
    pub(super) fn has_room(
        &self,
        share: ShareNo,
        config: &HubConfig,
        devices: &BTreeMap<RegistrationToken, Reach>,
        message: &Downstream,
    ) -> bool {
        let Some(share) = self.all.get(share.0) else {
            return false;
        };
        let leave = |reach: &&Reach| reach.lets_through(message);
        let leaving = devices.values().filter(leave).count();
        let staying = devices.len().saturating_sub(leaving);
        let waiting = share.copies.saturating_sub(share.on_their_way);
        let fits = |held: usize, more| held.saturating_add(more) <= config.kept_messages;
        let stays = fits(waiting, staying) && share.bytes < config.kept_bytes;
        (staying == 0 || stays) && fits(share.on_their_way, leaving)
    }
}
