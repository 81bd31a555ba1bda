//! What devices send: given to a handler one by one, remembered, acked.

use super::Session;
use super::deliveries::{Delivery, DeliveryKey, DeliveryToken, Verdict};
use super::event::{DeadReason, Received, SessionEvent};
use super::storing::Pending;
use crate::client::AckToken;
use crate::message::{Receipt, Upstream};
use crate::time::Time;

impl Session {
    /// The next thing from a device to handle. Say with its token how that went.
    ///
    /// Of each device one at a time, in order; the next one comes when the one before is done with, however often it had
    /// to be tried. None are given while the session is being shut down: they come again.
    #[must_use]
    pub fn poll_delivery(&mut self) -> Option<Delivery> {
        if self.is_closing() {
            return None;
        }
        #[cfg(ccs_planted)]
        if self.is_planted(super::Planted::RetryHoldsUpAll) && self.deliveries.next_due().is_some()
        {
            return None;
        }
        let session = self.config.seed;
        let (number, held) = self.deliveries.start_next()?;
        Some(Delivery {
            received: held.received.clone(),
            token: DeliveryToken { session, number },
            attempt: held.tries,
            connection: held.token.connection(),
        })
    }

    /// Whether there are deliveries to poll.
    #[must_use]
    pub fn has_deliveries(&self) -> bool {
        !self.is_closing() && self.deliveries.has_runnable()
    }

    /// Says how a delivery was handled. Its ack goes out when that is stored.
    ///
    /// # Errors
    /// A token of another session comes back.
    pub fn handled(
        &mut self,
        now: Time,
        token: DeliveryToken,
        verdict: Verdict,
    ) -> Result<(), DeliveryToken> {
        self.tick(now);
        if token.session != self.config.seed {
            return Err(token);
        }
        let number = token.number;
        let Some(held) = self.deliveries.running(number) else {
            return Err(token);
        };
        let tries = held.tries;
        match verdict {
            Verdict::Ack => self.finish_delivery(number, Pending::Handled(number)),
            Verdict::Dead => {
                let dead = Pending::BuryDelivery(number, DeadReason::Handler);
                self.finish_delivery(number, dead);
            }
            // No handler gets it any more: it stays un-acked and comes again, whichever try it was.
            Verdict::Retry if self.is_closing() => self.deliveries.wait(number, self.now),
            Verdict::Retry if tries >= self.config.handler_tries => {
                let dead = Pending::BuryDelivery(number, DeadReason::Tries { tries });
                self.finish_delivery(number, dead);
            }
            Verdict::Retry => {
                let failed = tries.saturating_sub(1);
                let wait = self
                    .config
                    .handler_retry
                    .long_wait(failed, &mut self.random);
                self.deliveries.wait(number, self.now + wait);
                if let Some(held) = self.deliveries.get(number) {
                    let message_id = held.received.message_id().clone();
                    self.emit(SessionEvent::HandlerRetrying {
                        message_id,
                        attempt: tries,
                        after: wait,
                    });
                }
            }
        }
        self.turn();
        Ok(())
    }

    fn finish_delivery(&mut self, number: u64, pending: Pending) {
        self.deliveries.storing(number);
        self.store(pending);
        #[cfg(ccs_planted)]
        if self.is_planted(super::Planted::AckBeforeStored) {
            self.delivery_stored(number, None);
        }
    }

    pub(super) fn takes_deliveries(&self) -> bool {
        self.deliveries.len() < self.config.upstream_messages
            && self.deliveries.bytes() < self.config.upstream_bytes
    }

    pub(super) fn upstream(&mut self, message: Upstream, token: AckToken) {
        self.arrived(Received::Upstream(Box::new(message)), token);
    }

    pub(super) fn receipt(&mut self, receipt: Receipt, token: AckToken) {
        self.arrived(Received::Receipt(Box::new(receipt)), token);
    }

    /// A copy of what was handled is acked; a copy of what is not done with joins it.
    fn arrived(&mut self, received: Received, token: AckToken) {
        let key = DeliveryKey::of(&received);
        #[cfg(ccs_planted)]
        let key = if self.is_planted(super::Planted::DedupById) {
            DeliveryKey::new("", key.message_id())
        } else {
            key
        };
        if self.remembered.contains(&key) {
            self.emit(SessionEvent::Duplicate { key });
            return self.ack(token);
        }
        let pool = &self.pool;
        let there = |id| pool.get(id).is_some();
        match self.deliveries.join(&key, token, there) {
            Ok(older) => {
                if let Some(older) = older
                    && let Some(slot) = self.pool.get_mut(older.connection())
                {
                    slot.connection.forget(older);
                }
                self.emit(SessionEvent::Duplicate { key });
            }
            Err(token) => {
                #[cfg(ccs_planted)]
                self.plant_early_ack(&key, &token);
                self.deliveries.admit(key, received, token);
            }
        }
    }

    /// Acks on the connection by which the message came. Where that has ended, the message comes again and is known.
    pub(super) fn ack(&mut self, token: AckToken) {
        #[cfg(ccs_planted)]
        if self.is_planted(super::Planted::AckBeforeHandler) {
            if let Some(slot) = self.pool.get_mut(token.connection()) {
                slot.connection.forget(token);
            }
            return;
        }
        if let Some(slot) = self.pool.get_mut(token.connection()) {
            let _ = slot.connection.ack(token);
        }
    }
}
