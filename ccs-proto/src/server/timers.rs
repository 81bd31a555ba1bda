//! Deadlines of the endpoint's role, all computed from what is under way.

use super::handshake::Stage;
use super::{ServerConnection, ServerEvent};
use crate::connection::{due, earliest};
use crate::error::ConnectionError;
use crate::time::Time;

impl ServerConnection {
    /// When [`handle_timeout`](Self::handle_timeout) is due next. Ask again after any other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.is_closed() {
            return None;
        }
        earliest([
            self.handshake_deadline(),
            self.keep_alive_deadline(),
            self.dead_deadline(),
            self.wire.stanza_deadline(),
            self.upstreams.next_overdue(self.config.ack_overdue),
            self.drain_deadline(),
            self.wire.close_deadline(self.config.close_timeout),
        ])
    }

    /// Lets time pass. Calling it early or late does no harm: what is due is done, what is not is not.
    pub fn handle_timeout(&mut self, now: Time) {
        self.wire.tick(now);
        if self.wire.is_deaf() {
            self.wire.last_received = now;
        }
        self.wire.set_listening(self.wants_input());
        if !self.is_closed() {
            if due(self.handshake_deadline(), now) {
                let after = self.config.handshake_timeout;
                self.fail(ConnectionError::HandshakeTimeout { after });
            } else if due(self.dead_deadline(), now) {
                let after = now - self.wire.last_received;
                self.fail(ConnectionError::PeerSilent { after });
            } else if due(self.wire.stanza_deadline(), now) {
                self.fail(self.wire.stanza_overdue());
            }
            self.report_overdue(now);
            if due(self.drain_deadline(), now) {
                self.wire.close();
            }
            if due(self.keep_alive_deadline(), now) {
                // One space and nothing else (fixture E12).
                self.wire.push(|out| out.extend_from_slice(b" "));
                self.wire.last_sent = now;
            }
            self.wire.cut_if_overdue(self.config.close_timeout);
        }
        self.report_closed(now);
    }

    fn report_overdue(&mut self, now: Time) {
        let patience = self.config.ack_overdue;
        while let Some(message) = self.upstreams.take_overdue(patience, now) {
            let from = message.from().clone();
            let message_id = message.message_id().clone();
            self.inbox
                .push(now, 0, ServerEvent::AckOverdue { from, message_id });
        }
    }

    fn handshake_deadline(&self) -> Option<Time> {
        let waiting = self.stage != Stage::Bound && !self.wire.is_ending();
        waiting.then(|| self.started + self.config.handshake_timeout)
    }

    fn keep_alive_deadline(&self) -> Option<Time> {
        let waiting = self.takes_messages();
        waiting.then(|| self.wire.last_sent + self.config.keep_alive)
    }

    fn dead_deadline(&self) -> Option<Time> {
        let listening = self.takes_messages() && !self.wire.is_deaf();
        let after = self.config.dead_after.filter(|_| listening)?;
        Some(self.wire.last_received + after)
    }

    fn drain_deadline(&self) -> Option<Time> {
        let since = self.draining_since.filter(|_| !self.wire.is_ending())?;
        let settled = self.unanswered.is_empty() && self.upstreams.is_idle();
        let patience = if settled {
            self.config.drain_linger
        } else {
            self.config.drain_timeout
        };
        Some(since + patience)
    }
}
