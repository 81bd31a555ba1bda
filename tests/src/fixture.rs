//! Wire bytes from `fixtures/`, and connections of both roles in memory to feed them to.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use ccs_proto::message::{Downstream, MessageId, Upstream};
use ccs_proto::{
    AckToken, AnswerToken, ClientConfig, ClientConnection, ClientEvent, ConnectionError,
    ConnectionId, Nonce, Outcome, ServerConfig, ServerConnection, ServerEvent, Time,
    TransportSecurity,
};

/// Stream ids and resource suffix as the captures have them: E02, E02-gimmm, E10-suffix.
pub const NONCE: Nonce = Nonce([
    0x11, 0xb9, 0x88, 0x5b, 0x7c, 0xad, 0x20, 0xe3, 0xa8, 0x9e, 0xbe, 0xf9, 0x3c, 0xbb, 0x12, 0xcf,
    0x0f, 0xad, 0x17, 0x7a,
]);

/// The end of a stream, as both roles write it.
pub const CLOSE: &str = "</stream:stream>";

/// The folder of the fixtures.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The names of all fixtures, in order.
///
/// # Panics
/// The folder cannot be read.
#[must_use]
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("the fixtures are beside this package")
        .map(|entry| entry.expect("a readable folder").file_name())
        .map(|name| name.into_string().expect("an ASCII name"))
        .filter(|name| name.starts_with(['E', 'Q']))
        .collect();
    names.sort();
    names
}

/// The bytes of a fixture.
///
/// # Panics
/// There is none of that name.
#[must_use]
pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("fixture {name}: {error}"))
}

/// A fixture as text; all of them are UTF-8.
///
/// # Panics
/// There is none of that name.
#[must_use]
pub fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).unwrap_or_else(|error| panic!("fixture {name}: {error}"))
}

/// A fixture with something else in place of its place-holders.
///
/// # Panics
/// A place-holder does not stand in it, or there is no such fixture.
#[must_use]
pub fn filled(name: &str, values: &[(&str, &str)]) -> String {
    let mut text = text(name);
    for (holder, value) in values {
        assert!(text.contains(holder), "{name} has no {holder}");
        text = text.replace(holder, value);
    }
    text
}

/// The JSON of a fixture that has it bare, in the stanza of an endpoint's answer.
#[must_use]
pub fn as_answer(name: &str) -> String {
    let json = text(name);
    format!("<message><data:gcm xmlns:data=\"google:mobile:data\">{json}</data:gcm></message>")
}

/// JSON in the stanza of an app server, with the only XML escape that the fixtures need.
#[must_use]
pub fn as_message(json: &str) -> String {
    let json = json.replace('&', "&amp;");
    format!("<message id=\"\"><gcm xmlns=\"google:mobile:data\">{json}</gcm></message>")
}

/// The endpoint's role, in memory.
pub struct Server {
    /// The connection itself.
    pub connection: ServerConnection,
    /// Its clock.
    pub now: Time,
}

impl Server {
    /// Before the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    /// Before the first byte, with settings of one's own.
    #[must_use]
    pub fn with(config: ServerConfig) -> Self {
        let now = Time::ZERO;
        let connection = ServerConnection::new(Arc::new(config), ConnectionId(1), NONCE, now);
        Self { connection, now }
    }

    /// Bound by the documented handshake, as sender 123456789012 at `gcm.googleapis.com`.
    #[must_use]
    pub fn bound() -> Self {
        let mut server = Self::new();
        server.log_in(&bytes("E01.xml"), &bytes("E05b.xml"));
        server.bind(&bytes("E01.xml"), &bytes("E09.xml"));
        server
    }

    /// Feeds a header and a login, and lets the app server in.
    ///
    /// # Panics
    /// It is not a login.
    pub fn log_in(&mut self, header: &[u8], auth: &[u8]) {
        self.feed(header);
        self.feed(auth);
        let ServerEvent::Login(request) = self.event() else {
            panic!("no login");
        };
        self.connection
            .accept(self.now, request)
            .expect("a request of this connection");
        let written = self.written();
        assert_eq!(written.last(), Some(&text("E06.xml")));
    }

    /// Feeds the header after the login and a bind request.
    ///
    /// # Panics
    /// The stream is not bound then.
    pub fn bind(&mut self, header: &[u8], bind: &[u8]) {
        self.feed(header);
        self.feed(bind);
        let bound = self.event();
        assert!(matches!(bound, ServerEvent::Bound { .. }), "{bound:?}");
        assert_eq!(self.written().len(), 3);
    }

    /// Feeds bytes that are no error.
    ///
    /// # Panics
    /// They are.
    pub fn feed(&mut self, input: impl AsRef<[u8]>) {
        self.try_feed(input).expect("bytes that are in order");
    }

    /// Feeds bytes.
    ///
    /// # Errors
    /// The connection's.
    pub fn try_feed(&mut self, input: impl AsRef<[u8]>) -> Result<(), ConnectionError> {
        self.connection.receive(self.now, input.as_ref())
    }

    /// The next event.
    ///
    /// # Panics
    /// There is none.
    pub fn event(&mut self) -> ServerEvent {
        self.connection.poll_event().expect("an event")
    }

    /// The only event, which is a downstream message.
    ///
    /// # Panics
    /// It is something else.
    pub fn downstream(&mut self) -> (MessageId, Downstream, AnswerToken) {
        match self.event() {
            ServerEvent::Downstream {
                message_id,
                message,
                token,
            } => {
                self.is_quiet();
                (message_id, message, token)
            }
            other => panic!("{other:?}"),
        }
    }

    /// All that is to be written: one text for each write.
    ///
    /// # Panics
    /// It is no UTF-8.
    pub fn written(&mut self) -> Vec<String> {
        let mut written = Vec::new();
        let mut out = BytesMut::new();
        while self.connection.poll_transmit(self.now, &mut out) {
            written.push(String::from_utf8(out.split().to_vec()).expect("UTF-8"));
        }
        written
    }

    /// Checks that there is neither an event nor anything to write.
    ///
    /// # Panics
    /// There is.
    pub fn is_quiet(&mut self) {
        let event = self.connection.poll_event();
        assert!(event.is_none(), "{event:?}");
        assert_eq!(self.written(), [""; 0]);
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

/// The app server's role, in memory.
pub struct Client {
    /// The connection itself.
    pub connection: ClientConnection,
    /// Its clock.
    pub now: Time,
}

impl Client {
    /// Settings for sender 123456789012 and the key of E05b.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn config() -> ClientConfig {
        let sender = "123456789012".parse().expect("digits");
        ClientConfig::new(sender, "TESTKEY".into())
    }

    /// Before the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Self::config())
    }

    /// Before the first byte, with settings of one's own.
    #[must_use]
    pub fn with(config: ClientConfig) -> Self {
        let now = Time::ZERO;
        let connection = ClientConnection::new(
            Arc::new(config),
            ConnectionId(1),
            TransportSecurity::VerifiedTls,
            now,
        );
        Self { connection, now }
    }

    /// Bound by the captured handshake.
    #[must_use]
    pub fn bound() -> Self {
        Self::bound_with(Self::config())
    }

    /// The same with settings of one's own.
    ///
    /// # Panics
    /// The stream is not bound then.
    #[must_use]
    pub fn bound_with(config: ClientConfig) -> Self {
        let mut client = Self::with(config);
        for name in ["E02.xml", "E03.xml", "E06.xml", "E02-gimmm.xml", "E08.xml"] {
            client.feed(bytes(name));
        }
        client.feed(bytes("E10.xml"));
        let bound = client.event();
        assert!(matches!(bound, ClientEvent::Bound { .. }), "{bound:?}");
        client.written();
        client
    }

    /// Bound, and with a message of that id in flight.
    #[must_use]
    pub fn in_flight(id: &str) -> Self {
        let mut client = Self::bound();
        client.send(id);
        client
    }

    /// Sends a message of that id.
    ///
    /// # Panics
    /// It is not taken.
    pub fn send(&mut self, id: &str) {
        let message = Downstream::to("TOKEN").encode(id).expect("a valid message");
        let permit = self.connection.reserve().expect("a place");
        permit.send(message).expect("a new id");
        assert_eq!(self.written().len(), 1);
    }

    /// Feeds bytes that are no error.
    ///
    /// # Panics
    /// They are.
    pub fn feed(&mut self, input: impl AsRef<[u8]>) {
        self.try_feed(input).expect("bytes that are in order");
    }

    /// Feeds bytes.
    ///
    /// # Errors
    /// The connection's.
    pub fn try_feed(&mut self, input: impl AsRef<[u8]>) -> Result<(), ConnectionError> {
        self.connection.receive(self.now, input.as_ref())
    }

    /// The next event.
    ///
    /// # Panics
    /// There is none.
    pub fn event(&mut self) -> ClientEvent {
        self.connection.poll_event().expect("an event")
    }

    /// The next event, which is an answer.
    ///
    /// # Panics
    /// It is something else.
    pub fn answer(&mut self) -> (MessageId, Outcome) {
        match self.event() {
            ClientEvent::Answered {
                message_id,
                outcome,
            } => (message_id, outcome),
            other => panic!("{other:?}"),
        }
    }

    /// The only event, which is an upstream message.
    ///
    /// # Panics
    /// It is something else.
    pub fn upstream(&mut self) -> (Upstream, AckToken) {
        match self.event() {
            ClientEvent::Upstream { message, token } => {
                self.is_quiet();
                (message, token)
            }
            other => panic!("{other:?}"),
        }
    }

    /// All that is to be written: one text for each write.
    ///
    /// # Panics
    /// It is no UTF-8.
    pub fn written(&mut self) -> Vec<String> {
        let mut written = Vec::new();
        let mut out = BytesMut::new();
        while self.connection.poll_transmit(self.now, &mut out) {
            written.push(String::from_utf8(out.split().to_vec()).expect("UTF-8"));
        }
        written
    }

    /// Checks that there is neither an event nor anything to write.
    ///
    /// # Panics
    /// There is.
    pub fn is_quiet(&mut self) {
        let event = self.connection.poll_event();
        assert!(event.is_none(), "{event:?}");
        assert_eq!(self.written(), [""; 0]);
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}
