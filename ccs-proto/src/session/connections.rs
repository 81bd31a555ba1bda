//! When to dial, and what the ends of connections mean.

use std::sync::Arc;

use thiserror::Error;

use super::Session;
use super::command::{Command, DialId};
use super::event::{ReconnectReason, SessionEvent};
use super::pool::{Dial, Slot};
use super::reconnect::{Class, DialFailure};
use crate::client::{ClientConnection, ClientEvent};
use crate::config::TransportSecurity;
use crate::error::ConnectionError;
use crate::ledger::ConnectionId;
use crate::time::Time;

/// The session does not want the connection that was dialled: close it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the session does not want this connection any more; close it")]
pub struct NotWanted;

impl Session {
    /// A dial succeeded, with TLS up and the peer's certificate verified. `connection` tells it from every other
    /// connection of this process.
    ///
    /// # Errors
    /// It is not wanted any more, because the dial took too long or the session is being shut down.
    pub fn dialled(
        &mut self,
        now: Time,
        dial: DialId,
        connection: ConnectionId,
        security: TransportSecurity,
    ) -> Result<(), NotWanted> {
        let now = self.tick(now);
        let wanted = self.pool.dial.is_some_and(|under_way| under_way.id == dial);
        if !wanted || self.pool.slots.contains_key(&connection) {
            return Err(NotWanted);
        }
        self.pool.dial = None;
        let config = Arc::clone(&self.config.client);
        #[cfg(ccs_planted)]
        let config = {
            let mut planted = (*config).clone();
            planted.window += usize::from(self.is_planted(super::Planted::WindowOverrun));
            Arc::new(planted)
        };
        #[cfg(ccs_planted)]
        if self.is_planted(super::Planted::ForgetOnReconnect) {
            let config = &self.config;
            self.remembered =
                super::Remembered::new(config.remembered_messages, config.remembered_bytes);
        }
        let window = config.window;
        let slot = Slot::new(
            ClientConnection::new(config, connection, security, now),
            window,
        );
        self.pool.slots.insert(connection, slot);
        self.turn();
        Ok(())
    }

    /// A dial failed. The next one waits.
    pub fn dial_failed(&mut self, now: Time, dial: DialId, failure: DialFailure) {
        self.tick(now);
        if self.pool.dial.is_some_and(|under_way| under_way.id == dial) {
            self.pool.dial = None;
            let class = Class::of_dial(&failure);
            self.put_off(class, ReconnectReason::DialFailed(failure));
        }
        self.turn();
    }

    fn put_off(&mut self, class: Class, why: ReconnectReason) {
        let after = self
            .reconnect
            .failed(self.now, class, &self.config, &mut self.random);
        if let (Class::Login, ReconnectReason::Lost(Err(error))) = (class, &why) {
            let error = error.clone();
            self.emit(SessionEvent::LoginFailed { error, after });
        }
        #[cfg(ccs_planted)]
        if self.is_planted(super::Planted::DialAtOnce) {
            self.reconnect = super::Reconnect::default();
        }
        let attempt = self.reconnect.failures();
        self.emit(SessionEvent::Reconnecting {
            attempt,
            after,
            why,
        });
    }

    /// The endpoint takes messages of this sender no more on this connection, as its nack says.
    pub(super) fn shut_out(&mut self, id: ConnectionId, error: ConnectionError) {
        let Some(slot) = self.pool.get_mut(id).filter(|slot| !slot.retired) else {
            return;
        };
        slot.retired = true;
        let unsent = slot.connection.take_unsent();
        slot.connection.close(self.now);
        self.take_back(unsent);
        self.queue.release(id);
        self.put_off(Class::Login, ReconnectReason::Lost(Err(error)));
    }

    /// Takes what the connections have to say.
    pub(super) fn collect(&mut self) {
        let ids: Vec<ConnectionId> = self.pool.ids().collect();
        for id in ids {
            self.collect_from(id);
        }
    }

    fn collect_from(&mut self, id: ConnectionId) {
        self.note_bound(id);
        loop {
            let takes_answers = self.takes_events();
            let takes_deliveries = takes_answers && self.takes_deliveries();
            let Some(slot) = self.pool.get_mut(id) else {
                return;
            };
            let over = slot.connection.is_closed();
            let held_up = !takes_answers && slot.connection.is_draining();
            // In the order of the stream, so that it does not matter in which pieces its bytes came. But answers never
            // wait for handlers, nor does a drain; and what answers a connection that is over still holds is taken in
            // any case.
            let event = if takes_deliveries {
                slot.connection.poll_event()
            } else if !slot.draining && (held_up || slot.connection.has_drained()) {
                Some(ClientEvent::Draining)
            } else if takes_answers || over {
                slot.connection.poll_answer()
            } else {
                None
            };
            let Some(event) = event else {
                break;
            };
            let frees = matches!(
                event,
                ClientEvent::Answered { .. } | ClientEvent::Draining | ClientEvent::Bound { .. }
            );
            self.handle(id, event);
            if frees {
                self.note_window();
                self.note_room();
            }
        }
        if self
            .pool
            .get(id)
            .is_some_and(|slot| slot.connection.is_closed())
        {
            self.close(id);
        }
    }

    fn note_bound(&mut self, id: ConnectionId) {
        let now = self.now;
        let healthy_after = self.config.healthy_after;
        let Some(slot) = self.pool.get_mut(id) else {
            return;
        };
        if slot.bound_since.is_none() && slot.connection.is_bound() {
            slot.bound_since = Some(now);
        }
        let held = slot
            .bound_since
            .is_some_and(|since| since + healthy_after <= now);
        if held {
            slot.healthy = true;
            self.reconnect.healthy(now, healthy_after);
        }
    }

    pub(super) fn handle(&mut self, id: ConnectionId, event: ClientEvent) {
        match event {
            ClientEvent::Answered {
                message_id,
                outcome,
            } => {
                if let Some(slot) = self.pool.get_mut(id) {
                    slot.free = slot.free.saturating_add(1);
                }
                self.answered(id, &message_id, outcome);
            }
            ClientEvent::Upstream { message, token } => self.upstream(message, token),
            ClientEvent::Receipt { receipt, token } => self.receipt(receipt, token),
            ClientEvent::Bound { jid } => {
                let connection = id;
                self.emit(SessionEvent::Connected { connection, jid });
            }
            ClientEvent::AckOverdue { message_id } => {
                self.emit(SessionEvent::AckOverdue { message_id });
            }
            ClientEvent::Ignored(ignored) => self.emit(SessionEvent::Ignored(ignored)),
            ClientEvent::Draining => self.drain(id),
            // Seen by the state of the connection, which no full inbox holds up.
            ClientEvent::Closed(_) => {}
        }
    }

    /// The endpoint drains a connection: what was not sent goes elsewhere, what is in flight may still be answered there
    /// (`docs/protocol.md` §7).
    fn drain(&mut self, id: ConnectionId) {
        let Some(slot) = self.pool.get_mut(id).filter(|slot| !slot.draining) else {
            return;
        };
        slot.draining = true;
        let unsent = slot.connection.take_unsent();
        let healthy = slot.healthy;
        self.take_back(unsent);
        self.queue.release(id);
        self.emit(SessionEvent::Draining { connection: id });
        self.bound_draining();
        let after = self
            .reconnect
            .drained(self.now, healthy, &self.config, &mut self.random);
        if self.wants_dial() {
            let attempt = self.reconnect.failures();
            let why = ReconnectReason::Drained;
            self.emit(SessionEvent::Reconnecting {
                attempt,
                after,
                why,
            });
        }
    }

    /// An endpoint that never closes what it drains does not get to hold any number of connections.
    fn bound_draining(&mut self) {
        let now = self.now;
        let max = self.config.draining_connections;
        let draining = |slot: &&mut Slot| slot.draining && !slot.retired;
        let count = self.pool.slots_mut().filter(draining).count();
        let excess = count.saturating_sub(max);
        for slot in self.pool.slots_mut().filter(draining).take(excess) {
            slot.retired = true;
            slot.connection.close(now);
        }
    }

    /// A connection is over: what was in flight is unknown and goes out again.
    fn close(&mut self, id: ConnectionId) {
        let Some(mut slot) = self.pool.slots.remove(&id) else {
            return;
        };
        let end = slot.connection.end().unwrap_or(Ok(()));
        let unsent = slot.connection.take_unsent();
        let unanswered = slot.connection.take_unanswered();
        #[cfg(ccs_planted)]
        let unanswered = self.plant_lost_drain(&slot, unanswered);
        self.commands.push_back(Command::Close(id));
        self.emit(SessionEvent::Disconnected {
            connection: id,
            end: end.clone(),
            unknown: unanswered.len(),
        });
        self.take_back(unsent);
        let failed = !slot.draining && !slot.retired;
        self.lost(unanswered, failed, &end);
        self.queue.release(id);
        // The next dial after a drain, or after an end of our own, was planned when it began.
        if failed {
            self.put_off(Class::of_end(&end), ReconnectReason::Lost(end));
        }
    }

    pub(super) fn plan_dial(&mut self) {
        if let Some(dial) = self.pool.dial.filter(|dial| dial.until <= self.now) {
            self.cancel_dial(dial.id);
            let what = "no answer to the dial in time".to_owned();
            let failure = DialFailure::Unreachable(what);
            self.put_off(Class::Passing, ReconnectReason::DialFailed(failure));
        }
        let allowed = self
            .reconnect
            .not_before()
            .is_none_or(|due| due <= self.now);
        if self.pool.dial.is_none() && allowed && self.wants_dial() {
            let id = DialId(self.pool.next_dial);
            self.pool.next_dial = self.pool.next_dial.wrapping_add(1);
            let until = self.now + self.config.dial_timeout;
            self.pool.dial = Some(Dial { id, until });
            self.commands.push_back(Command::Dial(id));
        }
    }

    pub(super) fn dial_deadline(&self) -> Option<Time> {
        match self.pool.dial {
            Some(dial) => Some(dial.until),
            None if self.wants_dial() => self.reconnect.not_before(),
            None => None,
        }
    }

    /// One connection is always wanted, as devices send too; a further one when those there are cannot take what waits.
    fn wants_dial(&self) -> bool {
        if self.is_closing() && self.queue.is_empty() {
            return false;
        }
        match self.pool.live() {
            0 => true,
            live => {
                live < self.config.connections
                    && self.pool.all_live_bound()
                    && self.pool.is_full()
                    && self.queue.has_ready()
            }
        }
    }

    pub(super) fn cancel_any_dial(&mut self) {
        if let Some(dial) = self.pool.dial {
            self.cancel_dial(dial.id);
        }
    }

    fn cancel_dial(&mut self, id: DialId) {
        self.pool.dial = None;
        self.commands.push_back(Command::CancelDial(id));
    }
}
