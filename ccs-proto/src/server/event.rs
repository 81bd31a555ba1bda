//! What an endpoint's connection tells its owner.

use std::fmt;

use thiserror::Error;

use super::Fingerprint;
use crate::error::ConnectionError;
use crate::habit::Habit;
use crate::key::ApiKey;
use crate::ledger::{ConnectionId, Token};
use crate::message::{Downstream, MessageId, Receipt, RegistrationToken, SenderId, Upstream};

/// Something that happened on a connection of the endpoint's role.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// An app server wants to log in. Answer with [`accept`](crate::ServerConnection::accept) or
    /// [`reject`](crate::ServerConnection::reject); nothing more is read until then.
    Login(AuthRequest),
    /// The login is done: messages go both ways from here on.
    Bound {
        /// Who logged in.
        sender: SenderId,
        /// The full JID that this stream was given.
        jid: String,
    },
    /// A message for a device, a topic or a condition. Take it over, then spend the token on an ack or a nack.
    Downstream {
        /// The message's id.
        message_id: MessageId,
        /// The message.
        message: Downstream,
        /// The right to answer it, on this connection.
        token: AnswerToken,
    },
    /// The app server acked an upstream message: it is done.
    Acked(Upstream),
    /// The app server acked a receipt: it is done.
    ReceiptAcked(Receipt),
    /// Something was refused by the protocol's own rules; the app server has been told.
    Refused {
        /// Which message, where it could be read.
        message_id: Option<MessageId>,
        /// Why, in the words that were sent.
        reason: String,
    },
    /// The app server did something that is passed over.
    Ignored(Habit),
    /// The app server did something that is refused only since this endpoint tolerates nothing
    /// ([`Tolerance`](crate::Tolerance)). How it is refused comes next: as `Refused`, or as the end of the connection.
    Fault(Habit),
    /// The app server has not acked an upstream message for
    /// [`ack_overdue`](crate::ServerConfig::ack_overdue).
    AckOverdue {
        /// The device it came from.
        from: RegistrationToken,
        /// The message's id.
        message_id: MessageId,
    },
    /// The connection is over; the last event. An error says why it was not in order.
    Closed(Result<(), ConnectionError>),
}

/// A login to decide on.
pub struct AuthRequest {
    pub(super) connection: ConnectionId,
    pub(super) sender: SenderId,
    pub(super) key: ApiKey,
}

impl AuthRequest {
    /// Who wants to log in. The session acts as this sender and as no other.
    #[must_use]
    pub fn sender(&self) -> &SenderId {
        &self.sender
    }

    /// The key that was shown; compare with [`ApiKey::matches`].
    #[must_use]
    pub fn key(&self) -> &ApiKey {
        &self.key
    }

    /// The connection that asks.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }
}

impl fmt::Debug for AuthRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("connection", &self.connection)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

/// The right to answer one downstream message, on the connection that it came by. Dropping it means *not answered*: the
/// message holds a place in the window, and the app server sends it again on its next connection.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a message whose token is dropped is never answered"]
pub struct AnswerToken {
    pub(super) token: Token,
    pub(super) content: Fingerprint,
}

impl AnswerToken {
    /// The connection on which alone the message can be answered.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.token.connection()
    }

    /// What tells the message from another one of its id.
    #[must_use]
    pub fn content(&self) -> Fingerprint {
        self.content
    }
}

/// An answer could not be sent.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The token is another connection's; here it is back.
    #[error("the message came by another connection ({:?}) and can be answered only there", .0.connection())]
    Foreign(AnswerToken),
    /// The stream has been ended: the message is not answered, and the app server sends it again elsewhere.
    #[error(
        "the connection has ended, so the message is not answered; it comes again on another one"
    )]
    Closed,
}

/// An upstream message could not be sent on this connection; it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotSent<M: fmt::Debug> {
    /// As many messages as the window holds wait for an ack.
    #[error("the app server has not acked enough; wait for an ack")]
    WindowFull(Box<M>),
    /// The same device's message of that id is under way here.
    #[error("the message is under way already")]
    Duplicate(Box<M>),
    /// The connection is not bound, or ends.
    #[error("the connection takes no messages; use another one")]
    Closed(Box<M>),
}

/// What a connection leaves behind.
#[derive(Debug)]
#[non_exhaustive]
pub struct ServerFinished {
    /// Events that were not polled.
    pub events: Vec<ServerEvent>,
    /// Upstream messages that were sent and not acked, in order: send them again on another connection.
    pub unacked: Vec<Upstream>,
    /// Upstream messages that were accepted and never sent, in order.
    pub unsent: Vec<Upstream>,
    /// Receipts without an ack. Those that were sent are not sent again: an app server that never acks receipts would get them for
    /// ever (`docs/protocol.md` §12 #45).
    pub receipts: Vec<Receipt>,
    /// Downstream messages that were delivered and not answered.
    pub unanswered: Vec<MessageId>,
}
