//! Bugs on purpose, to see whether the simulator finds them. Compiled under `--cfg ccs_planted` only, as for sessions.

use super::Hub;
use super::command::Record;
use super::config::HubConfig;
use super::mail::DeliveryId;
use super::mailbox::Goes;
use super::senders::{Line, LineState};
use crate::message::{MessageId, SenderId};

/// One bug. None of them is there unless it is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// A message of an app server is acked, and goes its way, before it is stored.
    AckBeforeStored,
    /// A message from a device is accepted before it is stored.
    AcceptBeforeStored,
    /// What a connection leaves un-acked is forgotten.
    ForgetOnClose,
    /// What a connection that drains leaves un-acked is forgotten.
    LoseOnDrain,
    /// A message whose ack may be lost is taken for a new one when it comes again.
    DeliverTwice,
    /// The same after a restart only.
    DeliverTwiceAfterRestart,
    /// An id that one sender may not know to be acked is acked to another one.
    MixSenders,
    /// The first message of a collapse key is kept, and not the last.
    CollapseKeepsOldest,
    /// A record is forgotten when its message is on its way to the device, and not when it is there.
    ForgetBeforeDelivered,
    /// What a device did not take is not kept.
    DropWhatComesBack,
    /// What waits for a device comes to it in the wrong order.
    DeviceOutOfOrder,
    /// A device is not told that messages for it were discarded.
    TellNothing,
    /// Time to live begins anew with each restart.
    LiveLonger,
    /// One message more than the window is in flight.
    SendPastWindow,
    /// A connection that drains gets messages too.
    SendWhileDraining,
    /// The newest message of a device that waits goes out first.
    NewestFirst,
    /// A message goes out on every connection at once.
    SendToAll,
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::AckBeforeStored,
        Self::AcceptBeforeStored,
        Self::ForgetOnClose,
        Self::LoseOnDrain,
        Self::DeliverTwice,
        Self::DeliverTwiceAfterRestart,
        Self::MixSenders,
        Self::CollapseKeepsOldest,
        Self::ForgetBeforeDelivered,
        Self::DropWhatComesBack,
        Self::DeviceOutOfOrder,
        Self::TellNothing,
        Self::LiveLonger,
        Self::SendPastWindow,
        Self::SendWhileDraining,
        Self::NewestFirst,
        Self::SendToAll,
    ];
}

impl Hub {
    pub(super) fn is_planted(&self, bug: Planted) -> bool {
        self.config.planted == Some(bug)
    }

    /// Whether an id is taken for one of which the ack may be lost.
    pub(super) fn plant_doubt(&mut self, known: bool, id: &MessageId) -> bool {
        match self.config.planted {
            Some(Planted::DeliverTwice) => false,
            Some(Planted::MixSenders) => known || self.senders.plant_doubt_of_any(id),
            _ => known,
        }
    }

    /// Takes back that the ack of a restored message may be lost.
    pub(super) fn plant_certainty(&mut self, sender: &SenderId, id: &MessageId) {
        if self.is_planted(Planted::DeliverTwiceAfterRestart)
            && let Some(sender) = self.senders.get_mut(sender)
        {
            sender.doubtful.take(id);
        }
    }

    pub(super) fn plant_new_life(&self, record: Record) -> Record {
        match record {
            Record::Downstream {
                sender,
                message_id,
                message,
                devices,
                expires,
            } => {
                let kept_for = message.kept_for().unwrap_or(self.config.kept_for);
                let longer = self.is_planted(Planted::LiveLonger);
                Record::Downstream {
                    sender,
                    message_id,
                    message,
                    devices,
                    expires: if longer { self.now + kept_for } else { expires },
                }
            }
            other => other,
        }
    }

    /// Whether what a connection in this state leaves is lost.
    pub(super) fn plants_loss(&self, state: LineState) -> bool {
        let drains = state == LineState::Draining;
        self.is_planted(Planted::ForgetOnClose) || drains && self.is_planted(Planted::LoseOnDrain)
    }

    pub(super) fn plant_early_forget(&mut self, id: DeliveryId) {
        if self.is_planted(Planted::ForgetBeforeDelivered)
            && let Some(letter) = self.mail.on_its_way(id).map(|held| held.letter)
        {
            self.forget(letter);
        }
    }

    pub(super) fn plant_oldest_key(&self, id: DeliveryId, goes: Goes) -> Goes {
        match goes {
            Goes::SameKey(_) if self.is_planted(Planted::CollapseKeepsOldest) => Goes::SameKey(id),
            goes => goes,
        }
    }

    pub(super) fn plant_order(&self, mut waiting: Vec<DeliveryId>) -> Vec<DeliveryId> {
        if self.is_planted(Planted::DeviceOutOfOrder) {
            waiting.reverse();
        }
        waiting
    }

    /// Of how many discarded messages a device is told.
    pub(super) fn plant_silence(&self, deleted: Option<u64>) -> Option<u64> {
        deleted.filter(|_| !self.is_planted(Planted::TellNothing))
    }

    /// Which message that waits is sent instead of the oldest.
    pub(super) fn plant_newest(&self, sender: &SenderId, oldest: u64) -> u64 {
        let newest = self.senders.get(sender).and_then(|of| of.waiting.last());
        match newest {
            Some(newest) if self.is_planted(Planted::NewestFirst) => *newest,
            _ => oldest,
        }
    }

    /// Sends it on all other connections too.
    pub(super) fn plant_copies(&mut self, number: u64) {
        if !self.is_planted(Planted::SendToAll) {
            return;
        }
        while let Some(entry) = self.upstreams.get(&number)
            && let Some(sender) = self.senders.get(&entry.sender)
            && let Some(other) = sender.next_for(number, &entry.message)
        {
            self.send_on(number, other);
        }
    }
}

impl Line {
    pub(super) fn planted(mut self, config: &HubConfig) -> Self {
        if config.planted == Some(Planted::SendPastWindow) {
            self.upstream_window = self.upstream_window.saturating_add(1);
        }
        self
    }
}
