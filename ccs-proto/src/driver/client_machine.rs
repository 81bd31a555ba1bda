//! The app server's connection with everybody who waits for something of it: answers, places, events, the end.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::answer::{SendError, Slot};
use super::broadcast::Group;
use super::shared::{Machine, Waking, remember};
use super::waiters::{Ticket, Waiters};
use crate::client::{Blocked, ClientConnection, ClientEvent, NotAccepted, Outcome, Place};
use crate::error::ConnectionError;
use crate::message::{Ack, Downstream, EncodedDownstream, MessageId};
use crate::time::Time;

/// The connection and those who wait for it.
#[derive(Debug)]
pub struct ClientMachine {
    pub(super) connection: ClientConnection,
    id_prefix: String,
    next_id: u64,
    pub(super) waiters: Waiters,
    /// Who waits for which answer, or has one that he has not taken yet. Ids come again once they are answered, so each
    /// send has a number of its own.
    pub(super) slots: BTreeMap<u64, Slot>,
    /// The send that each id under way belongs to.
    pub(super) under_way: BTreeMap<MessageId, u64>,
    next_send: u64,
    pub(super) groups: BTreeMap<u64, Group>,
    /// Messages without an answer that nobody waits for any more, once the connection drains or is over. Answers that
    /// nobody waits for are events of the connection like any other.
    pub(super) unclaimed: VecDeque<(MessageId, Result<Ack, SendError>)>,
    pub(super) incoming: Option<Waker>,
    /// Nobody takes events: they are dropped, which is not acking.
    pub(super) incoming_dropped: bool,
    pub(super) watching_login: Waiters,
    pub(super) watching_end: Waiters,
    pub(super) close_wanted: bool,
    /// To be woken once the lock is free.
    woken: Vec<Waker>,
}

impl ClientMachine {
    pub(super) fn new(connection: ClientConnection, id_prefix: String) -> Self {
        Self {
            connection,
            id_prefix,
            next_id: 0,
            waiters: Waiters::default(),
            slots: BTreeMap::new(),
            under_way: BTreeMap::new(),
            next_send: 0,
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

    pub(super) fn take_place(&mut self) -> Result<Place, Blocked> {
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
    ) -> Result<(MessageId, u64), SendError> {
        let Some(place) = place else {
            return Err(SendError::not_sent(message, Blocked::Closed));
        };
        let encoded = match message.message_id().cloned() {
            Some(id) => message.encode(id),
            None => message.encode(self.fresh_id()),
        };
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(invalid) => {
                self.give_back(place);
                return Err(SendError::Invalid(invalid));
            }
        };
        let id = encoded.id().clone();
        let Ok(permit) = self.connection.resume(place) else {
            let message = encoded.message().clone();
            return Err(SendError::not_sent(message, Blocked::Closed));
        };
        permit.send(encoded).map_err(|refused| match refused {
            NotAccepted::Duplicate(_) => SendError::Duplicate(id.clone()),
            NotAccepted::Blocked(message, why) => {
                SendError::not_sent(message.message().clone(), why)
            }
        })?;
        let send = self.next_send;
        self.next_send = self.next_send.wrapping_add(1);
        self.slots.insert(send, slot);
        self.under_way.insert(id.clone(), send);
        Ok((id, send))
    }

    pub(super) fn wait_for_events(&mut self, waker: &Waker) {
        remember(&mut self.incoming, waker);
    }

    fn fresh_id(&mut self) -> MessageId {
        self.next_id = self.next_id.wrapping_add(1);
        MessageId::from(format!("{}-{}", self.id_prefix, self.next_id))
    }

    /// Gives an outcome to whoever waits for it.
    fn settle(&mut self, id: MessageId, outcome: Result<Ack, SendError>) {
        let send = self.under_way.remove(&id);
        match send.and_then(|send| self.slots.get_mut(&send)) {
            Some(Slot::One { waker, result }) => {
                *result = Some(outcome);
                self.woken.extend(waker.take());
            }
            Some(Slot::Group(group)) => {
                let group = *group;
                if let Some(send) = send {
                    self.slots.remove(&send);
                }
                match self.groups.get_mut(&group) {
                    Some(group) => group.settled(id, outcome, &mut self.woken),
                    None => self.let_go(id, outcome),
                }
            }
            None => self.let_go(id, outcome),
        }
    }

    /// Nobody waits for this outcome: it becomes an event, under the bounds of all events.
    pub(super) fn let_go(&mut self, id: MessageId, outcome: Result<Ack, SendError>) {
        let outcome = match outcome {
            Ok(ack) => Outcome::Accepted(ack),
            Err(SendError::Refused(nack)) => Outcome::Refused(*nack),
            Err(SendError::Rejected(error)) => Outcome::Rejected(*error),
            Err(lost) => return self.unclaimed.push_back((id, Err(lost))),
        };
        self.connection.return_answer(id, outcome);
    }

    /// Takes back a message of this send that was not handed out yet.
    pub(super) fn cancel(&mut self, id: &MessageId, send: u64) {
        if self.under_way.get(id) == Some(&send) && self.connection.cancel(id).is_some() {
            self.under_way.remove(id);
        }
    }

    /// Hands on what was answered, given up or lost.
    fn settle_all(&mut self) {
        while let Some(ClientEvent::Answered {
            message_id,
            outcome,
        }) = self.connection.poll_answer()
        {
            self.settle(message_id, SendError::result(outcome));
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
        self.connection.wants_input()
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

    fn is_secret(&self) -> bool {
        !self.connection.is_bound()
    }

    fn has_events(&self) -> bool {
        self.connection.has_events()
    }

    fn end(&self) -> Option<Result<(), ConnectionError>> {
        self.connection.end()
    }
}

impl Waking for ClientMachine {
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
