//! The endpoint's role in each of its states, given any bytes in any pieces, while its owner does what he likes and time
//! passes.
//!
//! Whatever happens: the same events and the same output however the bytes are cut; what is written is a legal stream;
//! nothing is delivered before the login was accepted, and all of it to who logged in; the windows hold; every message that
//! was accepted ends once; the end is told once and last; and no deadline stays due.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::message::{NackCode, Receipt, SenderId, Upstream};
use ccs_proto::{
    AnswerError, AnswerToken, AuthRequest, ConnectionId, Nonce, ServerConfig, ServerConnection,
    ServerEvent, ServerFinished, StreamCondition, Time, Tolerance,
};

use crate::input::small_limits;
use crate::output::Output;
use crate::script::{Case, Cut, Step};

const HEADER: &[u8] =
    b"<stream:stream to='gcm.googleapis.com' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// What the app server says up to the bound stream; a state is what comes after so many of them. NUL, 123, NUL, KEY.
const LOGIN: [&[u8]; 4] = [
    HEADER,
    b"<auth mechanism='PLAIN' xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>ADEyMwBLRVk=</auth>",
    HEADER,
    b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
];

/// See `script.rs` for the layout of a case. Steps of the owner: decide a login, answer, send, and what is rarer.
pub fn run(case: &[u8]) {
    let case = Case::decode(case);
    let whole = Session::run(&case, Cut::Whole);
    let split = Session::run(&case, Cut::Bytes);
    assert_eq!(whole.0, split.0, "events depend on the cut");
    assert_eq!(whole.1, split.1, "the output depends on the cut");
}

struct Session {
    server: ServerConnection,
    now: Time,
    output: Output,
    log: Vec<String>,
    closed: bool,
    window: usize,
    request: Option<AuthRequest>,
    let_in: Option<SenderId>,
    bound: bool,
    tokens: Vec<AnswerToken>,
    /// Messages from devices that were accepted, and those of them that came to an end.
    accepted: usize,
    ended: usize,
    delivered: usize,
    answered: usize,
}

impl Session {
    fn run(case: &Case<'_>, cut: Cut) -> (Vec<String>, Vec<u8>) {
        let mut session = Self::new(case.setup);
        session.begin(case.stage & 7);
        let mut stream = case.stream;
        for step in &case.steps {
            match *step {
                // Whoever reads asks first, and then takes what the read held.
                Step::Read(_) if !session.server.wants_input() => {}
                Step::Read(bytes) => {
                    let (now, later) = stream.split_at(bytes.min(stream.len()));
                    stream = later;
                    session.read(now, cut);
                }
                Step::Wait(seconds) => session.wait(seconds),
                Step::Transmit => session.transmit(),
                Step::Do(kind, argument) => session.act(kind, argument),
            }
            session.collect();
            session.check();
        }
        if session.server.wants_input() {
            session.read(stream, cut);
        }
        session.finish()
    }

    /// Fresh, header, deciding, let in, header again, bound, with messages under way, draining.
    fn begin(&mut self, stage: u8) {
        let pieces = [0, 1, 2, 2, 3, 4, 4, 4];
        let pieces = pieces.get(usize::from(stage)).copied().unwrap_or_default();
        for (at, piece) in LOGIN.into_iter().enumerate().take(pieces) {
            self.read(piece, Cut::Whole);
            self.collect();
            if at == 1 && stage > 2 {
                self.decide(true);
            }
            self.transmit();
            self.collect();
        }
        if stage >= 6 {
            self.act(2, 0);
            self.act(2, 1);
            self.act(2, 16);
            self.transmit();
        }
        if stage == 7 {
            self.server.drain(self.now);
            self.transmit();
        }
    }

    fn new(setup: u8) -> Self {
        let mut config = ServerConfig::default();
        if setup & 1 != 0 {
            config.tolerance = Tolerance::Nothing;
        }
        if setup & 2 != 0 {
            config.limits.xml = small_limits();
            // A header has to fit in.
            config.limits.xml.stanza = 200;
            config.limits.xml.attributes = 6;
            config.limits.xml.attribute_value = 64;
            config.login_bytes = 600;
        }
        if setup & 4 != 0 {
            config.inbox_messages = 3;
            config.window = 2;
            config.upstream_window = 2;
            config.remembered_ids = 2;
        }
        if setup & 8 != 0 {
            config.dead_after = Some(Duration::from_secs(100));
        }
        let window = config.upstream_window;
        Self {
            server: ServerConnection::new(
                Arc::new(config),
                ConnectionId(1),
                Nonce([7; 20]),
                Time::ZERO,
            ),
            now: Time::ZERO,
            output: Output::new(),
            log: Vec::new(),
            closed: false,
            window,
            request: None,
            let_in: None,
            bound: false,
            tokens: Vec::new(),
            accepted: 0,
            ended: 0,
            delivered: 0,
            answered: 0,
        }
    }

    fn read(&mut self, bytes: &[u8], cut: Cut) {
        for piece in cut.pieces(bytes) {
            if let Err(error) = self.server.receive(self.now, piece) {
                let again = self.server.receive(self.now, b"<a/>");
                assert_eq!(again, Err(error), "an error is final");
                return;
            }
        }
    }

    fn wait(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        for _ in 0..64 {
            let Some(deadline) = self.server.poll_timeout().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(deadline);
            self.server.handle_timeout(self.now);
            let next = self.server.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "{next:?} stays due at {:?}",
                self.now
            );
        }
        self.now = end;
    }

    fn transmit(&mut self) {
        let mut out = BytesMut::new();
        while self.server.poll_transmit(self.now, &mut out) {
            self.output.write(&out.split());
        }
    }

    fn act(&mut self, kind: u8, argument: usize) {
        match (kind, argument) {
            (0, at) => self.decide(at % 4 != 3),
            (1, at) => self.answer(at),
            (2, id) if id < 16 => {
                let message = Upstream::new(format!("D{}", id & 1), format!("u-{}", id >> 1));
                self.accepted += usize::from(self.server.send(message).is_ok());
            }
            (2, id) => {
                let receipt = Receipt::new(&format!("m-{}", id & 3).into(), "D0", 1);
                drop(self.server.send_receipt(receipt));
            }
            (_, 0) => self.server.close(self.now),
            (_, 1) => drop(self.server.receive_eof(self.now)),
            (_, 2) => self.server.transport_failed(self.now, "pulled"),
            (_, 3 | 4) => self.server.drain(self.now),
            (_, 5) => self
                .server
                .end_with(self.now, StreamCondition::SystemShutdown, "a restart"),
            (_, 6) => self.ended += self.server.take_unacked().len(),
            _ => self.transmit(),
        }
    }

    fn decide(&mut self, accept: bool) {
        let Some(request) = self.request.take() else {
            return;
        };
        if accept {
            self.let_in = Some(request.sender().clone());
            assert!(
                self.server.accept(self.now, request).is_ok(),
                "its own request"
            );
        } else {
            assert!(
                self.server.reject(self.now, request).is_ok(),
                "its own request"
            );
        }
    }

    fn answer(&mut self, at: usize) {
        let Some(place) = at.checked_rem(self.tokens.len()) else {
            return;
        };
        let token = self.tokens.swap_remove(place);
        let answered = match at & 3 {
            0 => self
                .server
                .nack(token, &NackCode::BadRegistration, "a <word>"),
            1 => return,
            2 => self.server.ack_twice(token),
            _ => self.server.ack(token, Some(&"CANONICAL".into())),
        };
        match answered {
            Ok(()) => self.answered += 1,
            Err(AnswerError::Closed) => {}
            Err(error) => panic!("its own token: {error}"),
        }
    }

    fn collect(&mut self) {
        while let Some(event) = self.server.poll_event() {
            self.note(event);
        }
    }

    fn note(&mut self, event: ServerEvent) {
        assert!(!self.closed, "{event:?} after the end");
        self.log.push(format!("{event:?}"));
        match event {
            ServerEvent::Login(request) => {
                assert_eq!(self.let_in, None, "a second login");
                self.request = Some(request);
            }
            ServerEvent::Bound { sender, .. } => {
                assert_eq!(self.let_in.as_ref(), Some(&sender), "bound as another");
                self.bound = true;
            }
            ServerEvent::Downstream { token, .. } => {
                assert!(self.bound, "a message before the login");
                self.delivered += 1;
                self.tokens.push(token);
            }
            ServerEvent::Acked(_) => self.ended += 1,
            ServerEvent::Closed(end) => {
                assert_eq!(self.server.end(), Some(end));
                self.closed = true;
            }
            _ => {}
        }
    }

    fn check(&self) {
        let server = &self.server;
        assert!(
            server.in_flight() + server.capacity() <= self.window,
            "over the window"
        );
        if server.is_closed() {
            assert_eq!((server.poll_timeout(), server.wants_input()), (None, false));
        }
    }

    /// Whatever is under way comes to an end by itself, once nobody speaks any more.
    fn finish(mut self) -> (Vec<String>, Vec<u8>) {
        self.check();
        self.transmit();
        self.collect();
        self.server.close(self.now);
        for _ in 0..8 {
            self.wait(1_000);
            self.transmit();
            self.collect();
        }
        assert!(self.closed, "never ends: {:?}", self.server);
        let ServerFinished {
            events,
            unacked,
            unsent,
            unanswered,
            ..
        } = self.server.finish();
        assert!(events.is_empty());
        let ended = self.ended + unacked.len() + unsent.len();
        assert_eq!(
            ended, self.accepted,
            "messages that were accepted, and that ended"
        );
        assert_eq!(
            self.answered + unanswered.len(),
            self.delivered,
            "messages that were delivered"
        );
        (self.log, self.output.written)
    }
}
