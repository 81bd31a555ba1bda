//! The endpoint: the real other role on each connection, devices behind it, and answers that it makes up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::message::{Downstream, NackCode, Receipt, RegistrationToken, Upstream};
use ccs_proto::{
    AnswerToken, ConnectionId, Nonce, ServerConfig, ServerConnection, ServerEvent, StreamCondition,
    Time,
};

use super::dice::{Dice, word};
use super::faults::{self, Mood};
use super::invariants::{Key, Rule};
use super::plan::Killer;
use super::seen::Sight;
use super::wire::{End, Pipe};
use super::world::{Due, World};

const DUPLICATE: &str = "Message with the same id has been received before";

/// A connection between the two.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    pub(super) server: Option<ServerConnection>,
    /// The app server has not closed its end.
    pub(super) held: bool,
}

/// What a device sent.
#[derive(Debug)]
struct FromDevice {
    message: Upstream,
    acked: bool,
}

#[derive(Debug)]
enum Reply {
    Ack { twice: bool, canonical: bool },
    Nack { code: NackCode, words: &'static str },
}

#[derive(Debug, Default)]
pub(super) struct Endpoint {
    config: Arc<ServerConfig>,
    answers: BTreeMap<u64, (AnswerToken, Reply)>,
    next_answer: u64,
    /// How often each message came.
    came: BTreeMap<String, u64>,
    sent: BTreeMap<u64, FromDevice>,
    by_key: BTreeMap<Key, u64>,
    /// Those that are on no connection.
    waiting: BTreeSet<u64>,
    next_sent: u64,
    /// How many messages each device sent: devices choose the same ids.
    ids: BTreeMap<u64, u64>,
}

impl Endpoint {
    pub(super) fn new() -> Self {
        let mut config = ServerConfig::default();
        config.dead_after = Some(Duration::from_secs(300));
        Self {
            config: Arc::new(config),
            ..Self::default()
        }
    }

    /// What a device sent and nobody acked.
    pub(super) fn unacked(&self) -> usize {
        self.sent.values().filter(|sent| !sent.acked).count()
    }
}

impl World {
    pub(super) fn open(&mut self, connection: ConnectionId) {
        let nonce = Nonce([u8::try_from(connection.0 % 251).unwrap_or_default(); 20]);
        let config = Arc::clone(&self.endpoint.config);
        let pipe = |way| Pipe::new(Dice::of(self.plan.seed, &[10, connection.0, way]));
        let link = Link {
            up: pipe(0),
            down: pipe(1),
            server: Some(ServerConnection::new(config, connection, nonce, self.now)),
            held: true,
        };
        if link.up.cuts_writes() || link.down.cuts_writes() {
            self.books.see(Sight::Rechunked);
        }
        self.links.insert(connection, link);
    }

    /// A device sends.
    pub(super) fn device_sends(&mut self, device: u64) {
        let count = self.endpoint.ids.entry(device).or_default();
        *count += 1;
        let (from, id) = (format!("phone-{device}"), format!("u{count}"));
        self.endpoint.next_sent += 1;
        let number = self.endpoint.next_sent;
        let message = Upstream::new(from.as_str(), id.as_str()).with_category("app");
        let acked = false;
        self.endpoint.by_key.insert((from, id), number);
        self.endpoint
            .sent
            .insert(number, FromDevice { message, acked });
        self.endpoint.waiting.insert(number);
    }

    /// Something that was acked is sent once more.
    pub(super) fn redeliver(&mut self, dice: &mut Dice) {
        let acked = self.endpoint.sent.iter().filter(|(_, sent)| sent.acked);
        let acked: Vec<u64> = acked.map(|(number, _)| *number).collect();
        if !acked.is_empty() {
            let number = *dice.pick(&acked);
            self.endpoint.waiting.insert(number);
        }
    }

    /// Does what can be done on all connections now, and says whether there was anything.
    pub(super) fn run_endpoint(&mut self) -> bool {
        let mut moved = false;
        let ids: Vec<ConnectionId> = self.links.keys().copied().collect();
        for id in ids {
            moved |= self.serve(id);
        }
        moved | self.hand_out()
    }

    fn serve(&mut self, id: ConnectionId) -> bool {
        let now = self.now;
        let mut moved = false;
        let mut out = BytesMut::new();
        while let Some(link) = self.links.get_mut(&id)
            && let Some(server) = &mut link.server
        {
            if let Some(event) = server.poll_event() {
                moved = true;
                self.endpoint_event(id, event);
                continue;
            }
            if link.down.takes_bytes() && server.poll_transmit(now, &mut out) {
                moved = true;
                link.down.write(now, out.split().freeze());
                continue;
            }
            if server.is_closed() {
                let unacked = server.take_unacked();
                link.server = None;
                link.down.finish(now, End::Eof);
                self.take_back(&unacked);
                return true;
            }
            if server.wants_input()
                && let Some(bytes) = link.up.read()
            {
                moved = true;
                let _ = server.receive(now, &bytes);
                continue;
            }
            match link.up.read_end() {
                Some(End::Eof) => drop(server.receive_eof(now)),
                Some(End::Reset) => server.transport_failed(now, "reset"),
                None => break,
            }
            moved = true;
        }
        moved
    }

    /// The endpoint's end of a connection is gone at once.
    pub(super) fn drop_server(&mut self, id: ConnectionId) {
        if let Some(link) = self.links.get_mut(&id)
            && let Some(mut server) = link.server.take()
        {
            server.transport_failed(self.now, "crashed");
            let unacked = server.take_unacked();
            self.take_back(&unacked);
        }
    }

    fn take_back(&mut self, unacked: &[Upstream]) {
        for message in unacked {
            let key = (message.from().to_string(), message.message_id().to_string());
            if let Some(number) = self.endpoint.by_key.get(&key) {
                self.endpoint.waiting.insert(*number);
            }
        }
    }

    /// Gives what devices sent to connections, the oldest first: mostly to the newest connection, at times to another.
    fn hand_out(&mut self) -> bool {
        let mut any = false;
        let waiting: Vec<u64> = self.endpoint.waiting.iter().copied().collect();
        for number in waiting {
            let open = |link: &Link| {
                let server = link.server.as_ref();
                server.is_some_and(|server| server.is_open() && server.capacity() > 0)
            };
            let open: Vec<ConnectionId> = self
                .links
                .iter()
                .filter(|(_, link)| open(link))
                .map(|(id, _)| *id)
                .collect();
            let Some(newest) = open.last() else {
                return any;
            };
            let mut dice = Dice::of(self.plan.seed, &[11, number, open.len() as u64]);
            let id = if dice.percent(20) {
                *dice.pick(&open)
            } else {
                *newest
            };
            let Some(sent) = self.endpoint.sent.get(&number) else {
                continue;
            };
            if let Some(link) = self.links.get_mut(&id)
                && let Some(server) = &mut link.server
                && server.send(sent.message.clone()).is_ok()
            {
                any = true;
                self.endpoint.waiting.remove(&number);
            }
        }
        any
    }

    fn endpoint_event(&mut self, id: ConnectionId, event: ServerEvent) {
        match event {
            ServerEvent::Login(request) => {
                let refused = self.is(&Mood::BadLogin);
                let now = self.now;
                if refused {
                    self.books.see(Sight::LoginRefused);
                }
                if let Some(server) = self.server(id) {
                    let _ = if refused {
                        server.reject(now, request)
                    } else {
                        server.accept(now, request)
                    };
                }
            }
            ServerEvent::Bound { .. } => {
                if self.is(&Mood::DrainNew) {
                    self.after(Duration::from_millis(300), Due::Drain(id));
                }
            }
            ServerEvent::Downstream {
                message_id,
                message,
                token,
            } => self.endpoint_takes(id, message_id.as_str(), &message, token),
            ServerEvent::Acked(message) => {
                let key = (message.from().to_string(), message.message_id().to_string());
                self.note(|| format!("endpoint has the ack of {key:?}"));
                if let Some(number) = self.endpoint.by_key.get(&key)
                    && let Some(sent) = self.endpoint.sent.get_mut(number)
                {
                    sent.acked = true;
                }
            }
            ServerEvent::ReceiptAcked(_) => self.books.see(Sight::ReceiptAcked),
            ServerEvent::Refused { message_id, reason } => {
                let stray = reason.contains("not sent over this connection");
                self.books.check(!stray, Rule::AckWhereItCame, || {
                    format!("the endpoint refuses the ack of {message_id:?}")
                });
            }
            _ => {}
        }
    }

    pub(super) fn server(&mut self, id: ConnectionId) -> Option<&mut ServerConnection> {
        self.links.get_mut(&id)?.server.as_mut()
    }

    /// A message to a device is here.
    fn endpoint_takes(
        &mut self,
        connection: ConnectionId,
        id: &str,
        message: &Downstream,
        token: AnswerToken,
    ) {
        let count = self.endpoint.came.entry(id.to_owned()).or_default();
        *count += 1;
        let mut dice = Dice::of(self.plan.seed, &[12, word(id), *count]);
        let settings = &self.plan.settings;
        let nacked = !self.calm && dice.percent(settings.nacks);
        let delay = dice.millis(0, settings.answers_within);
        let (remembers, known) = match self.books.messages.get(id) {
            Some(known) => (settings.remembers_ids, known),
            None => {
                return self
                    .books
                    .broken(Rule::SameId, || format!("{id} is nobody's"));
            }
        };
        let taken = known.taken > 0;
        self.note(|| format!("endpoint has {id}"));
        match self.books.messages.get(id).and_then(|m| m.killer) {
            Some(Killer::StreamError) => {
                self.books.see(Sight::Killer);
                let now = self.now;
                if let Some(server) = self.server(connection) {
                    server.end_with(now, StreamCondition::InvalidXml, "");
                }
                return;
            }
            Some(Killer::Cut) => {
                self.books.see(Sight::Killer);
                return self.cut(connection);
            }
            None => {}
        }
        let reply = if let Some(code) = self.storm() {
            Reply::Nack { code, words: "" }
        } else if remembers && taken && dice.percent(80) {
            Reply::Nack {
                code: NackCode::InvalidJson,
                words: DUPLICATE,
            }
        } else if nacked {
            let code = faults::code(&mut dice);
            Reply::Nack { code, words: "" }
        } else {
            if let Some(message) = self.books.messages.get_mut(id) {
                message.taken += 1;
            }
            if message.wants_receipt() {
                let due = dice.millis(0, 3_000);
                self.after(
                    due,
                    Due::Receipt(id.to_owned(), message.target().to_string()),
                );
            }
            Reply::Ack {
                twice: !self.calm && dice.percent(3),
                canonical: dice.percent(5),
            }
        };
        if let Reply::Nack { code, .. } = &reply {
            self.books.see(faults::sight(code));
        }
        self.endpoint.next_answer += 1;
        let number = self.endpoint.next_answer;
        self.endpoint.answers.insert(number, (token, reply));
        if self.is(&Mood::Silence) {
            self.books.see(Sight::Silence);
        } else {
            self.after(delay, Due::Answer(number));
        }
    }

    pub(super) fn endpoint_answers(&mut self, number: u64) {
        let Some((token, reply)) = self.endpoint.answers.remove(&number) else {
            return;
        };
        let id = token.connection();
        let mut twice_seen = false;
        if let Some(server) = self.server(id) {
            let _ = match reply {
                Reply::Ack { twice: true, .. } => {
                    twice_seen = true;
                    server.ack_twice(token)
                }
                Reply::Ack { canonical, .. } => {
                    let other = RegistrationToken::from("phone-new");
                    server.ack(token, canonical.then_some(&other))
                }
                Reply::Nack { code, words } => server.nack(token, &code, words),
            };
        }
        if twice_seen {
            self.books.see(Sight::AckedTwice);
        }
    }

    /// A device got a message: the app server is told so on any open connection, or not at all.
    pub(super) fn send_receipt(&mut self, id: &str, device: &str) {
        let receipt = Receipt::new(&id.into(), device, 1_498_801_519_251);
        let open = |link: &Link| link.server.as_ref().is_some_and(ServerConnection::is_open);
        let link = self.links.values_mut().rev().find(|link| open(link));
        if let Some(server) = link.and_then(|link| link.server.as_mut()) {
            let _ = server.send_receipt(receipt);
        }
    }

    /// When the endpoint has something to do next.
    pub(super) fn endpoint_due(&self) -> Option<Time> {
        let dues = self.links.values().flat_map(|link| {
            let server = link.server.as_ref();
            [
                link.up.next_arrival(),
                link.down.next_arrival(),
                server.and_then(ServerConnection::poll_timeout),
            ]
        });
        dues.flatten().min()
    }
}
