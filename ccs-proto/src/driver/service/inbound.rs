//! What comes from devices, and what an application should see, as a stream.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::Handle;
use super::machine::Ask;
use crate::session::{Delivery, DeliveryToken, Received, SessionEvent, Verdict};

/// One thing that came.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceEvent {
    /// A device sent something, or confirmed a message. Handle it, then say how that went.
    Delivery(Handling),
    /// Something to see, or to count.
    Session(SessionEvent),
}

/// A message or receipt to handle. Reads as what it carries.
///
/// It is acked when the handler said [`ack`](Self::ack), and not before. One that is dropped without a word is tried again,
/// as after [`retry`](Self::retry); one that is dropped while the service is being shut down stays un-acked and comes again
/// at the next start. Until one of a device is done with, no other of it comes.
#[must_use = "what is dropped is tried again"]
pub struct Handling {
    received: Received,
    attempt: u32,
    token: Option<DeliveryToken>,
    handle: Arc<Handle>,
}

impl Handling {
    pub(super) fn new(delivery: Delivery, handle: Arc<Handle>) -> Self {
        Self {
            received: delivery.received,
            attempt: delivery.attempt,
            token: Some(delivery.token),
            handle,
        }
    }

    /// Which try this is, from 1. Tries count on over reconnects.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// It is handled: acks it, on the connection by which it came last.
    pub fn ack(mut self) {
        self.say(Verdict::Ack);
    }

    /// It could not be handled now: it comes again after a while, some times.
    pub fn retry(mut self) {
        self.say(Verdict::Retry);
    }

    /// It can never be handled: keeps it as a dead letter, then acks it.
    pub fn dead(mut self) {
        self.say(Verdict::Dead);
    }

    fn say(&mut self, verdict: Verdict) {
        if let Some(token) = self.token.take() {
            self.handle.ask(Ask::Handled(token, verdict));
        }
    }
}

impl Deref for Handling {
    type Target = Received;

    fn deref(&self) -> &Received {
        &self.received
    }
}

impl fmt::Debug for Handling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handling")
            .field("received", &self.received)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.say(Verdict::Retry);
    }
}

/// What comes from devices, and what an application should see. The stream ends with the service.
///
/// Events that concern nobody in particular wait here, 10,000 of them at most
/// ([`events`](crate::session::SessionConfig::events)); then nothing goes on until they are taken. Dropping the stream
/// means that nobody takes them: events are dropped, and deliveries stay un-acked, unless handlers take them
/// ([`routes`](super::StartConfig::routes)).
pub struct Inbound {
    handle: Arc<Handle>,
}

impl Inbound {
    pub(super) fn new(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    /// The next one, or `None` after the last. Woken by an event, by a delivery and by the end of the service; one task at
    /// a time is. Nothing is lost when the future is dropped: a [`Handling`] that it did not give out yet is no try.
    pub async fn next(&mut self) -> Option<ServiceEvent> {
        poll_fn(|cx| self.poll(cx, true)).await
    }

    /// The next event, leaving what devices sent where it is: it is not acked, and comes again on another connection. For an
    /// app server that only sends. Woken by an event and by the end of the service. Nothing is lost when the future is
    /// dropped.
    pub async fn next_event(&mut self) -> Option<SessionEvent> {
        poll_fn(|cx| match self.poll(cx, false) {
            Poll::Ready(Some(ServiceEvent::Session(event))) => Poll::Ready(Some(event)),
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>, deliveries: bool) -> Poll<Option<ServiceEvent>> {
        let handle = &self.handle;
        handle.shared.attempt(|machine| {
            if let Some(event) = machine.events.pop() {
                return (Poll::Ready(Some(ServiceEvent::Session(event))), true);
            }
            if machine.finished.is_some() {
                return (Poll::Ready(None), false);
            }
            if deliveries
                && !machine.routed
                && let Some(delivery) = machine.session.poll_delivery()
            {
                let handling = Handling::new(delivery, Arc::clone(handle));
                return (Poll::Ready(Some(ServiceEvent::Delivery(handling))), true);
            }
            machine.wait_for_events(cx.waker(), deliveries);
            (Poll::Pending, false)
        })
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").finish_non_exhaustive()
    }
}

impl Stream for Inbound {
    type Item = ServiceEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ServiceEvent>> {
        self.get_mut().poll(cx, true)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.handle
            .shared
            .act(|machine| machine.inbound_dropped = true);
    }
}
