//! The app server's handle: sending within the window.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::alarm::Alarm;
use super::answer::{Answer, SendError, Slot};
use super::broadcast::Broadcast;
use super::client_machine::ClientMachine;
use super::incoming::Incoming;
use super::run::Driver;
use super::shared::{Machine, Shared};
use super::waiters::{Ticket, Waiters};
use super::{Timer, Transport};
use crate::client::{Blocked, ClientConnection, Place};
use crate::error::ConnectionError;
use crate::message::{Ack, Downstream, RegistrationToken};

/// Puts a connection, a transport and a timer together.
///
/// `id_prefix` starts the ids of messages that have none; take it from a random source, so that two runs do not use the
/// same ids (`docs/protocol.md` §12 #46).
pub fn client<T: Transport, R: Timer>(
    connection: ClientConnection,
    transport: T,
    timer: R,
    id_prefix: impl Into<String>,
) -> (Client, Incoming, Driver<T, R, ClientMachine>) {
    client_with(connection, transport, Alarm::new(timer), id_prefix.into())
}

/// The same with an alarm that is in use already.
pub(super) fn client_with<T: Transport, R: Timer>(
    connection: ClientConnection,
    transport: T,
    alarm: Alarm<R>,
    id_prefix: String,
) -> (Client, Incoming, Driver<T, R, ClientMachine>) {
    let shared = Shared::new(ClientMachine::new(connection, id_prefix));
    let handle = Arc::new(Handle {
        shared: Arc::clone(&shared),
    });
    let client = Client {
        handle: Arc::clone(&handle),
    };
    (
        client,
        Incoming::new(handle),
        Driver::new(shared, transport, alarm),
    )
}

/// Sends messages over one connection. Cheap to clone; the stream ends in order when every handle is dropped.
#[derive(Clone)]
pub struct Client {
    pub(super) handle: Arc<Handle>,
}

impl Client {
    /// Waits until the login is done; at once if it is. Woken by the login and by the end of the connection; dropping the
    /// future changes nothing.
    ///
    /// # Errors
    /// Why the connection ended before.
    pub async fn bound(&self) -> Result<(), ConnectionError> {
        let look = |machine: &ClientMachine| {
            if machine.connection.is_bound() {
                return Some(Ok(()));
            }
            let end = machine.end()?;
            Some(end.and(Err(ConnectionError::UnexpectedEof)))
        };
        self.watch(|machine| &mut machine.watching_login, look)
            .await
    }

    /// Sends a message: waits for a place in the window, in the order of asking, then for the answer. Woken by either, and by
    /// the end of the connection; the answer comes within [`answer_timeout`](crate::ClientConfig::answer_timeout) or the
    /// connection ends.
    ///
    /// Dropping the future before the message's bytes were handed over means that it is not sent; afterwards its
    /// outcome comes as [`Event::Answered`](super::Event::Answered).
    ///
    /// # Errors
    /// What was wrong with the message, what the endpoint had against it, or that its outcome is unknown; see
    /// [`SendError`].
    pub async fn send(&self, message: Downstream) -> Result<Ack, SendError> {
        let permit = match self.reserve().await {
            Ok(permit) => permit,
            Err(why) => return Err(SendError::not_sent(message, why)),
        };
        permit.send(message)?.await
    }

    /// Sends a message if there is a place in the window now and nobody waits for one; the answer is waited for apart.
    ///
    /// # Errors
    /// As for [`send`](Self::send); with [`Blocked::WindowFull`] the message comes back.
    pub fn try_send(&self, message: Downstream) -> Result<Answer, SendError> {
        // The driver hears of it with the message.
        let place = self.handle.shared.look(|machine| {
            if machine.waiters.is_empty() {
                machine.take_place()
            } else {
                Err(Blocked::WindowFull)
            }
        });
        match place {
            Ok(place) => OwnedPermit::new(Arc::clone(&self.handle), place).send(message),
            Err(why) => Err(SendError::not_sent(message, why)),
        }
    }

    /// Waits for a place in the window, in the order of asking. The permit is good for one message; dropping it gives
    /// the place to the next in line. Woken when its turn has come and a place is free, and with [`Blocked`] when there
    /// will be none: the connection drains or ends. Dropping the future gives up its place in the line.
    pub fn reserve(&self) -> Reserve {
        Reserve {
            handle: Arc::clone(&self.handle),
            ticket: None,
        }
    }

    /// Sends one message to many devices, the window full at all times, and yields each one's outcome as it comes.
    /// What `message` itself is addressed to does not matter, nor does an id that it has: each copy gets its own.
    pub fn broadcast<I>(&self, message: Downstream, tokens: I) -> Broadcast<I::IntoIter>
    where
        I: IntoIterator<Item = RegistrationToken>,
    {
        Broadcast::new(Arc::clone(&self.handle), message, tokens.into_iter())
    }

    /// Messages that could be sent now without waiting: 0 to [`window`](crate::ClientConfig::window).
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.handle
            .shared
            .look(|machine| machine.connection.capacity())
    }

    /// Ends the connection in order and waits until it is over: nothing new is taken, what was accepted is sent and its
    /// answers are waited for, then the stream ends. Acks may be given until then. It takes at most
    /// [`settle_timeout`](crate::ClientConfig::settle_timeout) and
    /// [`close_timeout`](crate::ClientConfig::close_timeout). Woken by the end. Dropping the future does not take the close
    /// back once it was polled.
    ///
    /// # Errors
    /// Why the connection did not end in order.
    pub async fn close(&self) -> Result<(), ConnectionError> {
        self.handle
            .shared
            .act(|machine| machine.close_wanted = true);
        self.closed().await
    }

    /// Waits until the connection is over, whoever ends it; at once if it is. Woken by the end; dropping the future
    /// changes nothing.
    ///
    /// # Errors
    /// Why the connection did not end in order.
    pub async fn closed(&self) -> Result<(), ConnectionError> {
        self.watch(|machine| &mut machine.watching_end, Machine::end)
            .await
    }

    /// Waits in `line` until `look` finds something; leaves nothing behind when it is dropped.
    async fn watch<R>(&self, line: Line, look: impl Fn(&ClientMachine) -> Option<R>) -> R {
        let mut watch = Watch {
            handle: &self.handle,
            line,
            ticket: None,
        };
        poll_fn(|cx| {
            let ticket = &mut watch.ticket;
            self.handle.shared.look(|machine| match look(machine) {
                Some(found) => Poll::Ready(found),
                None => {
                    let line = line(machine);
                    let held = *ticket.get_or_insert_with(|| line.join());
                    line.wait(held, cx.waker());
                    Poll::Pending
                }
            })
        })
        .await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connection = self
            .handle
            .shared
            .look(|machine| format!("{:?}", machine.connection));
        write!(f, "Client({connection})")
    }
}

type Line = fn(&mut ClientMachine) -> &mut Waiters;

/// A task that waits for the login or the end, forgotten with the future that holds it.
struct Watch<'a> {
    handle: &'a Handle,
    line: Line,
    ticket: Option<Ticket>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.handle
                .shared
                .look(|machine| (self.line)(machine).leave(ticket));
        }
    }
}

/// A future for a place in the window; see [`Client::reserve`].
#[must_use = "futures do nothing unless polled"]
pub struct Reserve {
    handle: Arc<Handle>,
    ticket: Option<Ticket>,
}

impl Future for Reserve {
    type Output = Result<OwnedPermit, Blocked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let shared = Arc::clone(&this.handle.shared);
        let place = shared.look(|machine| machine.poll_place(&mut this.ticket, cx));
        place.map_ok(|place| OwnedPermit::new(Arc::clone(&this.handle), place))
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // Who is next is woken if a place is free; the driver has nothing to do with it.
            self.handle
                .shared
                .attempt(|machine| (machine.waiters.leave(ticket), false));
        }
    }
}

/// A place in the window, held by an application. Dropping it gives the place back.
#[must_use = "a permit that is dropped gives its place back"]
pub struct OwnedPermit {
    handle: Arc<Handle>,
    place: Option<Place>,
}

impl OwnedPermit {
    pub(super) fn new(handle: Arc<Handle>, place: Place) -> Self {
        Self {
            handle,
            place: Some(place),
        }
    }

    /// Accepts a message; the answer is waited for apart. A message without an id gets one.
    ///
    /// # Errors
    /// What was wrong with the message, or that one with its id is under way.
    pub fn send(mut self, message: Downstream) -> Result<Answer, SendError> {
        let handle = Arc::clone(&self.handle);
        let place = self.place.take();
        let (id, send) = handle.shared.act(|machine| {
            let slot = Slot::waiting();
            machine.accept(place, message, slot)
        })?;
        Ok(Answer::new(handle, id, send))
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.handle.shared.act(|machine| machine.give_back(place));
        }
    }
}

/// What every handle of one connection holds; when the last is gone, the connection is closed.
pub(crate) struct Handle {
    pub(super) shared: Arc<Shared<ClientMachine>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.act(|machine| machine.close_wanted = true);
    }
}
