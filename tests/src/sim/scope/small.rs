//! The small world: a session, the connections it makes, and what can happen next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::message::{Downstream, Upstream};
use ccs_proto::session::{
    Backoff, Command, Delivery, DialId, Record, Session, SessionConfig, Verdict,
};
use ccs_proto::{ConnectionId, Nonce, ServerConfig, ServerConnection, Time, TransportSecurity};

use super::Move;
use super::link::Link;
use crate::sim::app::key_of;
use crate::sim::dice::{Dice, word};
use crate::sim::invariants::{Books, Findings, Rule, Violation};
use crate::sim::sender::Sender;
use crate::sim::settings::Settings;
use crate::sim::wiretap::Wiretap;

const WINDOW: usize = 2;
const SENDER: Sender = Sender(0);
/// Deadlines that may pass without anything else to do, before all is settled.
const DEADLINES: usize = 40;
/// The session, in the list of what each part has seen; connections are the others.
pub(super) const SESSION: u64 = 0;

pub(super) struct Scope {
    pub(super) session: Session,
    tap: Wiretap,
    pub(super) books: Books,
    findings: Findings,
    pub(super) links: BTreeMap<ConnectionId, Link>,
    dials: VecDeque<DialId>,
    in_hand: VecDeque<Delivery>,
    /// What devices sent and is on no connection.
    pub(super) waiting: Vec<Upstream>,
    from_devices: usize,
    pub(super) acked: BTreeSet<String>,
    pub(super) now: Time,
    cuts: usize,
    drains: usize,
    connections: u64,
    waited: usize,
    /// For each part, a hash of what it has seen, in order.
    inputs: BTreeMap<u64, u64>,
}

impl Scope {
    pub(super) fn new(to_devices: usize, from_devices: usize) -> Self {
        let settings = Settings::small(WINDOW);
        let tap = Wiretap::default();
        let findings = Findings::default();
        let mut client = SENDER.client_config();
        client.window = WINDOW;
        client.tap = Some(tap.tap());
        let mut config = SessionConfig::new(Arc::new(client), "p", 1);
        let at_once = Backoff::new(Duration::ZERO, Duration::ZERO);
        config.reconnect = at_once;
        config.retry = at_once;
        let mut scope = Self {
            session: Session::new(config, Time::ZERO),
            tap,
            books: Books::new(SENDER, settings, findings.clone()),
            findings,
            links: BTreeMap::new(),
            dials: VecDeque::new(),
            in_hand: VecDeque::new(),
            waiting: (0..from_devices).map(upstream).collect(),
            from_devices,
            acked: BTreeSet::new(),
            now: Time::ZERO,
            cuts: 1,
            drains: 1,
            connections: 0,
            waited: 0,
            inputs: BTreeMap::new(),
        };
        for message in &scope.waiting {
            let key = (message.from().to_string(), message.message_id().to_string());
            scope.books.posted(key);
        }
        for number in 0..to_devices {
            let id = format!("m{number}");
            let message = Downstream::to("phone-1").id(id.as_str());
            scope.books.submitted(&id, None, None);
            let _ = scope.session.submit(Time::ZERO, message);
            scope.run_session();
        }
        scope
    }

    pub(super) fn violation(&mut self) -> Option<Violation> {
        if self.waited > DEADLINES {
            let what = || "it never comes to its end".to_owned();
            self.books.broken(Rule::Progress, what);
        }
        self.findings.take().1
    }

    pub(super) fn fingerprint(&self) -> u64 {
        let mut words: Vec<u64> = vec![
            u64::try_from(self.now.since_origin().as_nanos()).unwrap_or_default(),
            self.cuts as u64,
            self.drains as u64,
            self.dials.len() as u64,
        ];
        words.extend(self.inputs.iter().flat_map(|(part, seen)| [*part, *seen]));
        Dice::of(0, &words).next()
    }

    pub(super) fn saw(&mut self, part: u64, what: &str, bytes: &[u8]) {
        let seen = self.inputs.entry(part).or_default();
        let bytes = String::from_utf8_lossy(bytes);
        *seen = Dice::of(*seen, &[word(what), word(&bytes)]).next();
    }

    pub(super) fn is_settled(&self) -> bool {
        let messages = self.books.messages.values();
        self.acked.len() == self.from_devices && messages.into_iter().all(|m| m.outcome.is_some())
    }

    pub(super) fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        if !self.dials.is_empty() {
            moves.push(Move::Connect);
        }
        if !self.in_hand.is_empty() {
            moves.push(Move::Handle);
        }
        for (id, link) in &self.links {
            let ends = !link.held || link.broken;
            if !link.server.is_closed() && (!link.up.is_empty() || ends && !link.broken) {
                moves.push(Move::Up(*id));
            }
            if link.held && (!link.down.is_empty() || link.server.is_closed() || link.broken) {
                moves.push(Move::Down(*id));
            }
            if !link.server.is_closed() && !link.answers.is_empty() {
                moves.push(Move::Answer(*id));
            }
        }
        if moves.is_empty() {
            moves.push(Move::Wait);
        }
        for (id, link) in &self.links {
            let whole = link.held && !link.broken && link.server.is_open();
            if whole && self.cuts > 0 {
                moves.extend([Move::CutAbove(*id), Move::CutBelow(*id)]);
            }
            if whole && self.drains > 0 {
                moves.push(Move::Drain(*id));
            }
        }
        moves
    }

    pub(super) fn make(&mut self, step: Move) {
        match step {
            Move::Connect => self.connect(),
            Move::Up(id) => self.read_up(id),
            Move::Down(id) => self.read_down(id),
            Move::Answer(id) => {
                if let Some(link) = self.links.get_mut(&id)
                    && let Some(token) = link.answers.pop_front()
                {
                    let _ = link.server.ack(token, None);
                    self.saw(id.0, "ack", &[]);
                }
            }
            Move::Handle => {
                if let Some(delivery) = self.in_hand.pop_front() {
                    let key = key_of(&delivery.received);
                    self.books.handler_ends(&key, true, true);
                    self.saw(SESSION, "handled", &[]);
                    let now = self.now;
                    let _ = self.session.handled(now, delivery.token, Verdict::Ack);
                }
            }
            Move::CutAbove(id) => {
                self.cuts -= 1;
                self.saw(SESSION, "cut", &id.0.to_be_bytes());
                self.session.transport_failed(self.now, id, "reset by peer");
            }
            Move::CutBelow(id) => {
                self.cuts -= 1;
                self.saw(id.0, "cut", &[]);
                if let Some(link) = self.links.get_mut(&id) {
                    link.broken = true;
                    link.server.transport_failed(self.now, "reset by peer");
                }
            }
            Move::Drain(id) => {
                self.drains -= 1;
                self.saw(id.0, "drain", &[]);
                if let Some(link) = self.links.get_mut(&id) {
                    link.server.drain(self.now);
                }
            }
            Move::Wait => self.wait(),
        }
        self.settle();
    }

    fn connect(&mut self) {
        let Some(dial) = self.dials.pop_front() else {
            return;
        };
        self.connections += 1;
        let id = ConnectionId(self.connections);
        let now = self.now;
        self.saw(SESSION, "dialled", &[]);
        let tls = TransportSecurity::VerifiedTls;
        if self.session.dialled(now, dial, id, tls).is_err() {
            return;
        }
        self.books.connects(id);
        let config = Arc::new(ServerConfig::default());
        let link = Link {
            server: ServerConnection::new(config, id, Nonce([7; 20]), now),
            up: BytesMut::new(),
            down: BytesMut::new(),
            answers: VecDeque::new(),
            held: true,
            broken: false,
        };
        self.links.insert(id, link);
        // The login is no subject here: it is one step.
        while self.links.get(&id).is_some_and(|l| !l.server.is_open()) || !self.session.is_bound(id)
        {
            self.settle();
            self.read_up(id);
            self.settle();
            self.read_down(id);
        }
    }

    fn wait(&mut self) {
        self.waited += 1;
        let servers = self.links.values().map(|link| link.server.poll_timeout());
        let next = servers.chain([self.session.poll_timeout()]).flatten().min();
        let Some(next) = next else {
            return;
        };
        self.now = self.now.max(next);
        self.findings.set_now(self.now);
        self.session.handle_timeout(self.now);
        self.saw(SESSION, "time", &[]);
        let ids: Vec<ConnectionId> = self.links.keys().copied().collect();
        for id in ids {
            self.saw(id.0, "time", &[]);
            if let Some(link) = self.links.get_mut(&id) {
                link.server.handle_timeout(self.now);
            }
        }
    }

    /// Does everything that follows by itself.
    fn settle(&mut self) {
        loop {
            let mut moved = self.run_session();
            let ids: Vec<ConnectionId> = self.links.keys().copied().collect();
            for id in ids {
                moved |= self.run_server(id);
            }
            if !moved {
                break;
            }
        }
        self.look();
        self.links
            .retain(|_, link| link.held || !link.server.is_closed());
    }

    fn look(&mut self) {
        for (connection, stanza) in self.tap.take() {
            self.books.stanza(connection, stanza);
        }
    }

    fn run_session(&mut self) -> bool {
        let now = self.now;
        let mut moved = false;
        loop {
            self.look();
            if let Some(event) = self.session.poll_event() {
                self.books.event(&event);
            } else if let Some(command) = self.session.poll_command() {
                self.obey(command);
            } else if let Some(delivery) = self.session.poll_delivery() {
                self.books.handler_starts(&key_of(&delivery.received), true);
                self.in_hand.push_back(delivery);
            } else {
                let mut wrote = false;
                for (id, link) in &mut self.links {
                    if link.held && self.session.poll_transmit(now, *id, &mut link.up) {
                        wrote = true;
                        break;
                    }
                }
                if !wrote {
                    return moved;
                }
            }
            moved = true;
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Dial(dial) => {
                self.books.dials();
                self.dials.push_back(dial);
            }
            Command::CancelDial(dial) => self.dials.retain(|other| *other != dial),
            Command::Close(id) => {
                self.books.leaves(id);
                if let Some(link) = self.links.get_mut(&id) {
                    link.held = false;
                    link.down.clear();
                }
            }
            Command::Store { id, record } => {
                match &record {
                    Record::Downstream(message) => {
                        self.books.message_kept(message.id().as_str(), true);
                    }
                    Record::Handled(key) => {
                        let key = (key.from().to_owned(), key.message_id().to_owned());
                        self.books.delivery_kept(&key, true);
                    }
                    _ => {}
                }
                self.session.stored(self.now, id);
            }
            _ => {}
        }
    }
}

fn upstream(number: usize) -> Upstream {
    Upstream::new("phone-1", format!("u{number}").as_str())
}
