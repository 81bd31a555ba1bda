//! Bugs on purpose, to see whether the simulator finds them. Compiled under `--cfg ccs_planted` only, never by a Cargo
//! feature: no build of anybody else has them.

use super::Session;
use super::deliveries::DeliveryKey;
use super::pool::Slot;
use super::queue::Place;
use crate::client::AckToken;
use crate::message::EncodedDownstream;

/// One bug. None of them is there unless it is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// An upstream message is acked when it arrives.
    AckBeforeHandler,
    /// An upstream message is acked when it was handled, and not when that is stored.
    AckBeforeStored,
    /// An ack goes out on another connection than the message came by.
    AckOnOtherConnection,
    /// A message is accepted before it is stored.
    AcceptBeforeStored,
    /// One message more than the window is in flight.
    WindowOverrun,
    /// A message that is refused for a while is dropped.
    DropOnNack,
    /// What is refused for good is tried again.
    RetryPermanent,
    /// Attempts have no end.
    RetryForEver,
    /// A retry has another id.
    NewIdOnRetry,
    /// What is in flight on a draining connection when it closes is dropped.
    LoseOnDrain,
    /// What was handled is forgotten with each new connection.
    ForgetOnReconnect,
    /// An outcome is told twice.
    DoubleSettle,
    /// The timer of a retry fires once more when the message is on its way already.
    StaleTimer,
    /// A repeated id is a refusal although the outcome was unknown.
    DuplicateIsRefused,
    /// One id of two devices is taken for one message.
    DedupById,
    /// Messages of one device do not wait for one another.
    DeviceOutOfOrder,
    /// The next dial does not wait.
    DialAtOnce,
    /// A message waits for the answer to the one before it, whatever the window.
    OneInFlight,
    /// A delivery that waits for its next try holds up those of all devices.
    RetryHoldsUpAll,
    /// Those that were in flight when a stream ended go out together again.
    SuspectsTogether,
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::AckBeforeHandler,
        Self::AckBeforeStored,
        Self::AckOnOtherConnection,
        Self::AcceptBeforeStored,
        Self::WindowOverrun,
        Self::DropOnNack,
        Self::RetryPermanent,
        Self::RetryForEver,
        Self::NewIdOnRetry,
        Self::LoseOnDrain,
        Self::ForgetOnReconnect,
        Self::DoubleSettle,
        Self::StaleTimer,
        Self::DuplicateIsRefused,
        Self::DedupById,
        Self::DeviceOutOfOrder,
        Self::DialAtOnce,
        Self::OneInFlight,
        Self::RetryHoldsUpAll,
        Self::SuspectsTogether,
    ];
}

impl Session {
    pub(super) fn is_planted(&self, bug: Planted) -> bool {
        self.config.planted == Some(bug)
    }

    /// Acks on the token's connection, without spending it.
    pub(super) fn plant_early_ack(&mut self, key: &DeliveryKey, token: &AckToken) {
        if self.is_planted(Planted::AckBeforeHandler)
            && let Some(slot) = self.pool.get_mut(token.connection())
        {
            slot.connection.plant_ack(key.from(), key.message_id());
        }
    }

    /// Acks on any connection but the token's, if there is one.
    pub(super) fn plant_foreign_ack(&mut self, key: &DeliveryKey, token: &AckToken) -> bool {
        let other = self.pool.ids().find(|id| *id != token.connection());
        let Some(other) = other.and_then(|id| self.pool.get_mut(id)) else {
            return false;
        };
        if !other.connection.is_bound() {
            return false;
        }
        other.connection.plant_ack(key.from(), key.message_id());
        true
    }

    pub(super) fn plant_lost_drain(
        &mut self,
        slot: &Slot,
        unanswered: Vec<EncodedDownstream>,
    ) -> Vec<EncodedDownstream> {
        if !(slot.draining && self.is_planted(Planted::LoseOnDrain)) {
            return unanswered;
        }
        for message in unanswered {
            if let Some(number) = self.queue.number_of(message.id()) {
                self.queue.remove(number);
            }
        }
        Vec::new()
    }

    pub(super) fn plant_new_id(&mut self, number: u64) {
        if self.is_planted(Planted::NewIdOnRetry)
            && let Some(entry) = self.queue.get(number)
        {
            let message = entry.message.message().clone();
            let id = self.fresh_id();
            if let Ok(encoded) = message.encode(id) {
                self.queue.rename(number, encoded);
            }
        }
    }

    /// Fires the timers that should have been gone.
    pub(super) fn plant_stale_timers(&mut self) {
        while let Some((due, number)) = self.stale.first().copied()
            && due <= self.now
        {
            self.stale.pop_first();
            self.queue.put(number, Place::Ready(None));
        }
    }
}
