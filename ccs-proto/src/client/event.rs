//! What an app server's connection tells its owner.

use thiserror::Error;

use crate::error::ConnectionError;
use crate::ledger::{ConnectionId, Token};
use crate::message::{
    Ack, BodyError, EncodedDownstream, MessageId, Nack, Receipt, StanzaError, Upstream,
};
use crate::text::Text;

/// Something that happened on a connection of the app server's role.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The login is done: messages go both ways from here on.
    Bound {
        /// The full JID that the endpoint gave this stream.
        jid: String,
    },
    /// A message that was sent has its answer.
    Answered {
        /// The message's id.
        message_id: MessageId,
        /// The answer.
        outcome: Outcome,
    },
    /// A device sent a message. Handle it, then spend the token.
    Upstream {
        /// The message.
        message: Upstream,
        /// The right to ack it, on this connection.
        token: AckToken,
    },
    /// A device confirmed a message. Receipts are acked like messages.
    Receipt {
        /// The receipt.
        receipt: Receipt,
        /// The right to ack it, on this connection.
        token: AckToken,
    },
    /// The endpoint will close this connection. Nothing new is sent on it; go on receiving and acking here, and send
    /// on another connection. What was accepted and not sent is there for
    /// [`take_unsent`](crate::ClientConnection::take_unsent).
    Draining,
    /// The application has not acked a message for [`ack_overdue`](crate::ClientConfig::ack_overdue). It holds a place
    /// in the endpoint's window until it is acked or the connection ends.
    AckOverdue {
        /// The message's id.
        message_id: MessageId,
    },
    /// Something arrived that settles nothing and asks for nothing. Worth counting.
    Ignored(Ignored),
    /// The connection is over; the last event. An error says why it was not in order.
    Closed(Result<(), ConnectionError>),
}

/// How a message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The endpoint took the message over. That is not delivery: a receipt tells of that.
    Accepted(Ack),
    /// The endpoint refused it and says why; `code.retry()` says what to do.
    Refused(Nack),
    /// The endpoint could not read the message and returned it as an error.
    Rejected(StanzaError),
}

/// What arrived and changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// An ack or nack for a message that is not in flight here: never sent, or settled before.
    UnknownAnswer {
        /// The id that it names.
        message_id: MessageId,
    },
    /// A stanza error that matches no message in flight.
    StanzaError(StanzaError),
    /// A body that could not be read. It cannot be acked and comes again with the next connection.
    Unreadable {
        /// What is wrong with it.
        error: BodyError,
        /// The body as it came.
        body: Text,
    },
    /// A message type or control type that this version does not know.
    Unknown {
        /// The type.
        kind: Text,
    },
    /// A message stanza without a CCS body, or with more than one.
    NoBody,
}

/// The right to ack one message, on the connection that it came by.
///
/// It is spent by value, so nothing can be acked twice:
///
/// ```compile_fail
/// # fn f(connection: &mut ccs_proto::ClientConnection, token: ccs_proto::AckToken) {
/// let _ = connection.ack(token);
/// let _ = connection.ack(token);
/// # }
/// ```
///
/// Dropping it means *not acked*: the message holds a place in the endpoint's window until the connection ends and
/// comes again on the next one.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a message whose token is dropped is not acked and comes again"]
pub struct AckToken(pub(super) Token);

impl AckToken {
    /// The connection on which the message came and on which alone it can be acked.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.0.connection()
    }
}

/// An ack could not be sent.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AckError {
    /// The token is another connection's; here it is back.
    #[error("the message came by another connection ({:?}) and can be acked only there", .0.connection())]
    Foreign(AckToken),
    /// The stream has been ended: the message is not acked and comes again on the next connection.
    #[error(
        "the connection has ended, so the message is not acked; it comes again on the next one"
    )]
    Closed,
}

/// Why nothing can be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Blocked {
    /// As many messages as the window holds wait for an answer. A settled one makes room.
    #[error("the window is full; wait until a message is answered")]
    WindowFull,
    /// The endpoint drains this connection. Send on another.
    #[error("the endpoint drains this connection; send on another one")]
    Draining,
    /// The connection ends or has ended. Send on another.
    #[error("the connection has ended; send on another one")]
    Closed,
}

/// A message was not accepted although there was a place for it. It comes back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotAccepted {
    /// A message with the same id is under way on this connection.
    #[error("message {} is under way already; give each message its own id", .0.id())]
    Duplicate(Box<EncodedDownstream>),
    /// The connection drains or ends, since the place was taken.
    #[error("message {} was not accepted: {}", .0.id(), .1)]
    Blocked(Box<EncodedDownstream>, Blocked),
}

/// What a connection leaves behind.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished {
    /// Events that were not polled.
    pub events: Vec<ClientEvent>,
    /// Messages that were sent and not answered, in the order in which they were sent. What became of them is unknown:
    /// send them again with the same id.
    pub unanswered: Vec<EncodedDownstream>,
    /// Messages that were accepted and never sent, in order.
    pub unsent: Vec<EncodedDownstream>,
    /// Upstream messages and receipts that were not acked; they come again on the next connection.
    pub unacked: usize,
}
