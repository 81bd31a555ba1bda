//! A hub, the app servers that are connected to it and the devices behind it, in virtual time.
//!
//! The hub's commands are carried out on real connections, each with the real other role at its far end. Devices take what
//! they are given, and app servers ack nothing by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ccs_proto::hub::{
    Acceptance, Arrival, DeliveryId, Hub, HubConfig, HubEvent, Reach, Record, StoreId,
};
use ccs_proto::message::{RegistrationToken, Target};
use ccs_proto::{
    AckToken, ClientEvent, ConnectionError, ConnectionId, ServerConfig, ServerEvent, Time,
};

use crate::link::Link;
use crate::words;

const ROUNDS: usize = 100_000;

/// Another sender than the usual one.
pub const OTHER: &str = "999";

/// How the store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storing {
    AtOnce,
    /// When the test says so.
    Later,
    Never,
}

/// A message that a device was given and has not answered for.
#[derive(Debug)]
pub struct Given {
    pub delivery: DeliveryId,
    pub word: String,
}

/// What an app server has and has not acked.
#[derive(Debug)]
pub struct InHand {
    pub connection: u64,
    pub id: String,
    pub token: AckToken,
}

pub struct World {
    pub hub: Hub,
    pub now: Time,
    pub links: BTreeMap<u64, Link>,
    pub server: ServerConfig,
    pub config: HubConfig,
    pub next: u64,
    pub storing: Storing,
    /// What the store was asked for and has not answered.
    pub asked: Vec<StoreId>,
    pub kept: BTreeMap<StoreId, Record>,
    /// Whether messages of app servers are accepted by themselves.
    pub decides: bool,
    pub arrivals: Vec<Arrival>,
    /// All others are online.
    pub reach: BTreeMap<String, Reach>,
    /// Who gets what is sent to a topic.
    pub subscribers: Vec<&'static str>,
    /// Whether devices confirm by themselves what they are given.
    pub devices_answer: bool,
    pub given: Vec<Given>,
    /// What devices confirmed, as `device:id`.
    pub got: Vec<String>,
    pub in_hand: Vec<InHand>,
    /// What app servers were sent, as `connection:id`.
    pub received: Vec<String>,
    /// What became of the messages of app servers.
    pub answers: Vec<String>,
    pub events: Vec<String>,
    /// How connections ended for their app servers.
    pub ended: Vec<(u64, Result<(), ConnectionError>)>,
    /// What either end of a connection held against the other.
    pub faults: Vec<String>,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut HubConfig)) -> Self {
        let mut config = HubConfig::default();
        change(&mut config);
        Self {
            hub: Hub::new(config.clone(), Time::ZERO),
            now: Time::ZERO,
            links: BTreeMap::new(),
            server: ServerConfig::default(),
            config,
            next: 0,
            storing: Storing::AtOnce,
            asked: Vec::new(),
            kept: BTreeMap::new(),
            decides: true,
            arrivals: Vec::new(),
            reach: BTreeMap::new(),
            subscribers: Vec::new(),
            devices_answer: true,
            given: Vec::new(),
            got: Vec::new(),
            in_hand: Vec::new(),
            received: Vec::new(),
            answers: Vec::new(),
            events: Vec::new(),
            ended: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The endpoint dies with all its connections, and another hub takes over what the store has.
    pub fn crash(&mut self) {
        for link in self.links.values_mut() {
            link.cut(self.now);
        }
        self.links.clear();
        self.in_hand.clear();
        self.asked.clear();
        self.arrivals.clear();
        self.given.clear();
        self.events.clear();
        self.hub = Hub::new(self.config.clone(), self.now);
        for (id, record) in self.kept.clone() {
            self.hub.restore(self.now, id, record);
        }
        self.drive();
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
            let deadlines = self.links.values().filter_map(Link::next_deadline);
            let next = deadlines.chain(self.hub.poll_timeout()).min();
            let Some(due) = next.filter(|due| *due <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(due);
            self.hub.handle_timeout(self.now);
            for link in self.links.values_mut() {
                link.handle_timeout(self.now);
            }
        }
        panic!("too many deadlines within {span:?}");
    }

    fn exchange(&mut self) -> bool {
        let mut moved = false;
        while let Some(command) = self.hub.poll_command() {
            self.carry_out(command);
            moved = true;
        }
        while let Some(event) = self.hub.poll_event() {
            self.hear(event);
            moved = true;
        }
        let all: BTreeSet<u64> = self.links.keys().copied().collect();
        for connection in all {
            moved |= self.carry(connection);
        }
        moved
    }

    /// Moves what can be moved on one connection, once.
    pub fn carry(&mut self, connection: u64) -> bool {
        let now = self.now;
        let link = self.link(connection);
        let moved = link.carry(now);
        let client = link.client_events();
        let server = link.server_events();
        let any = moved || !client.is_empty() || !server.is_empty();
        for event in client {
            self.client_event(connection, event);
        }
        for event in server {
            self.server_event(connection, event);
        }
        any
    }

    fn server_event(&mut self, connection: u64, event: ServerEvent) {
        let (now, id) = (self.now, ConnectionId(connection));
        match event {
            ServerEvent::Login(request) => {
                self.link(connection).server.accept(now, request).unwrap();
            }
            ServerEvent::Bound { sender, .. } => self.hub.login(now, id, &sender),
            ServerEvent::Closed(_) => {
                let link = self.link(connection);
                let unconfirmed = link.server.take_unconfirmed();
                let sender = link.sender.parse().unwrap();
                let receipts = link.server.take_unsent_receipts();
                // What the endpoint wrote last still arrives.
                while link.carry(now) {}
                for event in link.client_events() {
                    self.client_event(connection, event);
                }
                self.links.remove(&connection);
                self.in_hand.retain(|held| held.connection != connection);
                for receipt in receipts {
                    self.hub.receipt_failed(&sender, id, receipt);
                }
                self.hub.closed(now, id, unconfirmed);
            }
            event => {
                if let ServerEvent::Refused { reason, .. } = &event {
                    self.faults.push(reason.clone());
                }
                self.hub.handle(now, id, event);
            }
        }
    }

    fn client_event(&mut self, connection: u64, event: ClientEvent) {
        self.answers.extend(words::answer(&event));
        let (id, token) = match event {
            ClientEvent::Upstream { message, token } => (message.message_id().to_string(), token),
            ClientEvent::Receipt { receipt, token } => (receipt.message_id().to_string(), token),
            ClientEvent::Ignored(ignored) => {
                self.faults.push(format!("{ignored:?}"));
                return;
            }
            ClientEvent::Closed(end) => {
                self.ended.push((connection, end));
                return;
            }
            _ => return,
        };
        self.received.push(format!("{connection}:{id}"));
        self.in_hand.push(InHand {
            connection,
            id,
            token,
        });
    }

    fn hear(&mut self, event: HubEvent) {
        self.events.push(words::hub(&event));
        let HubEvent::Downstream(arrival) = event else {
            return;
        };
        if !self.decides {
            self.arrivals.push(arrival);
            return;
        }
        let devices: Vec<String> = match arrival.message.target() {
            Target::Token(token) => vec![token.to_string()],
            _ => self
                .subscribers
                .iter()
                .copied()
                .map(str::to_owned)
                .collect(),
        };
        let reached = devices.iter().map(|device| {
            let token = RegistrationToken::from(device.as_str());
            (token, self.reach_of(device))
        });
        let acceptance = Acceptance::new(reached.collect::<Vec<_>>());
        self.hub.accept(self.now, arrival.id, acceptance).unwrap();
    }
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
