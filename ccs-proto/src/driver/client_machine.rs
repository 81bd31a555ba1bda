//! The app server's connection with everybody who waits for something of it: answers, places, events, the end.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::answer::{SendError, Slot};
use super::broadcast::Group;
use super::shared::{Machine, remember};
use super::waiters::{Ticket, Waiters};
use crate::client::{Blocked, ClientConnection, ClientEvent, DuplicateId, Outcome, Place};
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
    /// Who waits for which answer.
    pub(super) slots: BTreeMap<MessageId, Slot>,
    pub(super) groups: BTreeMap<u64, Group>,
    /// Outcomes that nobody waits for any more.
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

/// Outcomes without a taker at which reading stops.
const UNCLAIMED: usize = 1_000;

impl ClientMachine {
    pub(super) fn new(connection: ClientConnection, id_prefix: String) -> Self {
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

    pub(super) fn wait_for_events(&mut self, waker: &Waker) {
        remember(&mut self.incoming, waker);
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
