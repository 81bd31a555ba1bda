//! What comes from the endpoint, as a stream.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::answer::SendError;
use super::client::Handle;
use crate::client::{AckError, AckToken, ClientEvent, Ignored};
use crate::error::ConnectionError;
use crate::message::{Ack, MessageId, Receipt, Upstream};

/// Something that came from the endpoint.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A device sent a message. Handle it, then [`ack`](Message::ack) it.
    Upstream(Message<Upstream>),
    /// A device confirmed a message. Receipts are acked like messages.
    Receipt(Message<Receipt>),
    /// The outcome of a message for whose answer nobody waits any more.
    Answered {
        /// The message's id.
        message_id: MessageId,
        /// How it ended.
        result: Result<Ack, SendError>,
    },
    /// The endpoint will close this connection: send on another one, and go on receiving and acking here.
    Draining,
    /// The application has not acked a message for a long time.
    AckOverdue {
        /// The message's id.
        message_id: MessageId,
    },
    /// Something that changes nothing. Worth counting.
    Ignored(Ignored),
    /// The connection is over; nothing comes after it. An error says why it was not in order.
    Closed(Result<(), ConnectionError>),
}

/// A message or receipt with the right to ack it. Reads as what it carries.
#[derive(Debug)]
#[must_use = "a message that is dropped is not acked and comes again"]
pub struct Message<B = Upstream> {
    body: B,
    token: AckToken,
    handle: Keep,
}

impl<B> Message<B> {
    /// Acks the message, on the connection that it came by. Returns when the connection has taken the ack over; it goes
    /// out with the next write and never waits for the window.
    ///
    /// # Errors
    /// The connection has ended: the message is not acked and comes again.
    pub fn ack(self) -> Result<(), AckError> {
        let Self { token, handle, .. } = self;
        handle.0.shared.act(|machine| machine.connection.ack(token))
    }
}

impl<B> Deref for Message<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.body
    }
}

/// The stream of events of one connection. It ends after [`Event::Closed`].
///
/// Dropping it means that nobody takes messages any more: they are not acked and come again on another connection.
pub struct Incoming {
    handle: Arc<Handle>,
    ended: bool,
}

impl Incoming {
    pub(super) fn new(handle: Arc<Handle>) -> Self {
        Self {
            handle,
            ended: false,
        }
    }

    /// The next event, or `None` after the last. Woken by an event; one task at a time is. Nothing is lost when the future
    /// is dropped. Taking events is what lets the connection read on once
    /// [`inbox_messages`](crate::ClientConfig::inbox_messages) of them wait.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let handle = &self.handle;
        let event = handle.shared.attempt(|machine| {
            if let Some((message_id, result)) = machine.unclaimed.pop_front() {
                return (Some(Event::Answered { message_id, result }), true);
            }
            // Taking an event may be what lets the driver read on.
            let mut taken = false;
            while let Some(event) = machine.connection.poll_event() {
                taken = true;
                if let Some(event) = deliver(handle, event) {
                    return (Some(event), taken);
                }
            }
            machine.wait_for_events(cx.waker());
            (None, taken)
        });
        match event {
            Some(event) => {
                self.ended = matches!(event, Event::Closed(_));
                Poll::Ready(Some(event))
            }
            None => Poll::Pending,
        }
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").finish_non_exhaustive()
    }
}

impl Stream for Incoming {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().poll_event(cx)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.handle
            .shared
            .act(|machine| machine.incoming_dropped = true);
    }
}

fn deliver(handle: &Arc<Handle>, event: ClientEvent) -> Option<Event> {
    let keep = || Keep(Arc::clone(handle));
    Some(match event {
        ClientEvent::Upstream { message, token } => Event::Upstream(Message {
            body: message,
            token,
            handle: keep(),
        }),
        ClientEvent::Receipt { receipt, token } => Event::Receipt(Message {
            body: receipt,
            token,
            handle: keep(),
        }),
        ClientEvent::Draining => Event::Draining,
        ClientEvent::AckOverdue { message_id } => Event::AckOverdue { message_id },
        ClientEvent::Ignored(ignored) => Event::Ignored(ignored),
        ClientEvent::Closed(end) => Event::Closed(end),
        // Those who wait for an answer got it ahead; this one nobody waits for.
        ClientEvent::Answered {
            message_id,
            outcome,
        } => Event::Answered {
            message_id,
            result: SendError::result(outcome),
        },
        // Those who wait for it know by themselves.
        ClientEvent::Bound { .. } => return None,
    })
}

/// Keeps the connection open while a message is being handled.
struct Keep(Arc<Handle>);

impl std::fmt::Debug for Keep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}
