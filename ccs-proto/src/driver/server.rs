//! The endpoint's handle for one connection.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::alarm::Alarm;
use super::login::{Login, LoginVerdict};
use super::run::Driver;
use super::server_machine::{Ask, ServerMachine};
use super::shared::{Shared, remember};
use super::waiters::Ticket;
use super::{Timer, Transport};
use crate::ledger::ConnectionId;
use crate::message::{MessageId, NackCode, Receipt, RegistrationToken, SenderId, Upstream};
use crate::server::{
    AnswerError, AnswerToken, AuthRequest, NotSent, ServerConnection, ServerEvent, Unconfirmed,
};
use crate::xmpp::StreamCondition;

/// Puts a connection, a transport and a timer together. The login is the first thing to wait for: see [`Login`].
pub fn server<T: Transport, R: Timer>(
    connection: ServerConnection,
    transport: T,
    timer: R,
) -> (Login, Driver<T, R, ServerMachine>) {
    server_with(connection, transport, Alarm::new(timer))
}

/// The same with an alarm that is in use already.
pub(super) fn server_with<T: Transport, R: Timer>(
    connection: ServerConnection,
    transport: T,
    alarm: Alarm<R>,
) -> (Login, Driver<T, R, ServerMachine>) {
    let shared = Shared::new(ServerMachine::new(connection));
    let handle = Arc::new(Handle {
        shared: Arc::clone(&shared),
    });
    let events = PeerEvents {
        handle,
        ended: false,
    };
    (Login::new(events), Driver::new(shared, transport, alarm))
}

/// Answers and sends over one connection of an app server. Cheap to clone; the stream ends in order when every handle is
/// dropped.
#[derive(Clone)]
pub struct Peer {
    handle: Arc<Handle>,
    identity: Arc<(SenderId, String)>,
}

impl Peer {
    /// The app server of these events.
    pub(super) fn new(events: &PeerEvents, sender: SenderId, jid: String) -> Self {
        Self {
            handle: Arc::clone(&events.handle),
            identity: Arc::new((sender, jid)),
        }
    }

    /// Who logged in.
    #[must_use]
    pub fn sender(&self) -> &SenderId {
        &self.identity.0
    }

    /// The full JID of this stream.
    #[must_use]
    pub fn jid(&self) -> &str {
        &self.identity.1
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.handle.shared.look(|machine| machine.connection.id())
    }

    /// Acks a message; see [`ServerConnection::ack`].
    ///
    /// # Errors
    /// A token of another connection comes back; on an ended stream nothing can be answered.
    pub fn ack(
        &self,
        token: AnswerToken,
        canonical: Option<&RegistrationToken>,
    ) -> Result<(), AnswerError> {
        self.handle
            .shared
            .act(|machine| machine.connection.ack(token, canonical))
    }

    /// Acks a message twice, as a fault would; see [`ServerConnection::ack_twice`].
    ///
    /// # Errors
    /// As for [`ack`](Self::ack).
    pub fn ack_twice(&self, token: AnswerToken) -> Result<(), AnswerError> {
        self.handle
            .shared
            .act(|machine| machine.connection.ack_twice(token))
    }

    /// Refuses a message; see [`ServerConnection::nack`].
    ///
    /// # Errors
    /// As for [`ack`](Self::ack).
    pub fn nack(
        &self,
        token: AnswerToken,
        code: &NackCode,
        description: &str,
    ) -> Result<(), AnswerError> {
        self.handle
            .shared
            .act(|machine| machine.connection.nack(token, code, description))
    }

    /// Sends what a device sent, when the window has a place, in the order of asking. That the app server acked it comes as
    /// [`ServerEvent::Acked`]. Woken by a free place and by the end of the connection. Dropping the future before it is
    /// ready means that the message is not sent.
    ///
    /// # Errors
    /// The message comes back when the connection takes none any more.
    pub async fn send(&self, message: Upstream) -> Result<(), NotSent<Upstream>> {
        let mut waiting = Waiting {
            handle: &self.handle,
            ticket: None,
        };
        let mut message = Some(message);
        poll_fn(|cx| {
            let ticket = &mut waiting.ticket;
            self.handle.shared.attempt(|machine| {
                let held = *ticket.get_or_insert_with(|| machine.waiters.join());
                let open = !machine.connection.is_closed() && machine.connection.is_open();
                if open && !(machine.waiters.is_first(held) && machine.connection.capacity() > 0) {
                    machine.waiters.wait(held, cx.waker());
                    return (Poll::Pending, false);
                }
                machine.waiters.leave(held);
                *ticket = None;
                let sent = match message.take() {
                    Some(message) => machine.connection.send(message),
                    None => Ok(()),
                };
                (Poll::Ready(sent), true)
            })
        })
        .await
    }

    /// Sends what a device sent, if the window has a place now and nobody waits for one.
    ///
    /// # Errors
    /// As for [`ServerConnection::send`].
    pub fn try_send(&self, message: Upstream) -> Result<(), NotSent<Upstream>> {
        self.handle.shared.attempt(|machine| {
            if machine.connection.is_open() && !machine.waiters.is_empty() {
                return (Err(NotSent::WindowFull(Box::new(message))), false);
            }
            let sent = machine.connection.send(message);
            let acted = sent.is_ok();
            (sent, acted)
        })
    }

    /// Sends a receipt; see [`ServerConnection::send_receipt`].
    ///
    /// # Errors
    /// As there.
    pub fn send_receipt(&self, receipt: Receipt) -> Result<(), NotSent<Receipt>> {
        self.handle
            .shared
            .act(|machine| machine.connection.send_receipt(receipt))
    }

    /// Drains the connection; see [`ServerConnection::drain`].
    pub fn drain(&self) {
        self.handle.ask(Ask::Drain);
    }

    /// Ends the stream with a stream error; see [`ServerConnection::end_with`].
    pub fn end_with(&self, condition: StreamCondition, text: impl Into<String>) {
        self.handle.ask(Ask::End(condition, text.into()));
    }

    /// Ends the stream in order, at once.
    pub fn close(&self) {
        self.handle.ask(Ask::Close);
    }

    /// Cuts the transport without a word, as a fault would.
    pub fn cut(&self) {
        self.handle.ask(Ask::Cut);
    }

    /// Writes a message that is in flight here once more; see [`ServerConnection::send_again`].
    pub fn send_again(&self, from: &RegistrationToken, message_id: &MessageId) -> bool {
        let send = |machine: &mut ServerMachine| machine.connection.send_again(from, message_id);
        self.handle.shared.attempt(|machine| {
            let sent = send(machine);
            (sent, sent)
        })
    }

    /// Sets the windows of this connection anew; see [`ServerConnection::set_windows`].
    pub fn set_windows(&self, window: usize, upstream_window: usize) {
        self.handle.shared.act(|machine| {
            machine.connection.set_windows(window, upstream_window);
        });
    }

    /// Acked messages of which the app server may not know it, once the connection is over; see
    /// [`ServerConnection::take_unconfirmed`].
    #[must_use]
    pub fn take_unconfirmed(&self) -> Vec<Unconfirmed> {
        self.handle
            .shared
            .look(|machine| machine.connection.take_unconfirmed())
    }

    /// Receipts that were never sent, once the connection is over; see
    /// [`ServerConnection::take_unsent_receipts`].
    #[must_use]
    pub fn take_unsent_receipts(&self) -> Vec<Receipt> {
        self.handle
            .shared
            .look(|machine| machine.connection.take_unsent_receipts())
    }

    /// What was sent or accepted on this connection and never acked, once it is over, in order: send it on another.
    #[must_use]
    pub fn take_unacked(&self) -> Vec<Upstream> {
        self.handle
            .shared
            .look(|machine| machine.connection.take_unacked())
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer").field(&self.identity.1).finish()
    }
}

/// The events of one connection. The stream ends after [`ServerEvent::Closed`].
///
/// Dropping it means that nobody takes messages any more: they are not answered, and the app server sends them again on
/// another connection.
pub struct PeerEvents {
    handle: Arc<Handle>,
    ended: bool,
}

impl PeerEvents {
    /// The next event, or `None` after the last. Woken by an event; one task at a time is. Nothing is lost when the future
    /// is dropped. Taking events is what lets the connection read on once
    /// [`inbox_messages`](crate::ServerConfig::inbox_messages) of them wait.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<ServerEvent>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Taking an event may be what lets the driver read on.
        let event = self.handle.shared.attempt(|machine| {
            let event = machine.connection.poll_event();
            let taken = event.is_some();
            if !taken {
                remember(&mut machine.events, cx.waker());
            }
            (event, taken)
        });
        match event {
            Some(event) => {
                self.ended = matches!(event, ServerEvent::Closed(_));
                Poll::Ready(Some(event))
            }
            None => Poll::Pending,
        }
    }
}

impl PeerEvents {
    pub(super) fn answer(&self, request: AuthRequest, verdict: LoginVerdict) {
        self.handle.ask(Ask::Login(request, verdict));
    }
}

impl Drop for PeerEvents {
    fn drop(&mut self) {
        self.handle
            .shared
            .act(|machine| machine.events_dropped = true);
    }
}

impl fmt::Debug for PeerEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerEvents").finish_non_exhaustive()
    }
}

impl Stream for PeerEvents {
    type Item = ServerEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ServerEvent>> {
        self.get_mut().poll_event(cx)
    }
}

/// A place in the line, given up with the future that holds it.
struct Waiting<'a> {
    handle: &'a Handle,
    ticket: Option<Ticket>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.handle
                .shared
                .attempt(|machine| (machine.waiters.leave(ticket), false));
        }
    }
}

struct Handle {
    shared: Arc<Shared<ServerMachine>>,
}

impl Handle {
    fn ask(&self, ask: Ask) {
        self.shared.act(|machine| machine.asked.push_back(ask));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.ask(Ask::Close);
    }
}
