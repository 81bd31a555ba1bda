//! The connections of the app server, and what goes between them and the devices.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::SystemTime;

use ccs_tokio::proto::message::{Downstream, MessageId, Receipt};
use ccs_tokio::proto::{AnswerToken, ConnectionId, SendError, Time};
use ccs_tokio::{ConnectionError, Peer, ServerEvent, Upstream};

use super::command::Command;
use super::devices::{Answer, Delivery, Devices, Effect};
use super::event::{Event, FromDevice, Shown};
use super::upstream::Queue;

/// Receipts that wait for a login, at most; the oldest goes first.
const RECEIPTS: usize = 1_000;

/// Everything that happens goes through here, one thing at a time.
pub struct Hub {
    devices: Devices,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Who sent the last upstream message; the next in the circle sends the next.
    last: ConnectionId,
    upstream: Queue,
    receipts: VecDeque<Delivery>,
    events: Vec<Event>,
    shutting_down: bool,
}

struct Connection {
    peer: Peer,
    draining: bool,
}

impl Hub {
    pub fn new(devices: Devices) -> Self {
        Self {
            devices,
            connections: BTreeMap::new(),
            last: ConnectionId(0),
            upstream: Queue::default(),
            receipts: VecDeque::new(),
            events: Vec::new(),
            shutting_down: false,
        }
    }

    /// What is to be printed.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub fn report(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Whether anything here has its time.
    pub fn has_deadlines(&self) -> bool {
        self.devices.stores_anything() || self.upstream.waiting() > 0
    }

    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Upstream messages that nobody has acked.
    pub fn waiting(&self) -> usize {
        self.upstream.waiting()
    }

    pub fn login(&mut self, address: SocketAddr, peer: Peer) {
        let id = peer.id();
        self.events.push(Event::Login {
            connection: id.0,
            addr: address.to_string(),
            sender: peer.sender().to_string(),
            jid: peer.jid().to_owned(),
        });
        let draining = false;
        self.connections.insert(id, Connection { peer, draining });
        if self.shutting_down {
            self.drain(id);
            return;
        }
        for copy in std::mem::take(&mut self.receipts) {
            self.send_receipt(copy);
        }
        // What waits goes out with the next tick: libstrophe drops messages that come before its session iq is answered.
    }

    pub fn handle(&mut self, now: Time, id: ConnectionId, event: ServerEvent) {
        let connection = id.0;
        match event {
            ServerEvent::Downstream {
                message_id,
                message,
                token,
            } => self.downstream(now, id, &message_id, &message, token),
            ServerEvent::Acked(message) => {
                self.upstream.settle(&message);
                let acked = FromDevice::new(Some(id), &message);
                self.events.push(Event::UpstreamAcked(acked));
                self.pump(now);
            }
            ServerEvent::ReceiptAcked(receipt) => self.events.push(Event::ReceiptAcked {
                connection,
                message_id: receipt.message_id().to_string(),
            }),
            ServerEvent::Refused { message_id, reason } => self.events.push(Event::Invalid {
                connection,
                message_id: message_id.map(|id| id.to_string()),
                reason,
            }),
            ServerEvent::Ignored(habit) => self.events.push(Event::ignored(connection, &habit)),
            ServerEvent::Fault(habit) => self.events.push(Event::fault(connection, &habit)),
            ServerEvent::AckOverdue { from, message_id } => {
                self.events.push(Event::UpstreamOverdue {
                    connection,
                    from: from.to_string(),
                    message_id: message_id.to_string(),
                });
            }
            ServerEvent::Closed(end) => self.closed(now, id, end),
            // The login is done when a connection comes here.
            _ => {}
        }
    }

    fn downstream(
        &mut self,
        now: Time,
        id: ConnectionId,
        message_id: &MessageId,
        message: &Downstream,
        token: AnswerToken,
    ) {
        self.events.push(Event::Downstream {
            connection: id.0,
            message: Box::new(Shown::new(message_id.as_str(), message)),
        });
        let effects = self.devices.receive(now, id, message_id, message);
        let mut token = Some(token);
        for effect in effects {
            match (effect, token.take()) {
                (Effect::Answer(answer), Some(token)) => {
                    let to = message.target().as_str();
                    // Without its answer the message comes again, so nothing of it happened.
                    if !self.answer(id, message_id, to, answer, token) {
                        return;
                    }
                }
                (effect, _) => self.apply(now, id, effect),
            }
        }
        self.pump(now);
    }

    fn answer(
        &mut self,
        id: ConnectionId,
        message_id: &MessageId,
        to: &str,
        answer: Answer,
        token: AnswerToken,
    ) -> bool {
        let Some(Connection { peer, .. }) = self.connections.get(&id) else {
            return false;
        };
        let (connection, message_id, to) = (id.0, message_id.to_string(), to.to_owned());
        let ack = |canonical| Event::Ack {
            connection,
            message_id: message_id.clone(),
            to: to.clone(),
            canonical,
        };
        let (given, mut events) = match answer {
            Answer::Ack(canonical) => {
                let given = peer.ack(token, canonical.as_ref());
                (given, vec![ack(canonical.map(|token| token.to_string()))])
            }
            Answer::AckTwice => (peer.ack_twice(token), vec![ack(None), ack(None)]),
            Answer::Nack(code, description) => {
                let given = peer.nack(token, &code, &description);
                let event = Event::Nack {
                    connection,
                    message_id: message_id.clone(),
                    to: to.clone(),
                    error: code.as_str().to_owned(),
                    description,
                };
                (given, vec![event])
            }
        };
        if given.is_ok() {
            self.events.append(&mut events);
        }
        given.is_ok()
    }

    fn apply(&mut self, now: Time, id: ConnectionId, effect: Effect) {
        match effect {
            // Given already, with the token that goes with it.
            Effect::Answer(_) => {}
            Effect::Drain => self.drain(id),
            Effect::Cut => {
                if let Some(connection) = self.connections.get(&id) {
                    connection.peer.cut();
                }
            }
            Effect::Delivered(copy) => self.events.push(Event::Delivered(copy.into())),
            Effect::Stored(copy) => self.events.push(Event::Stored(copy.into())),
            Effect::Discarded(copy, reason) => self.events.push(Event::Discarded {
                copy: copy.into(),
                reason,
            }),
            Effect::Receipt(copy) => self.send_receipt(copy),
            Effect::Upstream(message) => {
                if let Err(why) = self.upstream.push(now, message) {
                    self.error(None, why);
                }
            }
        }
    }

    /// By the connection that the message came by, if it lives; else by any other; else at the next login.
    fn send_receipt(&mut self, copy: Delivery) {
        let own = self.connections.get_key_value(&copy.connection);
        let other = || {
            let live = |(_, connection): &(_, &Connection)| !connection.draining;
            self.connections.iter().find(live)
        };
        let Some((id, connection)) = own.or_else(other) else {
            self.receipts.push_back(copy);
            if self.receipts.len() > RECEIPTS {
                self.receipts.pop_front();
            }
            return;
        };
        let sent_at = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let sent_at = u64::try_from(sent_at).unwrap_or(u64::MAX);
        let receipt = Receipt::new(&copy.message_id, copy.device.clone(), sent_at)
            .with_category(super::upstream::CATEGORY);
        let event = Event::ReceiptSent {
            connection: id.0,
            message_id: receipt.message_id().to_string(),
            device: copy.device.to_string(),
        };
        // A receipt that cannot be sent is lost, as they were.
        match connection.peer.send_receipt(receipt) {
            Ok(()) => self.events.push(event),
            Err(why) => self.error(None, &format!("receipt of {}: {why}", copy.message_id)),
        }
    }

    /// Sends upstream messages while a live connection takes any. One with no time to live goes now or never.
    fn pump(&mut self, now: Time) {
        while let Some(message) = self.upstream.pop() {
            let Err(message) = self.send(message) else {
                continue;
            };
            if !self.upstream.is_late(now, &message) {
                self.upstream.put_back(vec![*message]);
                return;
            }
            self.upstream.settle(&message);
            self.expired(&message);
        }
    }

    fn expired(&mut self, message: &Upstream) {
        let message = FromDevice::new(None, message);
        self.events.push(Event::UpstreamExpired(message));
    }

    /// Round-robin over the connections that are not about to end.
    fn send(&mut self, message: Upstream) -> Result<(), Box<Upstream>> {
        let mut message = Box::new(message);
        let last = self.last;
        let (before, after): (Vec<_>, Vec<_>) = self
            .connections
            .iter()
            .filter(|(_, connection)| !connection.draining)
            .partition(|(id, _)| **id <= last);
        for (id, connection) in after.into_iter().chain(before) {
            let event = Event::UpstreamSent(FromDevice::new(Some(*id), &message));
            message = match connection.peer.try_send(*message) {
                Ok(()) => {
                    self.last = *id;
                    self.events.push(event);
                    return Ok(());
                }
                Err(
                    SendError::WindowFull(message)
                    | SendError::Duplicate(message)
                    | SendError::Closed(message),
                ) => message,
                Err(_) => return Ok(()),
            };
        }
        Err(message)
    }

    fn closed(&mut self, now: Time, id: ConnectionId, end: Result<(), ConnectionError>) {
        let Some(Connection { peer, .. }) = self.connections.remove(&id) else {
            return;
        };
        let unacked = peer.take_unacked();
        self.events.push(Event::Closed {
            connection: id.0,
            unacked: unacked.len(),
            error: end.err().map(|error| error.to_string()),
        });
        self.upstream.put_back(unacked);
        self.pump(now);
    }

    /// Does what a line of stdin asks for.
    pub fn command(&mut self, now: Time, line: u64, command: Command) {
        match command {
            Command::Upstream(message) => {
                let waits = FromDevice::new(None, &message);
                if let Err(why) = self.upstream.push(now, message) {
                    return self.error(Some(line), why);
                }
                let before = self.upstream.waiting();
                self.pump(now);
                if self.upstream.waiting() >= before {
                    self.events.push(Event::UpstreamWaiting(waits));
                }
            }
            Command::Reach(device, reach) => {
                self.events.push(Event::Device {
                    device: device.to_string(),
                    state: reach.as_str(),
                });
                for effect in self.devices.set(now, &device, reach) {
                    self.apply(now, ConnectionId(0), effect);
                }
                self.pump(now);
            }
            Command::Drain(which) => match self.chosen(which) {
                Ok(ids) => ids.into_iter().for_each(|id| self.drain(id)),
                Err(why) => self.error(Some(line), &why),
            },
            Command::Drop(which) => match self.chosen(which) {
                Ok(ids) => {
                    let cut = |id| self.connections.get(&id).map(|found| found.peer.cut());
                    ids.into_iter().filter_map(cut).for_each(drop);
                }
                Err(why) => self.error(Some(line), &why),
            },
        }
    }

    /// One connection, or all.
    fn chosen(&self, which: Option<u64>) -> Result<Vec<ConnectionId>, String> {
        match which.map(ConnectionId) {
            None => Ok(self.connections.keys().copied().collect()),
            Some(id) if self.connections.contains_key(&id) => Ok(vec![id]),
            Some(id) => Err(format!("there is no connection {}", id.0)),
        }
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Time) {
        for effect in self.devices.expire(now) {
            self.apply(now, ConnectionId(0), effect);
        }
        for message in self.upstream.expire(now) {
            self.expired(&message);
        }
        self.pump(now);
    }

    /// Drains every connection, those too that are about to log in.
    pub fn shut_down(&mut self) {
        self.shutting_down = true;
        let all: Vec<_> = self.connections.keys().copied().collect();
        all.into_iter().for_each(|id| self.drain(id));
    }

    fn drain(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !connection.draining
        {
            connection.draining = true;
            connection.peer.drain();
            self.events.push(Event::Draining { connection: id.0 });
        }
    }

    pub fn error(&mut self, line: Option<u64>, error: &str) {
        self.events.push(Event::Error {
            line,
            error: error.to_owned(),
        });
    }
}
