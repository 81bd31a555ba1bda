//! The app server's handle: sending within the window.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::answer::{Answer, SendError, Slot};
use super::broadcast::{Broadcast, Group};
use super::incoming::Incoming;
use super::run::Driver;
use super::shared::{Machine, Shared, remember};
use super::waiters::{Ticket, Waiters};
use super::{Timer, Transport};
use crate::client::{Blocked, ClientConnection, ClientEvent, DuplicateId, Outcome, Place};
use crate::error::ConnectionError;
use crate::message::{Ack, Downstream, EncodedDownstream, MessageId, RegistrationToken};
use crate::time::Time;

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
    let shared = Shared::new(ClientMachine::new(connection, id_prefix.into()));
    let handle = Arc::new(Handle {
        shared: Arc::clone(&shared),
    });
    let client = Client {
        handle: Arc::clone(&handle),
    };
    (
        client,
        Incoming::new(handle),
        Driver::new(shared, transport, timer),
    )
}

/// Sends messages over one connection. Cheap to clone; the stream ends in order when every handle is dropped.
#[derive(Clone)]
pub struct Client {
    pub(super) handle: Arc<Handle>,
}

impl Client {
    /// Waits until the login is done.
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

    /// Sends a message: waits for a place in the window, then for the answer.
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
        let place = self.handle.shared.act(|machine| {
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
    /// the place to the next in line.
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

    /// Messages that could be sent now without waiting.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.handle
            .shared
            .look(|machine| machine.connection.capacity())
    }

    /// Ends the connection in order and waits until it is over: nothing new is taken, what was accepted is sent and its
    /// answers are waited for, then the stream ends. Acks may be given until then.
    ///
    /// # Errors
    /// Why the connection did not end in order.
    pub async fn close(&self) -> Result<(), ConnectionError> {
        self.handle
            .shared
            .act(|machine| machine.close_wanted = true);
        self.closed().await
    }

    /// Waits until the connection is over, whoever ends it.
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
            self.handle
                .shared
                .act(|machine| machine.waiters.leave(ticket));
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
        let id = handle.shared.act(|machine| {
            let slot = Slot::waiting();
            machine.accept(place, message, slot)
        })?;
        Ok(Answer::new(handle, id))
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

/// The connection and those who wait for it.
#[derive(Debug)]
pub struct ClientMachine {
    pub(super) connection: ClientConnection,
    id_prefix: String,
    next_id: u64,
    waiters: Waiters,
    /// Who waits for which answer.
    pub(super) slots: BTreeMap<MessageId, Slot>,
    pub(super) groups: BTreeMap<u64, Group>,
    /// Outcomes that nobody waits for any more.
    pub(super) unclaimed: VecDeque<(MessageId, Result<Ack, SendError>)>,
    pub(super) incoming: Option<Waker>,
    /// Nobody takes events: they are dropped, which is not acking.
    pub(super) incoming_dropped: bool,
    watching_login: Waiters,
    watching_end: Waiters,
    close_wanted: bool,
    /// To be woken once the lock is free.
    woken: Vec<Waker>,
}

/// Outcomes without a taker at which reading stops.
const UNCLAIMED: usize = 1_000;

impl ClientMachine {
    fn new(connection: ClientConnection, id_prefix: String) -> Self {
        Self {
            connection,
            id_prefix,
            next_id: 0,
            waiters: Waiters::default(),
            slots: BTreeMap::new(),
            groups: BTreeMap::new(),
            unclaimed: VecDeque::new(),
            incoming: None,
            incoming_dropped: false,
            watching_login: Waiters::default(),
            watching_end: Waiters::default(),
            close_wanted: false,
            woken: Vec::new(),
        }
    }

    fn take_place(&mut self) -> Result<Place, Blocked> {
        if self.close_wanted {
            return Err(Blocked::Closed);
        }
        Ok(self.connection.reserve()?.keep())
    }

    /// A place for whoever holds the ticket, or a place in the line for him.
    pub(super) fn poll_place(
        &mut self,
        ticket: &mut Option<Ticket>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Place, Blocked>> {
        let held = *ticket.get_or_insert_with(|| self.waiters.join());
        self.waiters.rejoin(held);
        let place = if self.waiters.is_first(held) {
            self.take_place()
        } else {
            match self.connection.reserve() {
                Err(why @ (Blocked::Draining | Blocked::Closed)) => Err(why),
                _ => Err(Blocked::WindowFull),
            }
        };
        if matches!(place, Err(Blocked::WindowFull)) {
            self.waiters.wait(held, cx.waker());
            return Poll::Pending;
        }
        self.waiters.leave(held);
        *ticket = None;
        self.notify();
        Poll::Ready(place)
    }

    pub(super) fn leave_line(&mut self, ticket: Ticket) {
        self.waiters.leave(ticket);
    }

    pub(super) fn give_back(&mut self, place: Place) {
        // A place is only ever brought back to the connection that gave it.
        let _ = self.connection.resume(place);
    }

    /// Takes a message over into the connection's queue, with the slot that waits for its answer.
    pub(super) fn accept(
        &mut self,
        place: Option<Place>,
        message: Downstream,
        slot: Slot,
    ) -> Result<MessageId, SendError> {
        let Some(place) = place else {
            return Err(SendError::not_sent(message, Blocked::Closed));
        };
        let encoded = match message.message_id().cloned() {
            Some(id) => message.encode(&id),
            None => message.encode(&self.fresh_id()),
        };
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(invalid) => {
                self.give_back(place);
                return Err(SendError::Invalid(invalid));
            }
        };
        let id = encoded.id().clone();
        if self.connection.capacity() == 0 && self.connection.is_ending() {
            self.give_back(place);
            return Err(SendError::not_sent(message, Blocked::Closed));
        }
        match self.connection.resume(place) {
            Ok(permit) => permit
                .send(encoded)
                .map_err(|DuplicateId(_)| SendError::Duplicate(id.clone()))?,
            Err(_) => return Err(SendError::not_sent(message, Blocked::Closed)),
        }
        self.slots.insert(id.clone(), slot);
        Ok(id)
    }

    fn fresh_id(&mut self) -> MessageId {
        self.next_id = self.next_id.wrapping_add(1);
        MessageId::from(format!("{}-{}", self.id_prefix, self.next_id))
    }

    /// Gives an outcome to whoever waits for it.
    fn settle(&mut self, id: MessageId, outcome: Result<Ack, SendError>) {
        match self.slots.get_mut(&id) {
            Some(Slot::One { waker, result }) => {
                *result = Some(outcome);
                self.woken.extend(waker.take());
            }
            Some(Slot::Group(group)) => {
                let group = *group;
                self.slots.remove(&id);
                match self.groups.get_mut(&group) {
                    Some(group) => group.settled(id, outcome, &mut self.woken),
                    None => self.unclaimed.push_back((id, outcome)),
                }
            }
            None => self.unclaimed.push_back((id, outcome)),
        }
    }

    /// Hands on what was answered, given up or lost.
    fn settle_all(&mut self) {
        while let Some(ClientEvent::Answered {
            message_id,
            outcome,
        }) = self.connection.poll_answer()
        {
            let outcome = match outcome {
                Outcome::Accepted(ack) => Ok(ack),
                Outcome::Refused(nack) => Err(SendError::Refused(Box::new(nack))),
                Outcome::Rejected(error) => Err(SendError::Rejected(Box::new(error))),
            };
            self.settle(message_id, outcome);
        }
        let why = match self.end() {
            Some(_) => Blocked::Closed,
            None if self.connection.is_draining() => Blocked::Draining,
            None => return,
        };
        for unsent in self.connection.take_unsent() {
            let outcome = SendError::not_sent(unsent.message().clone(), why);
            self.settle(unsent.id().clone(), Err(outcome));
        }
        for unknown in self.connection.take_unanswered() {
            self.settle_unknown(unknown);
        }
    }

    fn settle_unknown(&mut self, message: EncodedDownstream) {
        let end = self.end().and_then(Result::err);
        let outcome = SendError::unknown(message.message().clone(), message.id().clone(), end);
        self.settle(message.id().clone(), Err(outcome));
    }
}

impl Machine for ClientMachine {
    fn tick(&mut self, now: Time) {
        if self.close_wanted {
            self.connection.close(now);
        }
        self.connection.handle_timeout(now);
    }

    fn wants_input(&self) -> bool {
        self.connection.wants_input() && self.unclaimed.len() < UNCLAIMED
    }

    // The error ends the connection and shows in `end`.
    fn receive(&mut self, now: Time, input: &[u8]) {
        let _ = self.connection.receive(now, input);
    }

    fn receive_eof(&mut self, now: Time) {
        let _ = self.connection.receive_eof(now);
    }

    fn transport_failed(&mut self, now: Time, what: String) {
        self.connection.transport_failed(now, what);
    }

    fn poll_transmit(&mut self, now: Time, out: &mut BytesMut) -> bool {
        self.connection.poll_transmit(now, out)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.connection.poll_timeout()
    }

    fn end(&self) -> Option<Result<(), ConnectionError>> {
        self.connection.end()
    }

    fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    fn notify(&mut self) {
        self.settle_all();
        let over = self.end().is_some();
        if over || self.connection.is_ending() || self.connection.is_draining() {
            self.waiters.wake_all(&mut self.woken);
        } else if self.connection.capacity() > 0 {
            self.waiters.wake_first(&mut self.woken);
        }
        if self.incoming_dropped {
            self.unclaimed.clear();
            while self.connection.poll_event().is_some() {}
        }
        if over || !self.unclaimed.is_empty() || self.connection.has_events() {
            self.woken.extend(self.incoming.take());
        }
        if over || self.connection.is_bound() {
            self.watching_login.wake_all(&mut self.woken);
        }
        if over {
            self.watching_end.wake_all(&mut self.woken);
        }
    }
}

impl ClientMachine {
    pub(super) fn wait_for_events(&mut self, waker: &Waker) {
        remember(&mut self.incoming, waker);
    }
}
