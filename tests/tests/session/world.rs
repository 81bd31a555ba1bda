//! A session, and the endpoint that it talks to, in virtual time: what is dialled is connected to the real other role.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::message::{Downstream, NackCode, Upstream};
use ccs_proto::session::{
    Command, Delivery, DialFailure, DialId, Forgotten, Record, Session, SessionConfig,
    SessionEvent, Settlement, StoreId, Verdict,
};
use ccs_proto::{
    AnswerToken, ClientConfig, ConnectionId, Nonce, ServerConfig, ServerConnection, ServerEvent,
    StreamCondition, Time, TransportSecurity,
};
use ccs_tests::pair::client_config;

const ROUNDS: usize = 100_000;

/// What comes of a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    Accept,
    Refuse,
    BadCertificate,
    Never,
    BadLogin,
}

/// The endpoint's end of a connection, and what is on its way.
pub struct Link {
    pub server: ServerConnection,
    upwards: BytesMut,
    pub downwards: BytesMut,
    login: bool,
}

pub struct World {
    pub session: Session,
    pub now: Time,
    pub links: BTreeMap<ConnectionId, Link>,
    /// What comes of the next dials; all others are accepted.
    pub dials: VecDeque<Dial>,
    /// When each dial was asked for.
    pub dialled: Vec<Time>,
    pub cancelled: Vec<DialId>,
    /// Whether records are stored by themselves.
    pub stores: bool,
    pub asked: Vec<(StoreId, Record)>,
    pub forgotten: Vec<Forgotten>,
    pub events: Vec<SessionEvent>,
    pub events_are_taken: bool,
    pub deliveries: Vec<Delivery>,
    /// Downstream messages that the endpoint was given and did not answer.
    pub received: Vec<(ConnectionId, String, AnswerToken)>,
    /// What the endpoint was told of its upstream messages.
    pub acked: Vec<(ConnectionId, String)>,
    pub config: ServerConfig,
    next: u64,
}

impl World {
    pub fn new(change: impl FnOnce(&mut SessionConfig, &mut ClientConfig)) -> Self {
        let mut client = client_config();
        let mut config = SessionConfig::new(Arc::new(client.clone()), "p", 1);
        change(&mut config, &mut client);
        config.client = Arc::new(client);
        Self {
            session: Session::new(config, Time::ZERO),
            now: Time::ZERO,
            links: BTreeMap::new(),
            dials: VecDeque::new(),
            dialled: Vec::new(),
            cancelled: Vec::new(),
            stores: true,
            asked: Vec::new(),
            forgotten: Vec::new(),
            events: Vec::new(),
            events_are_taken: true,
            deliveries: Vec::new(),
            received: Vec::new(),
            acked: Vec::new(),
            config: ServerConfig::default(),
            next: 0,
        }
    }

    /// A session with one bound connection.
    pub fn bound() -> Self {
        Self::bound_with(|_, _| {})
    }

    pub fn bound_with(change: impl FnOnce(&mut SessionConfig, &mut ClientConfig)) -> Self {
        let mut world = Self::new(change);
        world.drive();
        assert_eq!(world.log(), ["connected 1"]);
        world
    }

    /// Moves what can be moved. No time passes.
    pub fn drive(&mut self) {
        for _ in 0..ROUNDS {
            if !self.exchange() {
                return;
            }
        }
        panic!("never comes to rest");
    }

    pub fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..ROUNDS {
            self.drive();
            let deadlines = self.links.values().map(|link| link.server.poll_timeout());
            let next = deadlines
                .chain([self.session.poll_timeout()])
                .flatten()
                .min();
            match next.filter(|due| *due <= end) {
                Some(due) => {
                    self.now = self.now.max(due);
                    self.session.handle_timeout(self.now);
                    for link in self.links.values_mut() {
                        link.server.handle_timeout(self.now);
                    }
                }
                None => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("too many deadlines within {span:?}");
    }

    fn exchange(&mut self) -> bool {
        let mut moved = self.obey();
        let ids: Vec<ConnectionId> = self.links.keys().copied().collect();
        for id in ids {
            moved |= self.carry(id);
        }
        while self.events_are_taken
            && let Some(event) = self.session.poll_event()
        {
            self.events.push(event);
            moved = true;
        }
        while let Some(delivery) = self.session.poll_delivery() {
            self.deliveries.push(delivery);
            moved = true;
        }
        moved
    }

    fn obey(&mut self) -> bool {
        let mut moved = false;
        while let Some(command) = self.session.poll_command() {
            moved = true;
            match command {
                Command::Dial(dial) => self.dial(dial),
                Command::CancelDial(dial) => self.cancelled.push(dial),
                Command::Close(id) => self.unplug(id),
                Command::Store { id, .. } if self.stores => self.session.stored(self.now, id),
                Command::Store { id, record } => self.asked.push((id, record)),
                Command::Forget(forgotten) => self.forgotten.push(forgotten),
                other => panic!("{other:?}"),
            }
        }
        moved
    }

    fn dial(&mut self, dial: DialId) {
        self.dialled.push(self.now);
        let what = self.dials.pop_front().unwrap_or(Dial::Accept);
        let failure = match what {
            Dial::Never => return,
            Dial::Refuse => DialFailure::Unreachable("connection refused".to_owned()),
            Dial::BadCertificate => DialFailure::Tls("unknown issuer".to_owned()),
            Dial::Accept | Dial::BadLogin => {
                self.next += 1;
                let id = ConnectionId(self.next);
                let nonce = Nonce([u8::try_from(self.next % 256).unwrap(); 20]);
                let config = Arc::new(self.config.clone());
                let link = Link {
                    server: ServerConnection::new(config, id, nonce, self.now),
                    upwards: BytesMut::new(),
                    downwards: BytesMut::new(),
                    login: what == Dial::Accept,
                };
                self.links.insert(id, link);
                let tls = TransportSecurity::VerifiedTls;
                self.session.dialled(self.now, dial, id, tls).unwrap();
                return;
            }
        };
        self.session.dial_failed(self.now, dial, failure);
    }

    fn carry(&mut self, id: ConnectionId) -> bool {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else {
            return false;
        };
        let before = (link.upwards.len(), link.downwards.len());
        while self.session.poll_transmit(now, id, &mut link.upwards) {}
        while link.server.poll_transmit(now, &mut link.downwards) {}
        let mut moved = (link.upwards.len(), link.downwards.len()) != before;
        if link.server.wants_input() && !link.upwards.is_empty() {
            let _ = link.server.receive(now, &link.upwards.split());
            moved = true;
        }
        while let Some(event) = link.server.poll_event() {
            moved = true;
            match event {
                ServerEvent::Login(request) => {
                    let answered = if link.login {
                        link.server.accept(now, request)
                    } else {
                        link.server.reject(now, request)
                    };
                    answered.unwrap();
                }
                ServerEvent::Downstream {
                    message_id, token, ..
                } => self.received.push((id, message_id.to_string(), token)),
                ServerEvent::Acked(message) => {
                    self.acked.push((id, message.message_id().to_string()));
                }
                ServerEvent::ReceiptAcked(receipt) => {
                    self.acked.push((id, receipt.message_id().to_string()));
                }
                _ => {}
            }
        }
        if self.session.wants_input(id) && !link.downwards.is_empty() {
            self.session.receive(now, id, &link.downwards.split());
            moved = true;
        }
        if link.server.is_closed() && link.downwards.is_empty() {
            self.links.remove(&id);
            self.received.retain(|(connection, _, _)| *connection != id);
            self.session.receive_eof(now, id);
            // What is written to a transport that the peer has closed is lost.
            while self.session.poll_transmit(now, id, &mut BytesMut::new()) {}
            moved = true;
        }
        moved
    }

    /// The session closed its transport.
    fn unplug(&mut self, id: ConnectionId) {
        if let Some(mut link) = self.links.remove(&id) {
            let _ = link.server.receive(self.now, &link.upwards);
            let _ = link.server.receive_eof(self.now);
        }
        self.received.retain(|(connection, _, _)| *connection != id);
    }

    /// The connection breaks, with whatever is on its way.
    pub fn cut(&mut self, id: u64) {
        let id = ConnectionId(id);
        self.links.remove(&id);
        self.received.retain(|(connection, _, _)| *connection != id);
        self.session.transport_failed(self.now, id, "reset by peer");
        self.drive();
    }

    pub fn server(&mut self, id: u64) -> &mut ServerConnection {
        &mut self.links.get_mut(&ConnectionId(id)).unwrap().server
    }

    /// The endpoint ends the stream with an error.
    pub fn end_with(&mut self, id: u64, condition: StreamCondition) {
        let now = self.now;
        self.server(id).end_with(now, condition, "");
        self.drive();
    }

    pub fn drain(&mut self, id: u64) {
        let now = self.now;
        self.server(id).drain(now);
        self.drive();
    }

    pub fn submit(&mut self, id: &str) {
        self.submit_to("phone-1", id);
    }

    pub fn submit_to(&mut self, target: &str, id: &str) {
        let message = Downstream::to(target).data("text", id).id(id);
        self.session.submit(self.now, message).unwrap();
        self.drive();
    }

    /// What the endpoint has and has not answered, as `connection:id`.
    pub fn unanswered(&self) -> Vec<String> {
        let words = |(at, id, _): &(ConnectionId, String, AnswerToken)| format!("{}:{id}", at.0);
        self.received.iter().map(words).collect()
    }

    /// What the endpoint needs to answer this message.
    pub fn take(&mut self, id: &str) -> (ConnectionId, AnswerToken) {
        let found = self.received.iter().position(|(_, other, _)| other == id);
        let (connection, _, token) = self.received.remove(found.expect("the endpoint has it"));
        (connection, token)
    }

    pub fn ack(&mut self, id: &str) {
        let (connection, token) = self.take(id);
        self.server(connection.0).ack(token, None).unwrap();
        self.drive();
    }

    pub fn ack_all(&mut self) {
        while let Some((_, id, _)) = self.received.first() {
            let id = id.clone();
            self.ack(&id);
        }
    }

    pub fn nack(&mut self, id: &str, code: &NackCode) {
        self.nack_with(id, code, "");
    }

    pub fn nack_with(&mut self, id: &str, code: &NackCode, words: &str) {
        let (connection, token) = self.take(id);
        self.server(connection.0).nack(token, code, words).unwrap();
        self.drive();
    }

    /// A device sends a message, by this connection.
    pub fn device_sends(&mut self, connection: u64, device: &str, id: &str) {
        let message = Upstream::new(device, id);
        self.server(connection).send(message).unwrap();
        self.drive();
    }

    /// Says how the first delivery of this id went.
    pub fn handle(&mut self, id: &str, verdict: Verdict) {
        let is = |delivery: &Delivery| delivery.received.message_id().as_str() == id;
        let found = self.deliveries.iter().position(is);
        let delivery = self.deliveries.remove(found.expect("a delivery"));
        let token = delivery.token;
        self.session.handled(self.now, token, verdict).unwrap();
        self.drive();
    }

    /// What the handlers have in hand, as `id#attempt`.
    pub fn in_hand(&self) -> Vec<String> {
        let words = |d: &Delivery| format!("{}#{}", d.received.message_id(), d.attempt);
        self.deliveries.iter().map(words).collect()
    }

    /// What the endpoint was told is acked, as `connection:id`.
    pub fn acks(&self) -> Vec<String> {
        self.acked
            .iter()
            .map(|(at, id)| format!("{}:{id}", at.0))
            .collect()
    }

    /// Takes the events, each in a few words; those that tell the outcome of messages first of all.
    pub fn log(&mut self) -> Vec<String> {
        self.events.drain(..).map(|event| words(&event)).collect()
    }

    /// Takes the events, and gives the outcomes of messages.
    pub fn outcomes(&mut self) -> Vec<String> {
        let settled = |event: &SessionEvent| matches!(event, SessionEvent::Settled { .. });
        let events = std::mem::take(&mut self.events);
        events
            .iter()
            .filter(|event| settled(event))
            .map(words)
            .collect()
    }
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn words(event: &SessionEvent) -> String {
    match event {
        SessionEvent::Accepted { id } => format!("accepted {id}"),
        SessionEvent::NotStored { message } => format!("not stored {}", message.id()),
        SessionEvent::Settled { id, outcome } => match outcome {
            Settlement::Acked { canonical: None } => format!("acked {id}"),
            Settlement::Acked {
                canonical: Some(token),
            } => format!("acked {id} as {token}"),
            Settlement::Refused(refused) => format!("refused {id}: {refused}"),
            Settlement::Expired => format!("expired {id}"),
            Settlement::Dead(reason) => format!("dead {id}: {reason}"),
            other => format!("{id} {other:?}"),
        },
        SessionEvent::Retrying {
            id, attempt, code, ..
        } => format!("retrying {id} {attempt} {code}"),
        SessionEvent::HandlerRetrying {
            message_id,
            attempt,
            ..
        } => format!("handler retrying {message_id} {attempt}"),
        SessionEvent::Duplicate { key } => format!("duplicate {}", key.message_id()),
        SessionEvent::DeadLetter(_) => "dead letter".to_owned(),
        SessionEvent::TokenReplaced { old, new } => format!("replace {old} by {new}"),
        SessionEvent::TokenGone { token, code } => format!("delete {token} {code}"),
        SessionEvent::Connected { connection, .. } => format!("connected {}", connection.0),
        SessionEvent::Draining { connection } => format!("draining {}", connection.0),
        SessionEvent::Disconnected {
            connection,
            unknown,
            ..
        } => format!("disconnected {} unknown {unknown}", connection.0),
        SessionEvent::Reconnecting { attempt, .. } => format!("reconnecting {attempt}"),
        SessionEvent::LoginFailed { .. } => "login failed".to_owned(),
        SessionEvent::AckOverdue { message_id } => format!("overdue {message_id}"),
        other => format!("{other:?}"),
    }
}
