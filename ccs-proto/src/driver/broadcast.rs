//! One message to many devices.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;

use super::answer::{SendError, Slot};
use super::client::Handle;
use super::client_machine::ClientMachine;
use super::shared::remember;
use super::waiters::Ticket;
use crate::message::{Ack, Downstream, MessageId, RegistrationToken, Target};

type Outcome = (RegistrationToken, Result<Ack, SendError>);

/// The outcomes of a broadcast as they come, one for each token; see [`Client::broadcast`](super::Client::broadcast).
///
/// Messages go out as the stream is polled, so a slow taker slows the broadcast. Dropping it takes back what was not sent
/// yet; other outcomes come as [`Event::Answered`](super::Event::Answered).
#[must_use = "nothing is sent unless the stream is polled"]
pub struct Broadcast<I: Iterator> {
    handle: Arc<Handle>,
    message: Downstream,
    tokens: std::iter::Fuse<I>,
    upcoming: Option<RegistrationToken>,
    group: u64,
    ticket: Option<Ticket>,
    sent: BTreeMap<MessageId, (u64, RegistrationToken)>,
}

impl<I: Iterator<Item = RegistrationToken>> Broadcast<I> {
    pub(super) fn new(handle: Arc<Handle>, message: Downstream, tokens: I) -> Self {
        let group = handle.shared.look(|machine| machine.open_group());
        Self {
            handle,
            message: message.without_id(),
            tokens: tokens.fuse(),
            upcoming: None,
            group,
            ticket: None,
            sent: BTreeMap::new(),
        }
    }

    /// The next outcome, or `None` when every token has had one. Woken by an outcome, and by a place in the window for the
    /// next message. Nothing is lost when the future is dropped; the broadcast rests until the next is polled, and others
    /// may send meanwhile. Polled as a stream it keeps its turn until it is polled again, so a task that stops polling it and
    /// sends otherwise should take this.
    pub async fn next(&mut self) -> Option<Outcome> {
        let resting = Resting(self);
        poll_fn(|cx| resting.0.poll_outcome(cx)).await
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let handle = Arc::clone(&self.handle);
        loop {
            // Outside the lock: it is the application that says which tokens there are.
            if self.upcoming.is_none() {
                self.upcoming = self.tokens.next();
            }
            let turn = handle.shared.attempt(|machine| {
                let turn = self.turn(machine, cx);
                // Until it is polled again it takes no place, so it must not stand in the way of those who do.
                if let (Poll::Ready(_), Some(ticket)) = (&turn, self.ticket) {
                    machine.leave_line(ticket);
                }
                let acted = turn.is_ready();
                (turn, acted)
            });
            if let ControlFlow::Break(outcome) = ready!(turn) {
                return Poll::Ready(outcome);
            }
        }
    }

    /// An outcome, or one message more accepted.
    fn turn(
        &mut self,
        machine: &mut ClientMachine,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<Option<Outcome>>> {
        if let Some((id, result)) = machine.take_settled(self.group, cx.waker())
            && let Some((_, token)) = self.sent.remove(&id)
        {
            return Poll::Ready(ControlFlow::Break(Some((token, result))));
        }
        let Some(token) = self.upcoming.take() else {
            return match self.sent.is_empty() {
                true => Poll::Ready(ControlFlow::Break(None)),
                false => Poll::Pending,
            };
        };
        let Poll::Ready(place) = machine.poll_place(&mut self.ticket, cx) else {
            self.upcoming = Some(token);
            return Poll::Pending;
        };
        let message = self.message.clone().retarget(Target::Token(token.clone()));
        let accepted = match place {
            Ok(place) => machine.accept(Some(place), message, Slot::Group(self.group)),
            Err(why) => Err(SendError::not_sent(message, why)),
        };
        Poll::Ready(match accepted {
            Ok((id, send)) => {
                self.sent.insert(id, (send, token));
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(Some((token, Err(error)))),
        })
    }
}

/// A broadcast whose future was dropped takes no place until it is polled again, so it must not stand in the way of those
/// who would.
struct Resting<'a, I: Iterator>(&'a mut Broadcast<I>);

impl<I: Iterator> Drop for Resting<'_, I> {
    fn drop(&mut self) {
        if let Some(ticket) = self.0.ticket {
            self.0
                .handle
                .shared
                .attempt(|machine| (machine.leave_line(ticket), false));
        }
    }
}

impl<I: Iterator<Item = RegistrationToken> + Unpin> Stream for Broadcast<I> {
    type Item = Outcome;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        self.get_mut().poll_outcome(cx)
    }
}

impl<I: Iterator> Drop for Broadcast<I> {
    fn drop(&mut self) {
        self.handle.shared.act(|machine| {
            if let Some(ticket) = self.ticket.take() {
                machine.leave_line(ticket);
            }
            for (id, (send, _)) in &self.sent {
                machine.cancel(id, *send);
            }
            machine.close_group(self.group);
        });
    }
}

/// The outcomes of one broadcast that were not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Group {
    settled: VecDeque<(MessageId, Result<Ack, SendError>)>,
    waker: Option<Waker>,
}

impl Group {
    pub(super) fn settled(
        &mut self,
        id: MessageId,
        result: Result<Ack, SendError>,
        woken: &mut Vec<Waker>,
    ) {
        self.settled.push_back((id, result));
        woken.extend(self.waker.take());
    }
}

impl ClientMachine {
    fn open_group(&mut self) -> u64 {
        let group = self
            .groups
            .last_key_value()
            .map_or(0, |(last, _)| last.wrapping_add(1));
        self.groups.insert(group, Group::default());
        group
    }

    fn take_settled(
        &mut self,
        group: u64,
        waker: &Waker,
    ) -> Option<(MessageId, Result<Ack, SendError>)> {
        let group = self.groups.get_mut(&group)?;
        let settled = group.settled.pop_front();
        if settled.is_none() {
            remember(&mut group.waker, waker);
        }
        settled
    }

    fn close_group(&mut self, group: u64) {
        if let Some(group) = self.groups.remove(&group) {
            for (id, outcome) in group.settled {
                self.let_go(id, outcome);
            }
        }
        self.slots
            .retain(|_, slot| !matches!(slot, Slot::Group(of) if *of == group));
    }
}
