//! Settings of a connection, with the defaults and where they come from.

use std::time::Duration;

use crate::habit::Tolerance;
use crate::key::ApiKey;
use crate::message::{MAX_DEPTH, SenderId};
use crate::tap::Tap;
use crate::xml::XmlLimits;

/// The host name that Google's documentation uses in the stream header and in user names (`docs/protocol.md` §2.1).
pub const DEFAULT_DOMAIN: &str = "gcm.googleapis.com";

/// What the transport below a connection guarantees. The adapter that made the transport says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportSecurity {
    /// TLS, and the peer's certificate was verified for the name that was meant.
    VerifiedTls,
    /// Anything else: a plain socket, or TLS without verification. A client sends no key over it.
    Unverified,
}

/// What a peer may make one connection hold or wait for, in either role. A peer that goes beyond is told
/// `policy-violation` and the connection ends, but for a body of too many levels: that one is refused, and the stream
/// goes on.
///
/// ```
/// use std::time::Duration;
/// use ccs_proto::ServerConfig;
///
/// let mut config = ServerConfig::default();
/// config.limits.xml.stanza = 16 * 1024;
/// config.limits.stanza_time = Duration::from_secs(5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// What the XML of a stanza may weigh. Until an element is whole a connection holds at most twice its limit and
    /// 32 KiB of memory for it.
    pub xml: XmlLimits,
    /// Arrays and objects inside one another in a body, up to 128. Default: 32.
    pub json_depth: usize,
    /// From the first byte of a stanza to its last, as far as this side reads at all. Default: 30 s.
    pub stanza_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            xml: XmlLimits::default(),
            json_depth: MAX_DEPTH,
            stanza_time: Duration::from_secs(30),
        }
    }
}

/// Settings of the app server's role, one value for as many connections as one likes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Who logs in.
    pub sender: SenderId,
    /// The secret that goes with it.
    pub key: ApiKey,
    /// Domain behind the sender id in the SASL user name: `123@gcm.googleapis.com`. None by default, the bare sender
    /// id, which every endpoint known takes; Prosody refuses the other form (`docs/protocol.md` §2.4).
    pub login_domain: Option<String>,
    /// `to` of the stream header, whatever host is dialled. Default: [`DEFAULT_DOMAIN`].
    pub stream_to: String,
    /// Resource to ask for at bind. None by default: the endpoint chooses.
    pub resource: Option<String>,
    /// Whether to send the session iq where the endpoint offers it. Nothing depends on it; off by default.
    pub session: bool,
    /// Downstream messages sent and not yet answered, at most. Default: 100 (`docs/protocol.md` §9).
    pub window: usize,
    /// Undelivered events at which reading stops; it also stops at twice as many un-acked messages. Default: 1,000, ten
    /// windows of a conforming endpoint.
    pub inbox_messages: usize,
    /// Bytes of undelivered events at which reading stops. Default: 8 MiB.
    pub inbox_bytes: usize,
    /// How long the inbox may stay at its bound before the connection ends with `policy-violation`. Default: 30 s.
    pub inbox_patience: Duration,
    /// From the first byte to the bound stream. Default: 15 s.
    pub handshake_timeout: Duration,
    /// Silence either way after which a ping is sent, and between pings. Default: 60 s.
    pub ping_interval: Duration,
    /// Pings without any sign of life after which the peer is taken for dead. Default: 2.
    pub missed_pings: u32,
    /// How long a message may stay unanswered before the connection is given up. Default: 5 minutes
    /// (`docs/protocol.md` §12 #50).
    pub answer_timeout: Duration,
    /// How long an upstream message may stay un-acked by the application before `AckOverdue` says so. Default: 60 s.
    pub ack_overdue: Duration,
    /// How long to wait for the endpoint to close after it said that it drains. Default: 15 minutes.
    pub drain_guard: Duration,
    /// How long [`close`](crate::ClientConnection::close) waits for answers that are still due. Default: 30 s.
    pub settle_timeout: Duration,
    /// How long to wait for the peer's end of the stream after our own. Default: 5 s.
    pub close_timeout: Duration,
    /// What the endpoint may make a connection hold.
    pub limits: Limits,
    /// Shown every stanza, for fault finding. Off by default.
    pub tap: Option<Tap>,
}

impl ClientConfig {
    /// The defaults for one sender.
    #[must_use]
    pub fn new(sender: SenderId, key: ApiKey) -> Self {
        Self {
            sender,
            key,
            login_domain: None,
            stream_to: DEFAULT_DOMAIN.to_owned(),
            resource: None,
            session: false,
            window: 100,
            inbox_messages: 1_000,
            inbox_bytes: 8 * 1024 * 1024,
            inbox_patience: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(15),
            ping_interval: Duration::from_secs(60),
            missed_pings: 2,
            answer_timeout: Duration::from_secs(300),
            ack_overdue: Duration::from_secs(60),
            drain_guard: Duration::from_secs(15 * 60),
            settle_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            limits: Limits::default(),
            tap: None,
        }
    }
}

/// Settings of the endpoint's role.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Downstream messages of one connection that wait for an answer, at which reading stops. Default: 100
    /// (`docs/protocol.md` §12 #11).
    pub window: usize,
    /// Upstream messages of one connection that wait for an ack, at most. Default: 100 (`docs/protocol.md` §12 #12).
    pub upstream_window: usize,
    /// Undelivered events at which reading stops. Default: 1,000.
    pub inbox_messages: usize,
    /// Bytes of undelivered events at which reading stops. Default: 8 MiB.
    pub inbox_bytes: usize,
    /// Bytes that a peer may send before its login succeeded. Default: 8 KiB.
    pub login_bytes: usize,
    /// Logins that a peer may try on one connection, at least 1: the last that fails ends the stream. Default: 1
    /// (`docs/protocol.md` §12 #39).
    pub login_tries: u32,
    /// From the first byte to the bound stream. Default: 15 s.
    pub handshake_timeout: Duration,
    /// Silence of our own after which one space is sent. Default: 60 s (`docs/protocol.md` §12 #27).
    pub keep_alive: Duration,
    /// Silence of the peer after which the connection is given up. Default: never (`docs/protocol.md` §12 #28).
    pub dead_after: Option<Duration>,
    /// How long an upstream message may stay un-acked before `AckOverdue` says so. Default: 60 s.
    pub ack_overdue: Duration,
    /// From `drain` to the end of the stream, at most. Default: 60 s (`docs/protocol.md` §12 #25).
    pub drain_timeout: Duration,
    /// From `drain` to the end of the stream, at least: what the app server sent before it heard of the drain is still
    /// on its way, and is answered. Default: 1 s.
    pub drain_linger: Duration,
    /// How long to wait for the peer's end of the stream after our own. Default: 5 s.
    pub close_timeout: Duration,
    /// Ids of answered messages that are remembered to find a repeated one. Default: 10,000.
    pub remembered_ids: usize,
    /// Whether to live with what the protocol forbids and known clients do, such as text between stanzas. Default: yes.
    pub tolerance: Tolerance,
    /// What an app server may make a connection hold.
    pub limits: Limits,
    /// Shown every stanza, for fault finding. Off by default.
    pub tap: Option<Tap>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            window: 100,
            upstream_window: 100,
            inbox_messages: 1_000,
            inbox_bytes: 8 * 1024 * 1024,
            login_bytes: 8 * 1024,
            login_tries: 1,
            handshake_timeout: Duration::from_secs(15),
            keep_alive: Duration::from_secs(60),
            dead_after: None,
            ack_overdue: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(60),
            drain_linger: Duration::from_secs(1),
            close_timeout: Duration::from_secs(5),
            remembered_ids: 10_000,
            tolerance: Tolerance::default(),
            limits: Limits::default(),
            tap: None,
        }
    }
}
