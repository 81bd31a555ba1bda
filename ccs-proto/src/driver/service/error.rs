//! Why a message was not delivered to the endpoint.

use thiserror::Error;

use crate::message::{Downstream, InvalidMessage, MessageId};
use crate::session::{DeadReason, Refused};

/// Why the endpoint did not take a message over, or is not known to have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The message breaks a rule of the protocol; it was not sent.
    #[error(transparent)]
    Invalid(InvalidMessage),
    /// A message with this id is under way; here it is back.
    #[error("a message of this id is under way already; give each message its own id")]
    Duplicate(Box<Downstream>),
    /// The service is being shut down and takes nothing new; here it is back.
    #[error("the service is being shut down; the message was not sent")]
    ShuttingDown(Box<Downstream>),
    /// It could not be stored, so it was not accepted; here it is back.
    #[error("the message could not be stored, and was not sent")]
    NotStored(Box<Downstream>),
    /// The endpoint refused it for good.
    #[error("message {message_id}: {refused}")]
    Refused {
        /// The message's id.
        message_id: MessageId,
        /// What the endpoint said.
        refused: Refused,
    },
    /// Its time to live ran out before the endpoint took it over.
    #[error("the time to live of message {0} ran out before the endpoint took it over")]
    Expired(MessageId),
    /// It was given up, and is among the dead letters.
    #[error("message {message_id} was given up: {reason}")]
    Dead {
        /// The message's id.
        message_id: MessageId,
        /// Why.
        reason: DeadReason,
    },
    /// The service ended before it was settled. [`shutdown`](super::Service::shutdown) gives it back.
    #[error("the service ended before message {message_id} was settled{}", unknown_text(*unknown))]
    Left {
        /// The message's id.
        message_id: MessageId,
        /// The endpoint may have it: send it again with the same id only.
        unknown: bool,
    },
}

fn unknown_text(unknown: bool) -> &'static str {
    if unknown {
        "; the endpoint may have it, so send it again with the same id only"
    } else {
        ""
    }
}
