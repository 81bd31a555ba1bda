//! What the endpoint is told from outside: decisions, devices, faults.

use ccs_proto::hub::{
    Acceptance, Arrival, ArrivalId, DeliveryId, Device, Gone, Reach, SenderLimits,
};
use ccs_proto::message::{NackCode, SenderId};
use ccs_proto::{AuthRequest, ConnectionId, ServerConnection, StreamCondition, Time};

use super::Endpoint;

impl Endpoint {
    /// Lets somebody in, or not.
    pub(in crate::sim) fn login(&mut self, now: Time, request: AuthRequest, accepted: bool) {
        let id = request.connection();
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        if accepted {
            self.logins.insert(id, request.sender().clone());
            let _ = server.accept(now, request);
        } else {
            let _ = server.reject(now, request);
        }
    }

    /// This device gets the message, if anybody still wants to hear of it.
    pub(in crate::sim) fn accept(
        &mut self,
        now: Time,
        arrival: &Arrival,
        acceptance: Acceptance,
    ) -> Result<(), Gone> {
        let hub = self.hub.as_mut().ok_or(Gone)?;
        hub.accept(now, arrival.id, acceptance)?;
        let Arrival {
            sender,
            message_id,
            message,
            ..
        } = arrival;
        self.mail.accepted(sender, message_id, message);
        Ok(())
    }

    pub(in crate::sim) fn refuse(&mut self, arrival: ArrivalId, code: NackCode, words: &str) {
        if let Some(hub) = &mut self.hub {
            let _ = hub.refuse(arrival, code, words);
        }
    }

    pub(in crate::sim) fn passes_over(&mut self, arrival: ArrivalId) {
        if let Some(hub) = &mut self.hub {
            hub.pass_over(arrival);
        }
    }

    /// Gives the hub what devices sent and it has not accepted. It stays with them while the endpoint is down.
    pub(in crate::sim) fn submit_posted(&mut self, now: Time) {
        let Some(hub) = &mut self.hub else {
            return;
        };
        for (sender, message) in self.post.take_unsubmitted(now) {
            // What it says is under way was stored, and nobody had heard of it.
            if hub.submit(now, &sender, message.clone()).is_err() {
                self.post.known(&sender, &message);
            }
        }
    }

    pub(in crate::sim) fn reach(&mut self, now: Time, device: &Device, reach: Reach) {
        if let Some(hub) = &mut self.hub {
            hub.reach(now, device, reach);
        }
    }

    /// What became of a delivery of this life.
    pub(in crate::sim) fn delivered(
        &mut self,
        now: Time,
        life: u64,
        delivery: DeliveryId,
        got: bool,
    ) {
        match &mut self.hub {
            Some(hub) if life == self.life && got => hub.delivered(now, delivery, 1),
            Some(hub) if life == self.life => hub.not_delivered(now, delivery),
            _ => {}
        }
    }

    /// How many connections this sender may open from now on.
    pub(in crate::sim) fn limits(&mut self, sender: &SenderId, connections: Option<usize>) {
        let usual = self.hub_config.limits;
        let connections = connections.unwrap_or(usual.connections);
        let limits = SenderLimits {
            connections,
            ..usual
        };
        if let Some(hub) = &mut self.hub {
            hub.set_limits(sender, limits);
        }
    }

    /// Whether messages go both ways there.
    pub(in crate::sim) fn is_open(&self, id: ConnectionId) -> bool {
        self.servers.get(&id).is_some_and(ServerConnection::is_open)
    }

    pub(in crate::sim) fn drain(&mut self, now: Time, id: ConnectionId) {
        if let Some(hub) = &mut self.hub {
            hub.drain(now, id);
        }
    }

    /// Everything drains before a restart. Says which hub is to end then, if that is new.
    pub(in crate::sim) fn drain_all(&mut self, now: Time) -> Option<u64> {
        let hub = self.hub.as_mut()?;
        hub.drain_all(now);
        (!std::mem::replace(&mut self.closing, true)).then_some(self.life)
    }

    pub(in crate::sim) fn end_with(
        &mut self,
        now: Time,
        id: ConnectionId,
        condition: StreamCondition,
    ) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.end_with(now, condition, "");
        }
    }
}
