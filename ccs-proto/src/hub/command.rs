//! What a hub asks its driver to do.

use std::sync::Arc;

use super::mail::{DeliveryId, Device};
use crate::ledger::ConnectionId;
use crate::message::{
    Downstream, MessageId, NackCode, Receipt, RegistrationToken, SenderId, Target, Upstream,
};
use crate::server::AnswerToken;
use crate::time::Time;
use crate::xmpp::StreamCondition;

/// One record to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

/// Something for the driver to do. What is for a connection that has ended meanwhile is passed over, except that an ack
/// which could not be given is told by [`ack_failed`](super::Hub::ack_failed), and a receipt by
/// [`receipt_failed`](super::Hub::receipt_failed).
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// Ack a message of an app server.
    Ack {
        /// Whose it is.
        sender: SenderId,
        /// Its id.
        message_id: MessageId,
        /// Whom it is for.
        target: Target,
        /// The right to answer it.
        token: AnswerToken,
        /// The token that the app server should use from now on.
        canonical: Option<RegistrationToken>,
    },
    /// Refuse a message of an app server.
    Nack {
        /// Its id.
        message_id: MessageId,
        /// Whom it is for.
        target: Target,
        /// The right to answer it.
        token: AnswerToken,
        /// Why, by code.
        code: NackCode,
        /// Why, in words.
        description: String,
    },
    /// Send what a device sent.
    Send {
        /// On this connection.
        connection: ConnectionId,
        /// This.
        message: Upstream,
    },
    /// Write something that was sent on this connection and never acked once more.
    SendAgain {
        /// The connection.
        connection: ConnectionId,
        /// The message.
        message: Upstream,
    },
    /// Send a receipt.
    SendReceipt {
        /// Whose it is.
        sender: SenderId,
        /// On this connection.
        connection: ConnectionId,
        /// This.
        receipt: Receipt,
    },
    /// Set the windows of a connection that just logged in: its sender's, whatever its own settings say.
    SetWindows {
        /// The connection.
        connection: ConnectionId,
        /// Downstream messages that wait for an answer.
        window: usize,
        /// Upstream messages that wait for an ack.
        upstream_window: usize,
    },
    /// Drain a connection.
    Drain(ConnectionId),
    /// End a connection with a stream error.
    End {
        /// The connection.
        connection: ConnectionId,
        /// The stream error's condition.
        condition: StreamCondition,
        /// Words for people.
        text: String,
    },
    /// Give a message to a device, and answer with [`delivered`](super::Hub::delivered) or
    /// [`not_delivered`](super::Hub::not_delivered). Until then it is kept.
    Deliver {
        /// To be named in the answer.
        delivery: DeliveryId,
        /// Who gets it.
        device: Device,
        /// The id that the app server gave it.
        message_id: MessageId,
        /// What it gets.
        message: Arc<Downstream>,
    },
    /// Tell a device that so many messages for it were discarded, since too many waited: it has to ask its app server
    /// (`deleted_messages`, `docs/protocol.md` §3.3). No answer is needed. The count is not kept over a restart.
    TellDeleted {
        /// The device.
        device: Device,
        /// How many.
        messages: u64,
    },
    /// Keep this record beyond a crash, and answer with [`stored`](super::Hub::stored) when it is kept, or
    /// [`refused`](super::Hub::refused) when it cannot be. Who keeps nothing answers `stored` at once.
    Store {
        /// To be named in the answer, in [`Forget`](Self::Forget), and when it is [restored](super::Hub::restore).
        id: StoreId,
        /// What to keep.
        record: Record,
    },
    /// A record is not needed any more. No answer is needed.
    Forget(StoreId),
}

/// What a store keeps. After a restart it is given to [`restore`](super::Hub::restore), with the same id.
///
/// Times are the caller's; a store that lasts needs a clock whose origin lasts, such as the Unix epoch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Record {
    /// A message from a device, from its acceptance until it is acked or has expired.
    Upstream {
        /// For whom.
        sender: SenderId,
        /// What.
        message: Upstream,
        /// When it has waited for too long.
        expires: Time,
    },
    /// A message to devices, from its acceptance until each of them has it or it was discarded.
    Downstream {
        /// From whom.
        sender: SenderId,
        /// Its id.
        message_id: MessageId,
        /// What.
        message: Arc<Downstream>,
        /// To whom.
        devices: Arc<[RegistrationToken]>,
        /// When it has waited for too long.
        expires: Time,
    },
}
