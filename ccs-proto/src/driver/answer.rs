//! Waiting for the answer to one message.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use thiserror::Error;

use super::client::Handle;
use super::shared::remember;
use crate::client::{Blocked, Outcome};
use crate::error::ConnectionError;
use crate::message::{Ack, Downstream, InvalidMessage, MessageId, Nack, Retry, StanzaError};

/// Why a message was not accepted by the endpoint, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The message breaks a rule of the protocol; it was not sent.
    #[error(transparent)]
    Invalid(InvalidMessage),
    /// A message with this id is under way on this connection; it was not sent.
    #[error("message {0} is under way already; give each message its own id")]
    Duplicate(MessageId),
    /// The message was not sent, for sure. Here it is back.
    #[error("the message was not sent: {why}")]
    NotSent {
        /// The message.
        message: Box<Downstream>,
        /// What was in the way.
        why: Blocked,
    },
    /// The endpoint refused the message; `code.retry()` says what to do.
    #[error("{0}")]
    Refused(Box<Nack>),
    /// The endpoint could not read the message.
    #[error("{0}")]
    Rejected(Box<StanzaError>),
    /// The message was sent and the connection ended before its answer: the endpoint may have it or not. Send it again on
    /// a new connection, with the same id.
    #[error("the outcome of message {message_id} is unknown, since the connection ended ({}); send it again with the same id", reason(.error))]
    Unknown {
        /// The message's id.
        message_id: MessageId,
        /// The message, with its id.
        message: Box<Downstream>,
        /// Why the connection ended, if not in order.
        error: Option<Box<ConnectionError>>,
    },
}

impl SendError {
    pub(super) fn not_sent(message: Downstream, why: Blocked) -> Self {
        Self::NotSent {
            message: Box::new(message),
            why,
        }
    }

    pub(super) fn unknown(
        message: Downstream,
        message_id: MessageId,
        error: Option<ConnectionError>,
    ) -> Self {
        Self::Unknown {
            message: Box::new(message.id(message_id.clone())),
            message_id,
            error: error.map(Box::new),
        }
    }

    pub(super) fn result(outcome: Outcome) -> Result<Ack, Self> {
        match outcome {
            Outcome::Accepted(ack) => Ok(ack),
            Outcome::Refused(nack) => Err(Self::Refused(Box::new(nack))),
            Outcome::Rejected(error) => Err(Self::Rejected(Box::new(error))),
        }
    }

    /// Whether and where to send the message again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Invalid(_) | Self::Duplicate(_) | Self::Rejected(_) => Retry::Never,
            Self::Refused(nack) => nack.code.retry(),
            Self::NotSent { .. } | Self::Unknown { .. } => Retry::NewConnection {
                after: std::time::Duration::ZERO,
            },
        }
    }
}

fn reason(error: &Option<Box<ConnectionError>>) -> String {
    error
        .as_ref()
        .map_or_else(|| "in order".to_owned(), ToString::to_string)
}

/// The answer to a message that was accepted for sending. Woken by the answer and by the end of the connection.
///
/// Dropping it before the message's bytes were handed over means that the message is not sent; afterwards its outcome
/// comes as [`Event::Answered`](super::Event::Answered). [`detach`](Self::detach) lets the message go out in any case.
#[must_use = "dropping an answer takes the message back if it was not sent yet; `detach` lets it go"]
pub struct Answer {
    handle: Arc<Handle>,
    id: MessageId,
    send: u64,
    waiting: bool,
}

impl Answer {
    pub(super) fn new(handle: Arc<Handle>, id: MessageId, send: u64) -> Self {
        Self {
            handle,
            id,
            send,
            waiting: true,
        }
    }

    /// The message's id.
    #[must_use]
    pub fn message_id(&self) -> &MessageId {
        &self.id
    }

    /// Lets the message go: its outcome comes as [`Event::Answered`](super::Event::Answered).
    pub fn detach(mut self) {
        self.waiting = false;
        self.handle.shared.act(|machine| {
            machine.unclaim(&self.id, self.send);
        });
    }
}

impl Future for Answer {
    type Output = Result<Ack, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let result = this
            .handle
            .shared
            .look(|machine| match machine.slots.get_mut(&this.send) {
                Some(Slot::One { waker, result }) => {
                    if result.is_none() {
                        remember(waker, cx.waker());
                    }
                    let result = result.take();
                    if result.is_some() {
                        machine.slots.remove(&this.send);
                    }
                    result
                }
                _ => None,
            });
        match result {
            Some(result) => {
                this.waiting = false;
                Poll::Ready(result)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.waiting {
            self.handle.shared.act(|machine| {
                machine.cancel(&self.id, self.send);
                machine.unclaim(&self.id, self.send);
            });
        }
    }
}

/// Who waits for the answer to one message.
#[derive(Debug)]
pub(crate) enum Slot {
    One {
        waker: Option<Waker>,
        result: Option<Result<Ack, SendError>>,
    },
    /// One of a broadcast's.
    Group(u64),
}

impl Slot {
    pub(super) fn waiting() -> Self {
        Self::One {
            waker: None,
            result: None,
        }
    }
}

impl super::client_machine::ClientMachine {
    /// Nobody waits for this answer any more; one that is there already becomes an event.
    fn unclaim(&mut self, id: &MessageId, send: u64) {
        if let Some(Slot::One {
            result: Some(result),
            ..
        }) = self.slots.remove(&send)
        {
            self.let_go(id.clone(), result);
        }
    }
}
