//! What the tests of this crate share: connected pairs and a peer that is written by hand.
#![allow(dead_code, missing_docs)]

pub mod authority;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccs_tokio::proto::driver::{self, ClientMachine, Driver};
use ccs_tokio::proto::{
    ClientConnection, ConnectionError, ConnectionId, Nonce, ServerConnection, Time,
    TransportSecurity,
};
use ccs_tokio::{
    Client, ClientConfig, Downstream, Event, Incoming, IoTimer, IoTransport, Peer, PeerEvents,
    ServerConfig, ServerEvent, Upstream, Verdict,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};

pub const SENDER: &str = "123456789012";
pub const KEY: &str = "CANARY-4f1d7c0b9a";

/// A guard against a hang, and nothing else: no test waits for it.
pub async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(3_600), future)
        .await
        .expect("this hangs")
}

pub fn client_config() -> ClientConfig {
    ClientConfig::new(SENDER.parse().expect("digits"), KEY.into())
}

pub type ClientDriver = Driver<IoTransport<DuplexStream>, IoTimer, ClientMachine>;

/// A client's end over `stream`, its driver not polled yet.
pub fn client_over(config: ClientConfig, stream: DuplexStream) -> (Client, Incoming, ClientDriver) {
    let connection = ClientConnection::new(
        Arc::new(config),
        ConnectionId(1),
        TransportSecurity::VerifiedTls,
        Time::ZERO,
    );
    driver::client(connection, IoTransport::new(stream), IoTimer::new(), "m")
}

/// Both ends in memory, logged in, each driven by a task.
pub async fn pair(config: ClientConfig) -> (Client, Incoming, Peer, PeerEvents) {
    let (near, far) = duplex(64 * 1024);
    let (client, incoming, driver) = client_over(config, near);
    tokio::spawn(driver);
    let (peer, events) = peer_over(ServerConfig::default(), far).await;
    in_time(client.bound()).await.expect("logged in");
    (client, incoming, peer, events)
}

/// A client's end, logged in and driven by a task, and its hand-written peer.
pub async fn scripted(
    config: ClientConfig,
    buffer: usize,
) -> (
    Client,
    Incoming,
    tokio::task::JoinHandle<Result<(), ConnectionError>>,
    Script<DuplexStream>,
) {
    let (near, far) = duplex(buffer);
    let (client, incoming, driver) = client_over(config, near);
    let driver = tokio::spawn(driver);
    let mut script = Script::new(far);
    in_time(script.log_in()).await;
    in_time(client.bound()).await.expect("logged in");
    (client, incoming, driver, script)
}

/// The endpoint's end over `stream`, which lets everybody in.
pub async fn peer_over(config: ServerConfig, stream: DuplexStream) -> (Peer, PeerEvents) {
    let connection = ServerConnection::new(
        Arc::new(config),
        ConnectionId(2),
        Nonce([7; 20]),
        Time::ZERO,
    );
    let (login, driver) = driver::server(connection, IoTransport::new(stream), IoTimer::new());
    tokio::spawn(driver);
    in_time(login.decide(|_| async { Verdict::Accept }))
        .await
        .expect("logged in")
}

/// Acks every message until the end, and says how many there were.
pub async fn ack_all(peer: Peer, mut events: PeerEvents) -> usize {
    let mut acked = 0;
    while let Some(event) = events.next().await {
        if let ServerEvent::Downstream { token, .. } = event
            && peer.ack(token, None).is_ok()
        {
            acked += 1;
        }
    }
    acked
}

/// The next downstream message, with the right to answer it.
pub async fn downstream(events: &mut PeerEvents) -> (Downstream, ccs_tokio::proto::AnswerToken) {
    loop {
        match in_time(events.next()).await {
            Some(ServerEvent::Downstream { message, token, .. }) => return (message, token),
            Some(ServerEvent::Closed(end)) => panic!("closed: {end:?}"),
            Some(_) => {}
            None => panic!("nothing more comes"),
        }
    }
}

/// The next event that is of interest to `look`.
pub async fn event<T>(incoming: &mut Incoming, look: impl Fn(Event) -> Option<T>) -> T {
    loop {
        let event = in_time(incoming.next()).await.expect("an event");
        if let Some(found) = look(event) {
            return found;
        }
    }
}

/// How the connection ended, by its last event.
pub async fn closed(incoming: &mut Incoming) -> Result<(), ConnectionError> {
    event(incoming, |event| match event {
        Event::Closed(end) => Some(end),
        _ => None,
    })
    .await
}

pub fn message(n: usize) -> Downstream {
    Downstream::to("DEVICE")
        .id(format!("d-{n}"))
        .data("n", n.to_string())
}

pub fn upstream(n: usize) -> Upstream {
    Upstream::new("DEVICE", format!("u-{n}"))
}

/// A peer of a client that says what the test says, and keeps no rule.
pub struct Script<S> {
    stream: S,
    heard: String,
    used: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Script<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            heard: String::new(),
            used: 0,
        }
    }

    /// Reads until `text` comes, and returns what came before and with it.
    pub async fn hear(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.heard[self.used..].find(text) {
                let end = self.used + at + text.len();
                let heard = self.heard[self.used..end].to_owned();
                self.used = end;
                return heard;
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).await.expect("it reads");
            assert_ne!(count, 0, "waited for {text:?}, and heard {:?}", self.heard);
            self.heard
                .push_str(std::str::from_utf8(&buffer[..count]).expect("ASCII"));
        }
    }

    /// Reads to the end, and returns all that was not heard before.
    pub async fn hear_all(mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest).await;
        self.heard[self.used..].to_owned() + &String::from_utf8_lossy(&rest)
    }

    /// The id of the next message that is no ack.
    pub async fn hear_message(&mut self) -> String {
        loop {
            let stanza = self.hear("</message>").await;
            if let Some(id) = downstream_id(&stanza) {
                return id;
            }
        }
    }

    pub async fn say(&mut self, text: &str) {
        self.stream
            .write_all(text.as_bytes())
            .await
            .expect("it writes");
    }

    pub async fn log_in(&mut self) {
        const HEADER: &str = "<stream:stream from='gcm.googleapis.com' id='1' version='1.0' \
            xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>";
        self.hear("streams\">").await;
        self.say(HEADER).await;
        self.say(
            "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
            <mechanism>PLAIN</mechanism></mechanisms></stream:features>",
        )
        .await;
        self.hear("</auth>").await;
        self.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            .await;
        self.hear("streams\">").await;
        self.say(HEADER).await;
        self.say(
            "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>",
        )
        .await;
        self.hear("</iq>").await;
        self.say(
            "<iq type='result' id='bind-1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
            <jid>123456789012@gcm.googleapis.com/1</jid></bind></iq>",
        )
        .await;
    }

    pub fn into_stream(self) -> S {
        self.stream
    }
}

/// The id in a downstream message; `None` for an ack.
pub fn downstream_id(stanza: &str) -> Option<String> {
    if stanza.contains("\"message_type\":\"ack\"") {
        return None;
    }
    let (_, after) = stanza.split_once("\"message_id\":\"")?;
    Some(after.split_once('"')?.0.to_owned())
}

pub fn gcm(json: &str) -> String {
    format!("<message><gcm xmlns='google:mobile:data'>{json}</gcm></message>")
}

pub fn ack_of(id: &str) -> String {
    gcm(&format!(
        r#"{{"message_type":"ack","from":"DEVICE","message_id":"{id}"}}"#
    ))
}

pub fn upstream_stanza(n: usize) -> String {
    gcm(&format!(
        r#"{{"category":"app","from":"DEVICE","message_id":"u-{n}","data":{{"n":"{n}"}}}}"#
    ))
}

/// What a tap was shown.
#[derive(Clone, Default)]
pub struct Shown(pub Arc<Mutex<Vec<(ccs_tokio::proto::Direction, String)>>>);
