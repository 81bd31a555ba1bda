//! The app server's end of a connection.

mod event;
mod handshake;
mod permit;
mod receive;
mod sending;
mod timers;

use std::sync::Arc;

use bytes::BytesMut;

pub use event::{
    AckError, AckToken, Blocked, ClientEvent, Finished, Ignored, NotAccepted, Outcome,
};
pub use permit::{Permit, Place};

use crate::config::{ClientConfig, TransportSecurity};
use crate::connection::{Inbox, Wire};
use crate::error::ConnectionError;
use crate::hash::Hashed;
use crate::ledger::{ConnectionId, TokenError, Unsettled, Window};
use crate::message::{EncodedDownstream, MessageId, envelope};
use crate::text::Text;
use crate::time::Time;
use crate::xmpp::StreamCondition;
use crate::xmpp::stream::push_client_header;
use handshake::Stage;
#[cfg(feature = "driver")]
use receive::ANSWER_BYTES;

/// One connection of an app server, without I/O.
///
/// Bytes that were read go into [`receive`](Self::receive); events come out of [`poll_event`](Self::poll_event), bytes
/// to write out of [`poll_transmit`](Self::poll_transmit), and [`poll_timeout`](Self::poll_timeout) says when
/// [`handle_timeout`](Self::handle_timeout) is due. Methods may be called in any order at any time: polling is for
/// progress, never for correctness.
///
/// ```
/// use std::sync::Arc;
/// use bytes::BytesMut;
/// use ccs_proto::{ClientConfig, ClientConnection, ConnectionId, Time, TransportSecurity};
///
/// let config = Arc::new(ClientConfig::new("123456789012".parse()?, "KEY".into()));
/// let mut connection =
///     ClientConnection::new(config, ConnectionId(1), TransportSecurity::VerifiedTls, Time::ZERO);
/// let mut out = BytesMut::new();
/// assert!(connection.poll_transmit(Time::ZERO, &mut out));
/// assert!(out.starts_with(b"<stream:stream to=\"gcm.googleapis.com\""));
/// # Ok::<(), ccs_proto::message::InvalidSenderId>(())
/// ```
pub struct ClientConnection {
    config: Arc<ClientConfig>,
    id: ConnectionId,
    transport: TransportSecurity,
    started: Time,
    stage: Stage,
    wire: Wire,
    inbox: Inbox<ClientEvent>,
    window: Window<Hashed<MessageId>, EncodedDownstream>,
    unsettled: Unsettled<Unacked>,
    draining_since: Option<Time>,
    /// Where that stands among the events.
    draining_place: u64,
    /// `close` was called; answers that are due are waited for.
    closing_since: Option<Time>,
    pings: u32,
    pings_unheard: u32,
    /// The last ping of a silence.
    pinged: Time,
    closed_reported: bool,
}

/// What an ack has to say.
#[derive(Debug)]
struct Unacked {
    to: Text,
    message_id: MessageId,
}

impl ClientConnection {
    /// A connection over a transport that was just established. `id` tells it from every other connection of this
    /// process.
    #[must_use]
    pub fn new(
        config: Arc<ClientConfig>,
        id: ConnectionId,
        transport: TransportSecurity,
        now: Time,
    ) -> Self {
        let mut wire = Wire::new(
            id,
            config.limits,
            config.tap.clone(),
            StreamCondition::NotWellFormed,
            now,
        );
        wire.push(|out| push_client_header(out, &config.stream_to));
        Self {
            id,
            transport,
            started: now,
            stage: Stage::FIRST,
            wire,
            inbox: Inbox::new(config.inbox_messages, config.inbox_bytes),
            window: Window::new(config.window),
            unsettled: Unsettled::new(id),
            draining_since: None,
            draining_place: 0,
            closing_since: None,
            pings: 0,
            pings_unheard: 0,
            pinged: now,
            closed_reported: false,
            config,
        }
    }

    /// The name that the caller gave this connection.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whether to read from the transport: not while undelivered events are at their bound, nor while answers of our
    /// own wait to be written. What one read held may overshoot the bound.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !self.inbox.is_full()
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

    /// The next event. Poll until `None` after every `receive`, `receive_eof`, `handle_timeout` and `poll_transmit`.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.inbox.pop()
    }

    /// Appends bytes to write to `out` and says whether there were any: whole stanzas, about 64 KiB at most. Write what
    /// one call gave before the next call: until the stream is bound each call gives one element. Poll until `false`
    /// after anything else was called.
    ///
    /// A message is in flight from the moment at which its bytes were appended.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Time, out: &mut BytesMut) -> bool {
        self.wire.tick(now);
        let before = out.len();
        if !self.wire.transmit_element(out) && !self.wire.is_over() {
            self.wire.transmit_batch(out);
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

    /// Upstream messages and receipts that the application has not acked.
    #[must_use]
    pub fn unacked(&self) -> usize {
        self.unsettled.len()
    }

    /// Whether the endpoint has said that it drains, and no answer from before that waits.
    pub(crate) fn has_drained(&self) -> bool {
        self.is_draining() && !self.inbox.has_answer_before(self.draining_place)
    }

    /// The next answer, ahead of other events: a task that waits for an answer may be the one that takes the events.
    pub(crate) fn poll_answer(&mut self) -> Option<ClientEvent> {
        self.inbox.pop_answer()
    }

    /// An answer that nobody waits for, as an event among the others.
    #[cfg(feature = "driver")]
    pub(crate) fn return_answer(&mut self, message_id: MessageId, outcome: Outcome) {
        let event = ClientEvent::Answered {
            message_id,
            outcome,
        };
        self.inbox.push(self.wire.now(), ANSWER_BYTES, event);
    }

    /// Acks the message that came with `token`. Acks never wait for the window.
    ///
    /// # Errors
    /// A token of another connection comes back; on an ended stream nothing can be acked.
    pub fn ack(&mut self, token: AckToken) -> Result<(), AckError> {
        // What cannot be acked any more stays in the books, as un-acked.
        if self.wire.is_ending() && token.connection() == self.id {
            return Err(AckError::Closed);
        }
        let unacked = self
            .unsettled
            .settle(token.0)
            .map_err(|TokenError(token)| AckError::Foreign(AckToken(token)))?;
        self.inbox.set_unacked(self.unsettled.len());
        self.wire.push(|out| {
            envelope::push_client_ack(out, &unacked.to, unacked.message_id.as_str());
        });
        Ok(())
    }

    /// Lets a token go for good: its message is not acked here and is no longer reported as overdue, because another copy
    /// of it is answered in its place. A token of another connection is left alone.
    pub(crate) fn forget(&mut self, token: AckToken) {
        if self.unsettled.settle(token.0).is_ok() {
            self.inbox.set_unacked(self.unsettled.len());
        }
    }

    /// Writes an ack for which there is no token.
    #[cfg(ccs_planted)]
    pub(crate) fn plant_ack(&mut self, to: &str, message_id: &str) {
        self.wire
            .push(|out| envelope::push_client_ack(out, to, message_id));
    }

    /// Ends the connection in order: nothing new is taken, what was accepted is sent, and the stream ends when it is
    /// all answered or after [`settle_timeout`](ClientConfig::settle_timeout). Acks may be given until then.
    pub fn close(&mut self, now: Time) {
        self.wire.tick(now);
        if !self.stage.is_bound() {
            self.wire.close();
        }
        self.closing_since.get_or_insert(now);
        self.close_if_settled();
    }

    fn close_if_settled(&mut self) {
        let sendable = self.draining_since.is_none() && self.window.queued() > 0;
        if self.closing_since.is_some() && self.window.in_flight() == 0 && !sendable {
            self.wire.close();
        }
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
        self.stage.is_bound()
    }

    /// Whether the endpoint said that it drains this connection.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining_since.is_some()
    }

    /// Whether the stream is being ended, or was: nothing is accepted any more.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.wire.is_ending() || self.closing_since.is_some()
    }

    /// Takes the connection apart, at any time, into what it leaves behind.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        Finished {
            unanswered: self.window.take_in_flight(),
            unsent: self.window.take_queued(),
            unacked: self.unsettled.len(),
            events: self.inbox.into_events(),
        }
    }

    fn check(&self) -> Result<(), ConnectionError> {
        match self.wire.failure() {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    fn emit(&mut self, now: Time, bytes: usize, event: ClientEvent) {
        self.inbox.push(now, bytes, event);
    }

    fn report_closed(&mut self, now: Time) {
        if self.wire.is_over() && !self.closed_reported {
            self.closed_reported = true;
            let end = self.check();
            self.emit(now, 0, ClientEvent::Closed(end));
        }
    }
}

impl std::fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConnection")
            .field("id", &self.id)
            .field("stage", &self.stage)
            .field("in_flight", &self.window.in_flight())
            .field("unacked", &self.unsettled.len())
            .finish_non_exhaustive()
    }
}
