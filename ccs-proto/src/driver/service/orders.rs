//! Messages of which a task waits to hear something.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};

use super::super::shared::remember;
use super::error::ServiceError;
use crate::message::{Downstream, MessageId, RegistrationToken};
use crate::session::{Session, Settlement, SubmitError};
use crate::time::Time;

/// What the task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// That the session has the message.
    Accepted,
    /// What became of it.
    Settled,
}

/// A message that the endpoint took over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Its id.
    pub message_id: MessageId,
    /// The token to use from now on, where the one that was used is outdated.
    pub canonical: Option<RegistrationToken>,
}

#[derive(Debug)]
struct Order {
    goal: Goal,
    stage: Stage,
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Stage {
    /// In line for a place in the session.
    Wanted(Option<Downstream>),
    /// The session has it under this id.
    Under(MessageId),
    /// The session is done with it.
    Settled(Box<(MessageId, Settlement)>),
    Done(Box<Result<Sent, ServiceError>>),
}

/// What is left of a message for which nobody waits any more.
#[derive(Debug)]
pub(super) enum Abandoned {
    /// The session has it, and may be asked for it back.
    Under(MessageId),
    /// Its outcome is there, and nobody has heard it.
    Settled(MessageId, Settlement),
}

/// All of them, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct Orders {
    next: u64,
    orders: BTreeMap<u64, Order>,
    line: VecDeque<u64>,
    by_id: BTreeMap<MessageId, u64>,
    /// The session is over.
    over: bool,
    woken: Vec<Waker>,
}

impl Orders {
    pub(super) fn place(&mut self, goal: Goal, message: Downstream) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let stage = if self.over {
            let refused = ServiceError::ShuttingDown(Box::new(message));
            Stage::Done(Box::new(Err(refused)))
        } else {
            self.line.push_back(number);
            Stage::Wanted(Some(message))
        };
        let order = Order {
            goal,
            stage,
            waker: None,
        };
        self.orders.insert(number, order);
        number
    }

    pub(super) fn poll(
        &mut self,
        number: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sent, ServiceError>> {
        match self.orders.remove(&number) {
            Some(Order {
                stage: Stage::Done(result),
                ..
            }) => Poll::Ready(*result),
            Some(Order {
                stage: Stage::Settled(settled),
                ..
            }) => {
                let (id, outcome) = *settled;
                Poll::Ready(result(id, outcome))
            }
            Some(mut waiting) => {
                remember(&mut waiting.waker, cx.waker());
                self.orders.insert(number, waiting);
                Poll::Pending
            }
            // Whoever asks has placed it, and asks no more once he has heard.
            None => Poll::Pending,
        }
    }

    /// Nobody waits for it any more. Gives what there is to see to: nothing where the session does not have it, or was to
    /// keep it anyway.
    pub(super) fn abandon(&mut self, number: u64) -> Option<Abandoned> {
        let order = self.orders.remove(&number)?;
        self.line.retain(|other| *other != number);
        match order.stage {
            Stage::Under(id) => {
                self.by_id.remove(&id);
                (order.goal == Goal::Settled).then_some(Abandoned::Under(id))
            }
            Stage::Settled(settled) => Some(Abandoned::Settled(settled.0, settled.1)),
            Stage::Wanted(_) | Stage::Done(_) => None,
        }
    }

    /// Gives the session as many of those in line as it takes.
    pub(super) fn submit(&mut self, now: Time, session: &mut Session) {
        while let Some(number) = self.line.front().copied() {
            let Some(order) = self.orders.get_mut(&number) else {
                self.line.pop_front();
                continue;
            };
            let Stage::Wanted(message) = &mut order.stage else {
                self.line.pop_front();
                continue;
            };
            let Some(taken) = message.take() else {
                return;
            };
            // Its outcome may be there and not have been handed on.
            if taken
                .message_id()
                .is_some_and(|id| self.by_id.contains_key(id))
            {
                self.finish(number, done(Err(ServiceError::Duplicate(Box::new(taken)))));
                self.line.pop_front();
                continue;
            }
            let refused = match session.submit(now, taken) {
                Ok(id) => {
                    order.stage = Stage::Under(id.clone());
                    self.by_id.insert(id, number);
                    self.line.pop_front();
                    continue;
                }
                // It keeps its place in the line.
                Err(SubmitError::Full(back)) => {
                    *message = Some(*back);
                    return;
                }
                Err(SubmitError::Duplicate(back)) => ServiceError::Duplicate(back),
                Err(SubmitError::ShuttingDown(back)) => ServiceError::ShuttingDown(back),
                Err(SubmitError::Invalid(invalid)) => ServiceError::Invalid(invalid),
            };
            self.finish(number, done(Err(refused)));
            self.line.pop_front();
        }
    }

    /// The session has stored a message. `false` if nobody waits to hear that.
    pub(super) fn accepted(&mut self, id: &MessageId) -> bool {
        let Some(number) = self.by_id.get(id).copied() else {
            return false;
        };
        let goal = self.orders.get(&number).map(|order| order.goal);
        if goal == Some(Goal::Accepted) {
            self.by_id.remove(id);
            let sent = Sent {
                message_id: id.clone(),
                canonical: None,
            };
            self.finish(number, done(Ok(sent)));
        }
        true
    }

    pub(super) fn not_stored(&mut self, id: &MessageId, message: Downstream) -> bool {
        let Some(number) = self.by_id.remove(id) else {
            return false;
        };
        let error = ServiceError::NotStored(Box::new(message));
        self.finish(number, done(Err(error)));
        true
    }

    /// A message has its outcome, which comes back if nobody waits for it.
    pub(super) fn settled(
        &mut self,
        id: &MessageId,
        outcome: Settlement,
    ) -> Result<(), Settlement> {
        let Some(number) = self.by_id.remove(id) else {
            return Err(outcome);
        };
        self.finish(number, Stage::Settled(Box::new((id.clone(), outcome))));
        Ok(())
    }

    /// The session is over: those who wait hear of what is left. `unknown` says which messages the endpoint may have.
    pub(super) fn end(&mut self, unknown: impl Fn(&MessageId) -> bool) {
        self.over = true;
        self.line.clear();
        self.by_id.clear();
        for number in self.orders.keys().copied().collect::<Vec<_>>() {
            let error = match self.orders.get(&number).map(|order| &order.stage) {
                Some(Stage::Wanted(Some(message))) => {
                    ServiceError::ShuttingDown(Box::new(message.clone()))
                }
                Some(Stage::Under(id)) => ServiceError::Left {
                    unknown: unknown(id),
                    message_id: id.clone(),
                },
                _ => continue,
            };
            self.finish(number, done(Err(error)));
        }
    }

    fn finish(&mut self, number: u64, stage: Stage) {
        if let Some(order) = self.orders.get_mut(&number) {
            order.stage = stage;
            self.woken.extend(order.waker.take());
        }
    }

    pub(super) fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }
}

fn done(result: Result<Sent, ServiceError>) -> Stage {
    Stage::Done(Box::new(result))
}

/// An outcome as the sender hears it.
fn result(message_id: MessageId, outcome: Settlement) -> Result<Sent, ServiceError> {
    match outcome {
        Settlement::Acked { canonical } => Ok(Sent {
            message_id,
            canonical,
        }),
        Settlement::Refused(refused) => Err(ServiceError::Refused {
            message_id,
            refused,
        }),
        Settlement::Expired => Err(ServiceError::Expired(message_id)),
        Settlement::Dead(reason) => Err(ServiceError::Dead { message_id, reason }),
    }
}
