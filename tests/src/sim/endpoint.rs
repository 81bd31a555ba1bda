//! The endpoint: the real other role on each connection, and what devices sent, kept until it is acked. It knows app servers
//! by their logins only. What it answers to messages, and what devices do, is decided outside, and told by these methods.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::message::{
    Downstream, MessageId, NackCode, Receipt, RegistrationToken, SenderId, Upstream,
};
use ccs_proto::{
    AnswerToken, AuthRequest, ConnectionId, Nonce, ServerConfig, ServerConnection, ServerEvent,
    StreamCondition, Time,
};

use super::dice::Dice;
use super::invariants::Key;
use super::links::Link;
use super::wire::End;

/// What the endpoint has to say of a connection.
#[derive(Debug)]
pub(super) enum Heard {
    /// Somebody wants to log in.
    Login(AuthRequest),
    Bound,
    /// A message to a device, from whom it logged in.
    Message {
        sender: SenderId,
        id: MessageId,
        message: Box<Downstream>,
        token: AnswerToken,
    },
    /// What a device sent is acked.
    Acked(Key),
    ReceiptAcked,
    /// An ack was refused.
    Refused(String),
}

/// What is said of a message to a device.
#[derive(Debug)]
pub(super) enum Answer {
    Ack(Option<RegistrationToken>),
    Nack { code: NackCode, words: &'static str },
}

/// What a device sent to one sender.
#[derive(Debug)]
struct FromDevice {
    to: SenderId,
    message: Upstream,
    acked: bool,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    seed: u64,
    config: Arc<ServerConfig>,
    servers: BTreeMap<ConnectionId, ServerConnection>,
    /// As whom each connection is logged in.
    logins: BTreeMap<ConnectionId, SenderId>,
    heard: VecDeque<(ConnectionId, Heard)>,
    sent: BTreeMap<u64, FromDevice>,
    by_key: BTreeMap<(SenderId, Key), u64>,
    /// Those that are on no connection.
    waiting: BTreeSet<u64>,
}

fn key_of(message: &Upstream) -> Key {
    (message.from().to_string(), message.message_id().to_string())
}

impl Endpoint {
    pub(super) fn new(seed: u64) -> Self {
        let mut config = ServerConfig::default();
        config.dead_after = Some(Duration::from_secs(300));
        Self {
            seed,
            config: Arc::new(config),
            servers: BTreeMap::new(),
            logins: BTreeMap::new(),
            heard: VecDeque::new(),
            sent: BTreeMap::new(),
            by_key: BTreeMap::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Somebody has dialled.
    pub(super) fn connect(&mut self, now: Time, id: ConnectionId) {
        let nonce = Nonce([u8::try_from(id.0 % 251).unwrap_or_default(); 20]);
        let server = ServerConnection::new(Arc::clone(&self.config), id, nonce, now);
        self.servers.insert(id, server);
    }

    /// Moves the bytes of one connection, and says whether there were any.
    pub(super) fn exchange(&mut self, now: Time, id: ConnectionId, link: &mut Link) -> bool {
        let mut moved = false;
        let mut out = BytesMut::new();
        while let Some(server) = self.servers.get_mut(&id) {
            if let Some(event) = server.poll_event() {
                self.hear(id, event);
            } else if link.down.takes_bytes() && server.poll_transmit(now, &mut out) {
                link.down.write(now, out.split().freeze());
            } else if server.is_closed() {
                link.down.finish(now, End::Eof);
                link.served = false;
                self.forget(id);
            } else if server.wants_input()
                && let Some(bytes) = link.up.read()
            {
                let _ = server.receive(now, &bytes);
            } else {
                match link.up.read_end() {
                    Some(End::Eof) => drop(server.receive_eof(now)),
                    Some(End::Reset) => server.transport_failed(now, "reset"),
                    None => break,
                }
            }
            moved = true;
        }
        moved
    }

    fn hear(&mut self, id: ConnectionId, event: ServerEvent) {
        let heard = match event {
            ServerEvent::Login(request) => Heard::Login(request),
            ServerEvent::Bound { .. } => Heard::Bound,
            ServerEvent::Downstream {
                message_id,
                message,
                token,
            } => match self.logins.get(&id) {
                Some(sender) => Heard::Message {
                    sender: sender.clone(),
                    id: message_id,
                    message: Box::new(message),
                    token,
                },
                None => return,
            },
            ServerEvent::Acked(message) => {
                let key = key_of(&message);
                if let Some(sent) = self.sent_on(id, &key).and_then(|n| self.sent.get_mut(&n)) {
                    sent.acked = true;
                }
                Heard::Acked(key)
            }
            ServerEvent::ReceiptAcked(_) => Heard::ReceiptAcked,
            ServerEvent::Refused { reason, .. } => Heard::Refused(reason.to_string()),
            _ => return,
        };
        self.heard.push_back((id, heard));
    }

    /// The next thing it has to say.
    pub(super) fn poll(&mut self) -> Option<(ConnectionId, Heard)> {
        self.heard.pop_front()
    }

    /// Lets somebody in, or not.
    pub(super) fn login(&mut self, now: Time, request: AuthRequest, accepted: bool) {
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

    pub(super) fn answer(&mut self, token: AnswerToken, answer: Answer) {
        if let Some(server) = self.servers.get_mut(&token.connection()) {
            let _ = match answer {
                Answer::Ack(canonical) => server.ack(token, canonical.as_ref()),
                Answer::Nack { code, words } => server.nack(token, &code, words),
            };
        }
    }

    /// A device sends: its message goes to this sender, once there is a connection.
    pub(super) fn post(&mut self, to: SenderId, message: Upstream) {
        let number = self.sent.len() as u64 + 1;
        self.by_key.insert((to.clone(), key_of(&message)), number);
        let acked = false;
        self.sent.insert(number, FromDevice { to, message, acked });
        self.waiting.insert(number);
    }

    /// Something that was acked is sent once more.
    pub(super) fn send_again(&mut self, dice: &mut Dice) {
        let acked = self.sent.iter().filter(|(_, sent)| sent.acked);
        let acked: Vec<u64> = acked.map(|(number, _)| *number).collect();
        if !acked.is_empty() {
            let number = *dice.pick(&acked);
            self.waiting.insert(number);
        }
    }

    /// A receipt for this sender, on any open connection of it or not at all.
    pub(super) fn receipt(&mut self, to: &SenderId, receipt: Receipt) -> bool {
        let own = |id: &ConnectionId| self.logins.get(id) == Some(to);
        let mut servers = self.servers.iter_mut().rev();
        let open = servers.find(|(id, server)| own(id) && server.is_open());
        open.is_some_and(|(_, server)| server.send_receipt(receipt).is_ok())
    }

    /// Whether messages go both ways there.
    pub(super) fn is_open(&self, id: ConnectionId) -> bool {
        self.servers.get(&id).is_some_and(ServerConnection::is_open)
    }

    pub(super) fn drain(&mut self, now: Time, id: ConnectionId) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.drain(now);
        }
    }

    pub(super) fn end_with(&mut self, now: Time, id: ConnectionId, condition: StreamCondition) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.end_with(now, condition, "");
        }
    }

    /// Its end of this connection is gone at once.
    pub(super) fn lose(&mut self, now: Time, id: ConnectionId, link: &mut Link) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.transport_failed(now, "crashed");
            link.served = false;
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        let Some(mut server) = self.servers.remove(&id) else {
            return;
        };
        for message in server.take_unacked() {
            self.waiting.extend(self.sent_on(id, &key_of(&message)));
        }
        self.logins.remove(&id);
    }

    fn sent_on(&self, id: ConnectionId, key: &Key) -> Option<u64> {
        let sender = self.logins.get(&id)?.clone();
        self.by_key.get(&(sender, key.clone())).copied()
    }

    /// Gives what devices sent to connections of whom it is for, the oldest first: mostly to the newest connection, at times
    /// to another. Says whether there was anything.
    pub(super) fn hand_out(&mut self) -> bool {
        let mut any = false;
        let waiting: Vec<u64> = self.waiting.iter().copied().collect();
        for number in waiting {
            let Some(sent) = self.sent.get(&number) else {
                continue;
            };
            let logins = self.logins.iter().filter(|(_, login)| **login == sent.to);
            let open = |id: &ConnectionId| {
                let server = self.servers.get(id);
                server.is_some_and(|server| server.is_open() && server.capacity() > 0)
            };
            let open: Vec<ConnectionId> = logins.map(|(id, _)| *id).filter(open).collect();
            let Some(newest) = open.last() else {
                continue;
            };
            let mut dice = Dice::of(self.seed, &[11, number, open.len() as u64]);
            let id = if dice.percent(20) {
                *dice.pick(&open)
            } else {
                *newest
            };
            if let Some(server) = self.servers.get_mut(&id)
                && server.send(sent.message.clone()).is_ok()
            {
                any = true;
                self.waiting.remove(&number);
            }
        }
        any
    }

    /// What devices sent to this sender and it did not ack.
    pub(super) fn unacked(&self, to: &SenderId) -> impl Iterator<Item = &Upstream> {
        let sent = self.sent.values();
        sent.filter(move |sent| !sent.acked && sent.to == *to)
            .map(|sent| &sent.message)
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        for server in self.servers.values_mut() {
            if server.poll_timeout().is_some_and(|due| due <= now) {
                server.handle_timeout(now);
            }
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        let servers = self.servers.values();
        servers.filter_map(ServerConnection::poll_timeout).min()
    }
}
