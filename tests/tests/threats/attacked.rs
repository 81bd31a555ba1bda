//! A connection that is given whatever bytes a test likes, and what it says to them.

use bytes::BytesMut;
use ccs_proto::{ClientConfig, ConnectionError, Limits, ServerConfig, StreamCondition};
use ccs_tests::pair::{Pair, client_config};

pub const HEADER: &str = "<stream:stream to='x' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";

/// Who is attacked, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The endpoint, before the first byte.
    ServerStart,
    /// The endpoint, before the login.
    ServerLogin,
    /// The endpoint, when messages go both ways.
    ServerBound,
    /// The app server, before the first byte.
    ClientStart,
    /// The app server, before the login.
    ClientLogin,
    /// The app server, when messages go both ways.
    ClientBound,
}

use At::{ClientBound, ClientLogin, ClientStart, ServerBound, ServerLogin, ServerStart};

pub const STARTS: [At; 2] = [ServerStart, ClientStart];
pub const INSIDE: [At; 4] = [ServerLogin, ServerBound, ClientLogin, ClientBound];
pub const BOUND: [At; 2] = [ServerBound, ClientBound];

/// What came of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub error: Option<ConnectionError>,
    /// What the peer was told since.
    pub said: String,
}

pub struct Attacked {
    pub pair: Pair,
    at: At,
}

impl At {
    pub fn is_server(self) -> bool {
        matches!(self, ServerStart | ServerLogin | ServerBound)
    }

    /// What ill-formed XML is called in this role (`docs/protocol.md` §12 #41).
    pub fn ill_formed(self) -> StreamCondition {
        if self.is_server() {
            StreamCondition::InvalidXml
        } else {
            StreamCondition::NotWellFormed
        }
    }

    pub fn open(self) -> Attacked {
        self.open_with(Limits::default())
    }

    pub fn open_with(self, limits: Limits) -> Attacked {
        let (mut client, mut server) = (client_config(), ServerConfig::default());
        client.limits = limits;
        server.limits = limits;
        self.open_as(client, server)
    }

    pub fn open_as(self, client: ClientConfig, server: ServerConfig) -> Attacked {
        let pair = match self {
            ServerBound | ClientBound => Pair::bound_with(client, server),
            _ => Pair::new(client, server),
        };
        let mut attacked = Attacked { pair, at: self };
        if matches!(self, ServerLogin | ClientLogin) {
            assert_eq!(attacked.feed([HEADER.as_bytes()]), None);
        }
        attacked.said();
        attacked
    }

    /// What comes of these bytes, whole.
    pub fn given(self, bytes: impl AsRef<[u8]>) -> Outcome {
        self.given_in([bytes.as_ref()])
    }

    /// What comes of these pieces.
    pub fn given_in<'p>(self, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
        let mut attacked = self.open();
        let error = attacked.feed(pieces);
        let said = attacked.said();
        Outcome { error, said }
    }

    /// Gives the same bytes whole, one by one and cut in two at every place; the outcome is always the same.
    pub fn given_in_every_cut(self, bytes: impl AsRef<[u8]>) -> Outcome {
        let bytes = bytes.as_ref();
        let outcome = self.given(bytes);
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(self.given_in(bytes.chunks(1)), outcome, "{shown} by bytes");
        for at in 1..bytes.len() {
            let (one, two) = bytes.split_at(at);
            assert_eq!(self.given_in([one, two]), outcome, "{shown} cut at {at}");
        }
        outcome
    }
}

impl Attacked {
    /// The error that the pieces led to, if any.
    pub fn feed<'p>(
        &mut self,
        pieces: impl IntoIterator<Item = &'p [u8]>,
    ) -> Option<ConnectionError> {
        let mut error = None;
        for piece in pieces {
            let result = if self.at.is_server() {
                self.pair.server.receive(self.pair.now, piece)
            } else {
                self.pair.client.receive(self.pair.now, piece)
            };
            self.pair.collect();
            error = result.err();
        }
        error
    }

    /// What this end has said since it was asked last.
    pub fn said(&mut self) -> String {
        let mut out = BytesMut::new();
        let now = self.pair.now;
        if self.at.is_server() {
            while self.pair.server.poll_transmit(now, &mut out) {}
        } else {
            while self.pair.client.poll_transmit(now, &mut out) {}
        }
        String::from_utf8(out.to_vec()).expect("what a connection writes is UTF-8")
    }
}

impl Outcome {
    /// The stream ended, and the peer was told this condition and these words.
    #[track_caller]
    pub fn is_told(&self, expected: &StreamCondition, words: &str) {
        let Some(ConnectionError::Protocol { condition, what }) = &self.error else {
            panic!("{expected:?} was expected: {self:?}");
        };
        assert_eq!(condition, expected, "{what}");
        assert!(what.contains(words), "{what}: {words} was expected");
        let error = format!("<stream:error><{expected} xmlns=");
        assert!(self.said.contains(&error), "{}", self.said);
        assert!(
            self.said.ends_with("</stream:error></stream:stream>"),
            "{}",
            self.said
        );
        // Google's answer to ill-formed XML has no text (fixture E15).
        if *expected != StreamCondition::InvalidXml {
            let told = what.replace('<', "&lt;").replace('>', "&gt;");
            assert!(self.said.contains(&told), "{}: {told}", self.said);
        }
    }

    #[track_caller]
    pub fn is_fine(&self) {
        assert_eq!(self.error, None, "{}", self.said);
    }
}

/// A message around a body.
pub fn gcm(body: &str) -> String {
    format!("<message><gcm xmlns='google:mobile:data'>{body}</gcm></message>")
}
