//! The endpoint's end of a connection.

mod answered;
mod answering;
mod doubt;
mod event;
mod fingerprint;
mod handshake;
mod receive;
mod timers;
mod upstream;

use std::sync::Arc;

use bytes::BytesMut;

pub use doubt::Unconfirmed;
pub use event::{AnswerError, AnswerToken, AuthRequest, NotSent, ServerEvent, ServerFinished};
pub use fingerprint::Fingerprint;

use crate::config::ServerConfig;
use crate::connection::{Inbox, Minute, TRANSMIT_BYTES, Wire};
use crate::error::ConnectionError;
use crate::hash::HashKey;
use crate::ledger::{ConnectionId, Unsettled};
use crate::message::{MessageId, envelope};
use crate::text::Text;
use crate::time::Time;
use crate::xmpp::StreamCondition;
use answered::Answered;
use doubt::Doubt;
use handshake::{Identity, Stage};
use upstream::Upstreams;

/// Random bytes for one connection's stream ids and resource, from the operating system's generator: the core draws
/// no randomness of its own.
#[derive(Debug, Clone, Copy)]
pub struct Nonce(pub [u8; 20]);

/// One connection of an endpoint, without I/O.
///
/// Driven like [`ClientConnection`](crate::ClientConnection); see there. The login is decided outside: after
/// [`Login`](ServerEvent::Login) nothing goes on until [`accept`](Self::accept) or [`reject`](Self::reject).
pub struct ServerConnection {
    config: Arc<ServerConfig>,
    id: ConnectionId,
    nonce: Nonce,
    hash_key: HashKey,
    started: Time,
    stage: Stage,
    identity: Option<Identity>,
    jid: Option<String>,
    /// Bytes that came while the login was being decided.
    held: BytesMut,
    login_bytes: usize,
    wire: Wire,
    inbox: Inbox<ServerEvent>,
    unanswered: Unsettled<Unanswered>,
    answered: Answered,
    doubt: Doubt,
    /// As in the settings, unless this sender has one of its own.
    window: usize,
    upstreams: Upstreams,
    draining_since: Option<Time>,
    /// Logins that were refused.
    failed_logins: u32,
    /// Bytes of text between stanzas, and whether this is more of it.
    stray_text: Minute,
    in_stray_text: bool,
    /// Acks of what was not sent.
    stray_acks: Minute,
    closed_reported: bool,
}

/// What an answer has to say.
#[derive(Debug)]
struct Unanswered {
    target: Text,
    message_id: MessageId,
}

impl ServerConnection {
    /// A connection over a TLS transport that was just accepted. `id` tells it from every other connection of this
    /// process.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, id: ConnectionId, nonce: Nonce, now: Time) -> Self {
        let tap = config.tap.clone();
        let mut wire = Wire::new(id, config.limits, tap, StreamCondition::InvalidXml, now);
        wire.hide_input(true);
        let hash_key = HashKey::new(nonce.0);
        Self {
            id,
            nonce,
            hash_key,
            started: now,
            stage: Stage::FIRST,
            identity: None,
            jid: None,
            held: BytesMut::new(),
            login_bytes: 0,
            wire,
            inbox: Inbox::new(config.inbox_messages, config.inbox_bytes),
            unanswered: Unsettled::new(id),
            answered: Answered::new(config.remembered_ids),
            doubt: Doubt::default(),
            window: config.window,
            upstreams: Upstreams::new(config.upstream_window),
            draining_since: None,
            failed_logins: 0,
            stray_text: Minute::new(now),
            in_stray_text: false,
            stray_acks: Minute::new(now),
            closed_reported: false,
            config,
        }
    }

    /// The name that the caller gave this connection.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whether to read from the transport: not while a login waits for its decision, nor while the app server has more
    /// under way than its window, nor while undelivered events are at their bound. What one read held may overshoot the bounds. Once
    /// the stream is being ended the window stops nothing, so that the app server's end of it is read.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !matches!(self.stage, Stage::Deciding)
            && (self.wire.is_ending() || self.unanswered.len() <= self.window)
            && !self.inbox.is_full()
            && !self.wire.is_backed_up()
            && self.wire.failure().is_none()
            && !self.is_closed()
    }

    /// Takes bytes that were read. Any cut of the stream into reads gives the same events.
    ///
    /// # Errors
    /// The error that ends the connection. Every later call returns the same; events and bytes from before it, and the
    /// stream error for the peer, are still to be polled.
    pub fn receive(&mut self, now: Time, input: &[u8]) -> Result<(), ConnectionError> {
        self.wire.tick(now);
        let result = self.read(now, input);
        self.wire.set_listening(self.wants_input());
        self.report_closed(now);
        result
    }

    /// The transport has ended: the peer sends nothing more.
    ///
    /// # Errors
    /// [`ConnectionError::UnexpectedEof`] unless the stream had been ended before.
    pub fn receive_eof(&mut self, now: Time) -> Result<(), ConnectionError> {
        self.wire.tick(now);
        self.wire.eof();
        self.report_closed(now);
        self.check()
    }

    /// The transport failed; the adapter says how. Ends the connection at once.
    pub fn transport_failed(&mut self, now: Time, what: impl Into<String>) {
        self.wire.tick(now);
        self.wire
            .fail(ConnectionError::Transport { what: what.into() });
        self.report_closed(now);
    }

    /// The next event. Poll until `None` after every other call.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.inbox.pop()
    }

    /// Appends bytes to write to `out` and says whether there were any; see
    /// [`ClientConnection::poll_transmit`](crate::ClientConnection::poll_transmit).
    #[must_use]
    pub fn poll_transmit(&mut self, now: Time, out: &mut BytesMut) -> bool {
        self.wire.tick(now);
        let before = out.len();
        if !self.wire.transmit_element(out) && !self.wire.is_over() {
            self.wire.transmit_batch(out);
            self.doubt.written(now);
            self.transmit_messages(now, out);
            self.wire.transmit_end(out);
        }
        self.report_closed(now);
        let any = out.len() > before;
        if any {
            self.wire.last_sent = now;
        }
        any
    }

    fn transmit_messages(&mut self, now: Time, out: &mut BytesMut) {
        if !self.takes_messages() {
            return;
        }
        let room = out.len().saturating_add(TRANSMIT_BYTES);
        let jid = self.jid.as_deref().unwrap_or_default();
        let to = jid.split_once('/').map_or(jid, |(bare, _)| bare);
        let mut before = out.len();
        while before < room && self.upstreams.transmit(now, to, out) {
            self.wire.show(out.get(before..).unwrap_or_default());
            before = out.len();
        }
    }

    /// Sets the windows of this connection anew, for a sender that has others than the settings say: downstream messages
    /// that wait for an answer, and upstream ones that wait for an ack. What is under way beyond them stays so; receipts
    /// keep theirs.
    pub fn set_windows(&mut self, window: usize, upstream_window: usize) {
        self.window = window;
        self.upstreams.set_window(upstream_window);
    }

    /// Announces that this connection will be closed: new messages are refused from here on, what is under way is
    /// finished, and the stream ends when nothing is open any more, or after
    /// [`drain_timeout`](ServerConfig::drain_timeout). Before the stream is bound there is nothing to drain, and nothing
    /// happens: close it, or drain it later.
    pub fn drain(&mut self, now: Time) {
        if self.draining_since.is_none() && self.takes_messages() {
            self.draining_since = Some(now);
            self.wire.push(envelope::push_draining);
        }
    }

    /// Ends the stream with a stream error, as for a connection over the limit
    /// ([`PolicyViolation`](StreamCondition::PolicyViolation), `docs/protocol.md` §12 #47) or a restart
    /// ([`SystemShutdown`](StreamCondition::SystemShutdown)).
    pub fn end_with(&mut self, now: Time, condition: StreamCondition, text: &str) {
        self.wire.tick(now);
        let text = Some(text.to_owned()).filter(|text| !text.is_empty());
        self.fail(ConnectionError::Ended { condition, text });
        self.report_closed(now);
    }

    /// Ends the stream in order, at once.
    pub fn close(&mut self, now: Time) {
        self.wire.tick(now);
        self.open_own_stream();
        self.wire.close();
        self.report_closed(now);
    }

    /// Whether the connection is over: nothing is left to read or write, and the transport can be closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.wire.is_over()
    }

    /// How the connection ended, once it is over.
    #[must_use]
    pub fn end(&self) -> Option<Result<(), ConnectionError>> {
        self.is_closed().then(|| self.check())
    }

    /// Whether there are events to poll.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Whether the login is done.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.stage == Stage::Bound
    }

    /// Whether messages go both ways: bound, and not being ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.takes_messages()
    }

    /// Takes the connection apart, at any time, into what it leaves behind.
    #[must_use]
    pub fn finish(self) -> ServerFinished {
        let unanswered = self
            .unanswered
            .iter()
            .map(|unanswered| unanswered.message_id.clone())
            .collect();
        let left = self.upstreams.finish();
        ServerFinished {
            events: self.inbox.into_events(),
            unacked: left.unacked,
            unsent: left.unsent,
            receipts: left.receipts,
            unanswered,
        }
    }

    fn takes_messages(&self) -> bool {
        self.stage == Stage::Bound && !self.wire.is_ending()
    }

    fn check(&self) -> Result<(), ConnectionError> {
        match self.wire.failure() {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// A stream error stands inside a stream, so ours is opened first where it was not (RFC 6120 §4.9.1.1).
    fn fail(&mut self, error: ConnectionError) {
        self.open_own_stream();
        self.wire.fail(error);
    }

    fn emit(&mut self, now: Time, bytes: usize, event: ServerEvent) {
        self.inbox.push(now, bytes, event);
    }

    fn report_closed(&mut self, now: Time) {
        if self.wire.is_over() && !self.closed_reported {
            self.closed_reported = true;
            let end = self.check();
            self.emit(now, 0, ServerEvent::Closed(end));
        }
    }
}

impl std::fmt::Debug for ServerConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConnection")
            .field("id", &self.id)
            .field("stage", &self.stage)
            .field("unanswered", &self.unanswered.len())
            .finish_non_exhaustive()
    }
}
