//! Deadlines of the app server's role, all computed from what is under way.

use super::{ClientConnection, ClientEvent};
use crate::connection::{due, earliest};
use crate::error::ConnectionError;
use crate::time::Time;
use crate::xmpp::iq::push_ping;

impl ClientConnection {
    /// When [`handle_timeout`](Self::handle_timeout) is due next. Ask again after any other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.is_closed() {
            return None;
        }
        let config = &self.config;
        earliest([
            self.handshake_deadline(),
            self.ping_deadline(),
            self.answer_deadline(),
            self.drain_deadline(),
            self.settle_deadline(),
            self.inbox_deadline(),
            self.wire.stanza_deadline(),
            self.unsettled.next_overdue(config.ack_overdue),
            self.wire.close_deadline(config.close_timeout),
        ])
    }

    /// Lets time pass. Calling it early or late does no harm: what is due is done, what is not is not.
    pub fn handle_timeout(&mut self, now: Time) {
        self.wire.tick(now);
        self.wire.set_listening(self.wants_input());
        if !self.is_closed() {
            self.end_if_overdue(now);
            self.report_overdue_acks(now);
            self.ping_if_silent(now);
            if due(self.settle_deadline(), now) {
                self.wire.close();
            }
            self.wire.cut_if_overdue(self.config.close_timeout);
        }
        self.report_closed(now);
    }

    fn end_if_overdue(&mut self, now: Time) {
        let config = &self.config;
        let error = if due(self.handshake_deadline(), now) {
            ConnectionError::HandshakeTimeout {
                after: config.handshake_timeout,
            }
        } else if let Some((key, _)) = self
            .window
            .oldest()
            .filter(|_| due(self.answer_deadline(), now))
        {
            ConnectionError::AnswerTimeout {
                message_id: key.name().clone(),
                after: config.answer_timeout,
            }
        } else if due(self.drain_deadline(), now) {
            ConnectionError::DrainTimeout {
                after: config.drain_guard,
            }
        } else if due(self.inbox_deadline(), now) {
            ConnectionError::policy("more was sent than is taken, without regard to the window")
        } else if due(self.wire.stanza_deadline(), now) {
            self.wire.stanza_overdue()
        } else {
            return;
        };
        self.wire.fail(error);
    }

    fn report_overdue_acks(&mut self, now: Time) {
        let patience = self.config.ack_overdue;
        while let Some(unacked) = self.unsettled.take_overdue(patience, now) {
            let message_id = unacked.message_id.clone();
            self.inbox
                .push(now, 0, ClientEvent::AckOverdue { message_id });
        }
    }

    /// One ping a call at most: however late it comes, the peer has a whole interval for its answer.
    fn ping_if_silent(&mut self, now: Time) {
        if !due(self.ping_deadline(), now) {
            return;
        }
        if self.pings_unheard >= self.config.missed_pings {
            let after = now - self.wire.last_received;
            return self.wire.fail(ConnectionError::PeerSilent { after });
        }
        self.pings_unheard = self.pings_unheard.saturating_add(1);
        self.pinged = now;
        self.pings = self.pings.wrapping_add(1);
        let id = format!("ping-{}", self.pings);
        self.wire.push(|out| push_ping(out, &id));
    }

    fn handshake_deadline(&self) -> Option<Time> {
        let waiting = !self.stage.is_bound() && !self.wire.is_ending();
        waiting.then(|| self.started + self.config.handshake_timeout)
    }

    /// Silence either way calls for a ping: ours, since the endpoint's keep-alive spaces show that it lives and not that
    /// we do. While nothing is read, silence is not the peer's.
    fn ping_deadline(&self) -> Option<Time> {
        let waiting = self.stage.is_bound() && !self.wire.is_ending() && self.wants_input();
        let silent_since = self.wire.last_received.min(self.wire.last_sent);
        let since = silent_since.max(self.pinged);
        waiting.then(|| since + self.config.ping_interval)
    }

    fn answer_deadline(&self) -> Option<Time> {
        let (_, since) = self.window.oldest().filter(|_| !self.wire.is_ending())?;
        Some(since + self.config.answer_timeout)
    }

    fn drain_deadline(&self) -> Option<Time> {
        let since = self.draining_since.filter(|_| !self.wire.is_ending())?;
        Some(since + self.config.drain_guard)
    }

    fn inbox_deadline(&self) -> Option<Time> {
        let overdue = self.inbox.overdue_at(self.config.inbox_patience);
        overdue.filter(|_| !self.wire.is_ending())
    }

    fn settle_deadline(&self) -> Option<Time> {
        let since = self.closing_since.filter(|_| !self.wire.is_ending())?;
        Some(since + self.config.settle_timeout)
    }
}
