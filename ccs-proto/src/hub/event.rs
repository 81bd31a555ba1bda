//! What a hub tells its owner.

use thiserror::Error;

use super::downstream::Arrival;
use super::mail::{Copy, Device};
use crate::ledger::ConnectionId;
use crate::message::{MessageId, Receipt, SenderId, Upstream};

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HubEvent {
    /// A message of an app server. Answer with [`accept`](super::Hub::accept), [`refuse`](super::Hub::refuse) or
    /// [`pass_over`](super::Hub::pass_over).
    Downstream(Arrival),
    /// A message that was accepted came again, the same in all its parts, as its ack may be lost. It was acked again, and
    /// nobody gets it twice.
    SentAgain {
        /// By which connection.
        connection: ConnectionId,
        /// Which one.
        message_id: MessageId,
    },
    /// A message waits for a device.
    Kept(Copy),
    /// A device has a message.
    Delivered(Copy),
    /// A device does not get a message.
    Discarded(Copy, Discarded),
    /// A device cannot get a message and its sender was told to try again, as too much waits for devices.
    TooMuchKept {
        /// By which connection it came.
        connection: ConnectionId,
        /// Which one.
        message_id: MessageId,
    },
    /// A receipt goes out; once more, if its connection did not send it.
    ReceiptSent {
        /// On which connection.
        connection: ConnectionId,
        /// What.
        receipt: Receipt,
    },
    /// A message from a device is accepted: it stays until it is acked or has expired.
    Accepted {
        /// For whom.
        sender: SenderId,
        /// What.
        message: Upstream,
    },
    /// The store could not keep a message from a device, so it is not accepted.
    NotStored {
        /// For whom.
        sender: SenderId,
        /// Here it is back.
        message: Upstream,
    },
    /// No connection takes a message from a device now: it waits.
    UpstreamWaits {
        /// For whom.
        sender: SenderId,
        /// What.
        message: Upstream,
    },
    /// A message from a device was given to a connection.
    UpstreamSent {
        /// Which one.
        connection: ConnectionId,
        /// What.
        message: Upstream,
    },
    /// A message from a device was given to a connection once more, as no ack came for long.
    UpstreamSentAgain {
        /// Which one.
        connection: ConnectionId,
        /// What.
        message: Upstream,
    },
    /// An app server acked a message from a device: it is done.
    UpstreamAcked {
        /// On which connection.
        connection: ConnectionId,
        /// What.
        message: Upstream,
    },
    /// A message from a device waited for longer than its time to live, and is given up.
    UpstreamExpired {
        /// For whom it was.
        sender: SenderId,
        /// What.
        message: Upstream,
    },
    /// A connection drains.
    Draining(ConnectionId),
    /// A sender has as many connections as it may, so this one is ended.
    TooManyConnections {
        /// Which one.
        connection: ConnectionId,
        /// Whose.
        sender: SenderId,
    },
    /// A device is told that messages for it were discarded.
    ToldDeleted {
        /// The device.
        device: Device,
        /// How many.
        messages: u64,
    },
}

/// Why a device does not get a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discarded {
    /// Its time to live is over.
    Expired,
    /// A newer one has the same collapse key.
    Collapsed,
    /// Messages wait with more collapse keys than a device may have; those of the oldest key go.
    TooManyKeys,
    /// More messages wait than a device may have.
    TooMany,
}

impl Discarded {
    /// In a few words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Collapsed => "collapsed",
            Self::TooManyKeys => "too many collapse keys",
            Self::TooMany => "too many stored",
        }
    }
}

/// A message from a device was not taken; it comes back.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// As many messages wait for the sender's acks as may.
    #[error("too many messages wait for the app server; submit it again when it has acked some")]
    Full(Box<Upstream>),
    /// A message of that id from that device is here already.
    #[error("the device's message of that id has not been acked yet; give this one another id")]
    UnderWay(Box<Upstream>),
}
