//! Connections come, drain and go.

use super::command::Command;
use super::downstream::ArrivalId;
use super::event::HubEvent;
use super::senders::{Doubtful, LineState};
use super::{Due, Hub, SenderLimits};
use crate::ledger::ConnectionId;
use crate::message::SenderId;
use crate::server::Unconfirmed;
use crate::time::Time;
use crate::xmpp::StreamCondition;

impl Hub {
    /// A connection has logged in as this sender. It gets what waits after [`greeting`](super::HubConfig::greeting), unless
    /// the sender has as many connections as it may: then it is ended.
    pub fn login(&mut self, now: Time, connection: ConnectionId, sender: &SenderId) {
        self.tick(now);
        let of = self.senders.get_or_insert(sender, &self.config);
        let limits = of.limits;
        // One that drains is being replaced, by the one that logs in as likely as not.
        let lines = of.lines.values();
        let live = lines.filter(|line| line.state != LineState::Draining);
        if live.count() >= limits.connections {
            self.command(Command::End {
                connection,
                condition: StreamCondition::PolicyViolation,
                text: format!(
                    "more than {} connections of this sender",
                    limits.connections
                ),
            });
            let sender = sender.clone();
            self.emit(HubEvent::TooManyConnections { connection, sender });
            return;
        }
        self.senders.insert(connection, sender, &self.config);
        let SenderLimits {
            window,
            upstream_window,
            ..
        } = limits;
        self.command(Command::SetWindows {
            connection,
            window,
            upstream_window,
        });
        if self.closing {
            self.drain_one(connection);
        } else {
            let greeted = self.now + self.config.greeting;
            self.timers.insert((greeted, Due::Greeted(connection)));
        }
        self.run_due();
    }

    /// A connection is over; receipts that it has not sent are told before
    /// ([`receipt_failed`](Self::receipt_failed)). `unconfirmed` are the messages whose acks the app server may not have
    /// ([`take_unconfirmed`](crate::ServerConnection::take_unconfirmed)).
    pub fn closed(&mut self, now: Time, connection: ConnectionId, unconfirmed: Vec<Unconfirmed>) {
        self.tick(now);
        // What nobody has decided on is not accepted: it comes again.
        let first = ArrivalId::first_of(connection);
        let undecided: Vec<_> = self
            .arrivals
            .range(first..)
            .map(|(id, _)| *id)
            .take_while(|id| id.connection() == connection)
            .collect();
        for id in undecided {
            self.arrivals.remove(&id);
        }
        let Some((sender, line)) = self.senders.remove(connection) else {
            return;
        };
        for acked in unconfirmed {
            self.doubt(&sender, acked);
        }
        self.take_back(connection, line);
        self.send_receipts(&sender);
        self.pump(&sender);
        self.run_due();
    }

    /// An ack could not be given, since its connection had ended: the message comes again, and is known then.
    pub fn ack_failed(&mut self, sender: &SenderId, acked: Unconfirmed) {
        self.doubt(sender, acked);
    }

    fn doubt(&mut self, sender: &SenderId, acked: Unconfirmed) {
        let limit = self.config.remembered_ids;
        if let Some(sender) = self.senders.get_mut(sender) {
            let doubtful = Doubtful::Acked(acked.content);
            let id = acked.message_id.compact();
            sender.doubtful.insert(id, doubtful, limit);
        }
    }

    /// Drains a connection: it gets no more messages, and ends when everything on it is answered. `false` if there is none
    /// of that name, or if it drains already.
    pub fn drain(&mut self, now: Time, connection: ConnectionId) -> bool {
        self.tick(now);
        self.drain_one(connection)
    }

    /// Drains every connection, and each that logs in from now on: before a restart.
    pub fn drain_all(&mut self, now: Time) {
        self.tick(now);
        self.closing = true;
        let all: Vec<_> = self.senders.connections().collect();
        for connection in all {
            self.drain_one(connection);
        }
    }

    /// The connections there are.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.senders.connections()
    }

    fn drain_one(&mut self, connection: ConnectionId) -> bool {
        let Some((_, sender)) = self.senders.of(connection) else {
            return false;
        };
        let Some(line) = sender.lines.get_mut(&connection) else {
            return false;
        };
        if line.state == LineState::Draining {
            return false;
        }
        line.state = LineState::Draining;
        #[cfg(ccs_planted)]
        if self.config.planted == Some(super::Planted::SendWhileDraining) {
            line.state = LineState::Open;
        }
        sender.refresh(connection);
        self.command(Command::Drain(connection));
        self.emit(HubEvent::Draining(connection));
        true
    }

    pub(super) fn greeted(&mut self, connection: ConnectionId) {
        let Some((id, sender)) = self.senders.of(connection) else {
            return;
        };
        if let Some(line) = sender.lines.get_mut(&connection)
            && line.state == LineState::Greeting
        {
            line.state = LineState::Open;
            sender.refresh(connection);
            self.send_receipts(&id);
            self.pump(&id);
        }
    }
}
