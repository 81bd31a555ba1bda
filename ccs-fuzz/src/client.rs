//! The app server's role in each of its states, given any bytes in any pieces, while the application does what it likes and
//! time passes.
//!
//! Whatever happens: the same events and the same output however the bytes are cut; what is written is a legal stream; the
//! key goes over verified TLS only, and into no event; the window holds; every message that was accepted ends once; the end
//! is told once and last; and no deadline stays due.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::message::{Downstream, MessageId};
use ccs_proto::{
    AckError, AckToken, ClientConfig, ClientConnection, ClientEvent, ConnectionId, Finished, Place,
    Time, TransportSecurity,
};

use crate::input::small_limits;
use crate::output::Output;
use crate::script::{Case, Cut, Step};

const HEADER: &[u8] = b"<stream:stream from='gcm.googleapis.com' id='1' version='1.0' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const KEY: &str = "CANARY-of-the-key";
/// How the key looks behind base64, as the login puts it.
const HIDDEN: &str = "ADEyMwBDQU5BUlktb2YtdGhlLWtleQ==";

/// What the endpoint says up to the bound stream; a state is what comes after so many of them.
const LOGIN: [&[u8]; 7] = [
    HEADER,
    b"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
      <mechanism>PLAIN</mechanism></mechanisms></stream:features>",
    b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    HEADER,
    b"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
      <session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></stream:features>",
    b"<iq type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>a@b/c</jid></bind></iq>",
    b"<iq type='result'/>",
];

/// See `script.rs` for the layout of a case. Steps of the application: send, ack, give up a token, and what is rarer.
pub fn run(case: &[u8]) {
    let case = Case::decode(case);
    // A peer that guessed the key may say it.
    if contains(case.stream, KEY) || contains(case.stream, HIDDEN) {
        return;
    }
    let whole = Session::run(&case, Cut::Whole);
    let split = Session::run(&case, Cut::Bytes);
    assert_eq!(whole.0, split.0, "events depend on the cut");
    assert_eq!(whole.1, split.1, "the output depends on the cut");
}

struct Session {
    client: ClientConnection,
    now: Time,
    verified: bool,
    output: Output,
    log: Vec<String>,
    closed: bool,
    tokens: Vec<AckToken>,
    place: Option<Place>,
    window: usize,
    /// Messages that were accepted, and those of them that came to an end.
    accepted: usize,
    ended: usize,
}

impl Session {
    fn run(case: &Case<'_>, cut: Cut) -> (Vec<String>, Vec<u8>) {
        let mut session = Self::new(case.setup);
        let stage = usize::from(case.stage & 7);
        for piece in LOGIN.into_iter().take(stage) {
            session.read(piece, Cut::Whole);
            session.transmit();
            session.collect();
        }
        if case.stage & 8 != 0 {
            (0..3).for_each(|id| session.send(id));
            session.transmit();
        }
        let mut stream = case.stream;
        for step in &case.steps {
            match *step {
                // Whoever reads asks first, and then takes what the read held.
                Step::Read(_) if !session.client.wants_input() => {}
                Step::Read(bytes) => {
                    let (now, later) = stream.split_at(bytes.min(stream.len()));
                    stream = later;
                    session.read(now, cut);
                }
                Step::Wait(seconds) => session.wait(seconds),
                Step::Transmit => session.transmit(),
                Step::Do(kind, argument) => session.act(kind, argument),
            }
            session.check();
        }
        if session.client.wants_input() {
            session.read(stream, cut);
        }
        session.finish()
    }

    fn new(setup: u8) -> Self {
        let digits = "123".parse();
        let Ok(sender) = digits else {
            panic!("digits are a sender id")
        };
        let mut config = ClientConfig::new(sender, KEY.into());
        config.session = setup & 1 != 0;
        if setup & 2 != 0 {
            config.limits.xml = small_limits();
            // A header has to fit in.
            config.limits.xml.stanza = 200;
            config.limits.xml.attributes = 6;
            config.limits.xml.attribute_value = 64;
        }
        if setup & 4 != 0 {
            config.inbox_messages = 3;
            config.window = 4;
        }
        let verified = setup & 24 != 24;
        let security = if verified {
            TransportSecurity::VerifiedTls
        } else {
            TransportSecurity::Unverified
        };
        let window = config.window;
        Self {
            client: ClientConnection::new(Arc::new(config), ConnectionId(1), security, Time::ZERO),
            now: Time::ZERO,
            verified,
            output: Output::new(),
            log: Vec::new(),
            closed: false,
            tokens: Vec::new(),
            place: None,
            window,
            accepted: 0,
            ended: 0,
        }
    }

    fn read(&mut self, bytes: &[u8], cut: Cut) {
        for piece in cut.pieces(bytes) {
            if let Err(error) = self.client.receive(self.now, piece) {
                let again = self.client.receive(self.now, b"<a/>");
                assert_eq!(again, Err(error), "an error is final");
                return;
            }
        }
    }

    fn wait(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        for _ in 0..64 {
            let Some(deadline) = self.client.poll_timeout().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(deadline);
            self.client.handle_timeout(self.now);
            let next = self.client.poll_timeout();
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
        while self.client.poll_transmit(self.now, &mut out) {
            self.output.write(&out.split());
        }
    }

    fn act(&mut self, kind: u8, argument: usize) {
        match (kind, argument) {
            (0, id) => self.send(id),
            (1, at) => self.ack(at),
            (2, at) => {
                if let Some(at) = at.checked_rem(self.tokens.len()) {
                    drop(self.tokens.swap_remove(at));
                }
            }
            (_, 0) => self.client.close(self.now),
            (_, 1) => drop(self.client.receive_eof(self.now)),
            (_, 2) => self.client.transport_failed(self.now, "pulled"),
            (_, 3) => self.ended += self.client.take_unsent().len(),
            (_, 4) => self.ended += self.client.take_unanswered().len(),
            (_, 5) => self.place = self.client.reserve().ok().map(ccs_proto::Permit::keep),
            (_, 6) => {
                if let Some(place) = self.place.take() {
                    assert!(self.client.resume(place).is_ok(), "its own place");
                }
            }
            (_, id) if id < 16 => {
                let cancelled = self.client.cancel(&name(id));
                self.ended += usize::from(cancelled.is_some());
            }
            _ => self.collect(),
        }
    }

    fn send(&mut self, id: usize) {
        // A place that is given up would stay taken.
        let id = name(id);
        let Ok(message) = Downstream::to("DEVICE").encode(id.clone()) else {
            panic!("a valid message")
        };
        if let Ok(permit) = self.client.reserve() {
            self.accepted += usize::from(permit.send(message).is_ok());
        }
    }

    fn ack(&mut self, at: usize) {
        let Some(at) = at.checked_rem(self.tokens.len()) else {
            return;
        };
        match self.client.ack(self.tokens.swap_remove(at)) {
            Ok(()) | Err(AckError::Closed) => {}
            Err(error) => panic!("its own token: {error}"),
        }
    }

    fn collect(&mut self) {
        while let Some(event) = self.client.poll_event() {
            self.note(event);
        }
    }

    fn note(&mut self, event: ClientEvent) {
        assert!(!self.closed, "{event:?} after the end");
        let words = format!("{event:?}");
        assert!(
            !words.contains(KEY) && !words.contains(HIDDEN),
            "the key shows in {words}"
        );
        self.log.push(words);
        match event {
            ClientEvent::Upstream { token, .. } | ClientEvent::Receipt { token, .. } => {
                self.tokens.push(token);
            }
            ClientEvent::Answered { .. } => self.ended += 1,
            ClientEvent::Closed(end) => {
                assert_eq!(self.client.end(), Some(end));
                self.closed = true;
            }
            _ => {}
        }
    }

    fn check(&self) {
        let client = &self.client;
        assert!(
            client.in_flight() <= self.window,
            "{} in flight",
            client.in_flight()
        );
        assert!(
            client.in_flight() + client.capacity() <= self.window,
            "over the window"
        );
        if client.is_closed() {
            assert_eq!((client.poll_timeout(), client.wants_input()), (None, false));
        }
    }

    /// Whatever is under way comes to an end by itself, once nobody speaks any more.
    fn finish(mut self) -> (Vec<String>, Vec<u8>) {
        self.check();
        self.transmit();
        self.collect();
        self.client.close(self.now);
        for _ in 0..8 {
            self.wait(1_000);
            self.transmit();
            self.collect();
        }
        assert!(self.closed, "never ends: {:?}", self.client);
        let sent_key = contains(&self.output.written, HIDDEN);
        assert!(
            self.verified || !sent_key,
            "the key was sent over {:?}",
            self.client
        );
        assert!(!contains(&self.output.written, KEY));

        let Finished {
            events,
            unanswered,
            unsent,
            ..
        } = self.client.finish();
        assert!(events.is_empty());
        let ended = self.ended + unanswered.len() + unsent.len();
        assert_eq!(
            ended, self.accepted,
            "messages that were accepted, and that ended"
        );
        (self.log, self.output.written)
    }
}

fn name(id: usize) -> MessageId {
    MessageId::from(format!("m-{id}"))
}

fn contains(written: &[u8], text: &str) -> bool {
    written
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}
