//! Two connections joined in memory, in virtual time.
//!
//! A [`Pair`] is a client and a server with a pipe each way between them. Nothing happens by itself: [`Pair::exchange`]
//! moves what can be moved, [`Pair::drive`] does so until nothing moves, [`Pair::step`] goes on to the next deadline
//! when nothing moves, and [`Pair::advance`] lets a span of virtual time pass. All of them are bounded, so a connection
//! that never comes to rest fails the test instead of hanging it.
//!
//! The two connections are public: a test calls them directly, or gives one of them bytes that the other never wrote.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use ccs_proto::message::{Downstream, EncodedDownstream, MessageId, Receipt, Upstream};
use ccs_proto::{
    AckToken, AnswerToken, ClientConfig, ClientConnection, ClientEvent, ConnectionId, Nonce,
    Outcome, ServerConfig, ServerConnection, ServerEvent, Time, TransportSecurity,
};

/// Who logs in, unless a test says otherwise.
pub const SENDER: &str = "123456789012";
/// The key with which it does.
pub const KEY: &str = "AIzaSy-secret";

/// Rounds of moving bytes without any time passing, and deadlines within one `advance`.
const ROUNDS: usize = 100_000;
/// Deadlines in a row that are due at the same moment.
const SAME_MOMENT: usize = 100;

/// The way from one connection to the other.
#[derive(Debug)]
pub struct Pipe {
    /// Bytes that were written and not read.
    pub waiting: BytesMut,
    /// Everything that was ever written.
    pub written: Vec<u8>,
    /// Bytes that one read holds at most.
    pub chunk: usize,
    /// Whether the writer can write at all.
    pub open: bool,
    eof_told: bool,
}

impl Pipe {
    fn new() -> Self {
        Self {
            waiting: BytesMut::new(),
            written: Vec::new(),
            chunk: usize::MAX,
            open: true,
            eof_told: false,
        }
    }

    /// Everything that was ever written, as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.written).expect("what a connection writes is UTF-8")
    }

    /// Everything that was written after `mark` bytes.
    #[must_use]
    pub fn since(&self, mark: usize) -> &str {
        self.text().get(mark..).expect("a mark between two stanzas")
    }

    /// How much was written so far, as a mark for [`since`](Self::since).
    #[must_use]
    pub fn mark(&self) -> usize {
        self.written.len()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        self.written.extend_from_slice(bytes);
    }

    fn read(&mut self) -> BytesMut {
        let length = self.waiting.len().min(self.chunk);
        self.waiting.split_to(length)
    }
}

/// Both ends of one connection.
#[derive(Debug)]
pub struct Pair {
    /// The app server's end.
    pub client: ClientConnection,
    /// The endpoint's end.
    pub server: ServerConnection,
    /// Virtual time.
    pub now: Time,
    /// From the client to the server.
    pub upwards: Pipe,
    /// From the server to the client.
    pub downwards: Pipe,
    /// Events of the client that were polled and not taken.
    pub client_events: Vec<ClientEvent>,
    /// Events of the server that were polled and not taken; without logins, if those are accepted by themselves.
    pub server_events: Vec<ServerEvent>,
    /// Whether every login is accepted.
    pub accepts: bool,
    /// Whether the client's events are polled; a client whose application has stopped does not.
    pub client_polls: bool,
    /// Whether the server's events are polled.
    pub server_polls: bool,
}

impl Pair {
    /// A pair before its first byte.
    #[must_use]
    pub fn new(client: ClientConfig, server: ServerConfig) -> Self {
        Self::over(TransportSecurity::VerifiedTls, client, server)
    }

    /// A pair over a transport that the client trusts or not.
    #[must_use]
    pub fn over(transport: TransportSecurity, client: ClientConfig, server: ServerConfig) -> Self {
        let now = Time::ZERO;
        let client = ClientConnection::new(Arc::new(client), ConnectionId(1), transport, now);
        let server = ServerConnection::new(Arc::new(server), ConnectionId(2), Nonce([7; 20]), now);
        Self {
            client,
            server,
            now,
            upwards: Pipe::new(),
            downwards: Pipe::new(),
            client_events: Vec::new(),
            server_events: Vec::new(),
            accepts: true,
            client_polls: true,
            server_polls: true,
        }
    }

    /// A pair that is bound, with the events of the login taken.
    #[must_use]
    pub fn bound_with(client: ClientConfig, server: ServerConfig) -> Self {
        let mut pair = Self::new(client, server);
        pair.drive();
        assert!(pair.client.is_bound() && pair.server.is_open());
        pair.client_events.clear();
        pair.server_events.clear();
        pair
    }

    /// A bound pair with the default settings.
    #[must_use]
    pub fn bound() -> Self {
        Self::bound_with(client_config(), ServerConfig::default())
    }

    /// Moves bytes both ways once, and says whether anything moved.
    pub fn exchange(&mut self) -> bool {
        let mut moved = self.write();
        moved |= self.read();
        moved |= self.tell_eof();
        self.collect();
        moved
    }

    /// Moves bytes both ways, or else goes on to the next deadline. Says whether there was either.
    pub fn step(&mut self) -> bool {
        if self.exchange() {
            return true;
        }
        let Some(deadline) = self.next_deadline() else {
            return false;
        };
        self.now = self.now.max(deadline);
        self.fire();
        true
    }

    /// Moves bytes until none moves. No time passes.
    pub fn drive(&mut self) {
        for _ in 0..ROUNDS {
            if !self.exchange() {
                return;
            }
        }
        panic!("the connections never come to rest: {self:#?}");
    }

    /// Lets time pass, from deadline to deadline.
    pub fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        let mut at_once = 0;
        for _ in 0..ROUNDS {
            self.drive();
            match self.next_deadline().filter(|deadline| *deadline <= end) {
                Some(deadline) => {
                    at_once = if deadline <= self.now { at_once + 1 } else { 0 };
                    assert!(at_once < SAME_MOMENT, "a deadline stays due for ever");
                    self.now = self.now.max(deadline);
                    self.fire();
                }
                None => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("too many deadlines within {span:?}");
    }

    /// When something is due next at either end.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let deadlines = [self.client.poll_timeout(), self.server.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    /// Has the client send a message of this id and see to it that the server reads it.
    pub fn send(&mut self, id: &str) {
        self.accept(id);
        self.drive();
    }

    /// Has the client accept a message of this id; nothing is written yet.
    pub fn accept(&mut self, id: &str) {
        let permit = self.client.reserve().expect("a free place");
        permit.send(message(id)).expect("a new id");
    }

    /// Takes the downstream messages that the server was given, and leaves the other events.
    pub fn downstreams(&mut self) -> Vec<(MessageId, Downstream, AnswerToken)> {
        let mut found = Vec::new();
        for event in std::mem::take(&mut self.server_events) {
            match event {
                ServerEvent::Downstream {
                    message_id,
                    message,
                    token,
                } => found.push((message_id, message, token)),
                other => self.server_events.push(other),
            }
        }
        found
    }

    /// The tokens of the downstream messages that the server was given.
    pub fn answer_tokens(&mut self) -> Vec<AnswerToken> {
        let taken = self.downstreams().into_iter();
        taken.map(|(_, _, token)| token).collect()
    }

    /// Has the server ack every downstream message that it was given.
    pub fn ack_downstreams(&mut self) {
        for token in self.answer_tokens() {
            self.server.ack(token, None).expect("an open stream");
        }
        self.drive();
    }

    /// Takes the tokens of the upstream messages and receipts that the client was given, and leaves the other events.
    pub fn ack_tokens(&mut self) -> Vec<AckToken> {
        let mut found = Vec::new();
        for event in std::mem::take(&mut self.client_events) {
            match event {
                ClientEvent::Upstream { token, .. } | ClientEvent::Receipt { token, .. } => {
                    found.push(token);
                }
                other => self.client_events.push(other),
            }
        }
        found
    }

    /// Gives the client bytes that the server never wrote.
    pub fn client_reads(&mut self, bytes: &str) {
        let _ = self.client.receive(self.now, bytes.as_bytes());
        self.collect();
    }

    /// Gives the server bytes that the client never wrote.
    pub fn server_reads(&mut self, bytes: &str) {
        let _ = self.server.receive(self.now, bytes.as_bytes());
        self.collect();
    }

    /// Takes the client's events, each in a few words. Tokens are dropped.
    pub fn client_log(&mut self) -> Vec<String> {
        let taken = self.client_events.drain(..);
        taken.map(|event| client_words(&event)).collect()
    }

    /// Takes the server's events, each in a few words. Tokens are dropped.
    pub fn server_log(&mut self) -> Vec<String> {
        let taken = self.server_events.drain(..);
        taken.map(|event| server_words(&event)).collect()
    }

    /// Polls what there is of events.
    pub fn collect(&mut self) {
        while self.client_polls
            && let Some(event) = self.client.poll_event()
        {
            self.client_events.push(event);
        }
        while self.server_polls
            && let Some(event) = self.server.poll_event()
        {
            match event {
                ServerEvent::Login(request) if self.accepts => {
                    self.server
                        .accept(self.now, request)
                        .expect("this connection's own request");
                }
                event => self.server_events.push(event),
            }
        }
    }

    fn write(&mut self) -> bool {
        let mut out = BytesMut::new();
        while self.upwards.open && self.client.poll_transmit(self.now, &mut out) {}
        self.upwards.write(&out);
        let mut moved = !out.is_empty();
        out.clear();
        while self.downwards.open && self.server.poll_transmit(self.now, &mut out) {}
        self.downwards.write(&out);
        moved |= !out.is_empty();
        moved
    }

    /// One read of each end, if it wants one.
    fn read(&mut self) -> bool {
        let mut moved = false;
        if self.server.wants_input() && self.upwards.waiting.has_remaining() {
            let read = self.upwards.read();
            let _ = self.server.receive(self.now, &read);
            moved = true;
        }
        if self.client.wants_input() && self.downwards.waiting.has_remaining() {
            let read = self.downwards.read();
            let _ = self.client.receive(self.now, &read);
            moved = true;
        }
        moved
    }

    /// Whoever is done closes the transport, of which the other hears behind the last byte.
    fn tell_eof(&mut self) -> bool {
        let mut told = false;
        if self.client.is_closed() && !self.server.is_closed() && self.upwards.ends() {
            let _ = self.server.receive_eof(self.now);
            told = true;
        }
        if self.server.is_closed() && !self.client.is_closed() && self.downwards.ends() {
            let _ = self.client.receive_eof(self.now);
            told = true;
        }
        told
    }

    fn fire(&mut self) {
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
        self.collect();
    }
}

impl Pipe {
    /// Whether the end has come, which is said once.
    fn ends(&mut self) -> bool {
        let ends = self.waiting.is_empty() && !self.eof_told;
        self.eof_told |= ends;
        ends
    }
}

/// The default settings of the one who logs in here.
#[must_use]
pub fn client_config() -> ClientConfig {
    ClientConfig::new(SENDER.parse().expect("digits"), KEY.into())
}

/// A small message to one device.
#[must_use]
pub fn message(id: &str) -> EncodedDownstream {
    let message = Downstream::to("phone-1").data("text", id);
    message.encode(id).expect("a valid message")
}

/// A small message from one device.
#[must_use]
pub fn upstream(id: &str) -> Upstream {
    Upstream::new("phone-1", id).with_category("com.example.app")
}

/// The receipt of a message.
#[must_use]
pub fn receipt(id: &str) -> Receipt {
    Receipt::new(&id.into(), "phone-1", 1_498_801_519_251)
}

fn client_words(event: &ClientEvent) -> String {
    match event {
        ClientEvent::Bound { jid } => format!("bound {jid}"),
        ClientEvent::Answered {
            message_id,
            outcome,
        } => match outcome {
            Outcome::Accepted(_) => format!("accepted {message_id}"),
            Outcome::Refused(nack) => format!("refused {message_id} {}", nack.code),
            Outcome::Rejected(error) => {
                format!("rejected {message_id} {}", error.code.unwrap_or_default())
            }
            other => format!("{message_id} {other:?}"),
        },
        ClientEvent::Upstream { message, .. } => format!("upstream {}", message.message_id()),
        ClientEvent::Receipt { receipt, .. } => format!("receipt {}", receipt.message_id()),
        ClientEvent::Draining => "draining".to_owned(),
        ClientEvent::AckOverdue { message_id } => format!("overdue {message_id}"),
        ClientEvent::Ignored(ignored) => format!("ignored {ignored:?}"),
        ClientEvent::Closed(Ok(())) => "closed".to_owned(),
        ClientEvent::Closed(Err(error)) => format!("failed: {error}"),
        other => format!("{other:?}"),
    }
}

fn server_words(event: &ServerEvent) -> String {
    match event {
        ServerEvent::Login(request) => format!("login {}", request.sender()),
        ServerEvent::Bound { jid, .. } => format!("bound {jid}"),
        ServerEvent::Downstream { message_id, .. } => format!("downstream {message_id}"),
        ServerEvent::Acked(message) => format!("acked {}", message.message_id()),
        ServerEvent::ReceiptAcked(receipt) => format!("acked {}", receipt.message_id()),
        ServerEvent::Refused { message_id, reason } => match message_id {
            Some(id) => format!("refused {id} {reason}"),
            None => format!("refused {reason}"),
        },
        ServerEvent::Ignored(habit) => format!("ignored {habit:?}"),
        ServerEvent::AckOverdue { message_id, .. } => format!("overdue {message_id}"),
        ServerEvent::Closed(Ok(())) => "closed".to_owned(),
        ServerEvent::Closed(Err(error)) => format!("failed: {error}"),
        other => format!("{other:?}"),
    }
}
