//! What a session asks its driver to do.

use super::deliveries::DeliveryKey;
use super::event::DeadLetter;
use crate::ledger::ConnectionId;
use crate::message::{EncodedDownstream, MessageId};

/// One dial of this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DialId(pub(super) u64);

/// One record to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreId(pub(super) u64);

/// Something for the driver to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Connect to the endpoint, over verified TLS. Answer with [`dialled`](super::Session::dialled) or
    /// [`dial_failed`](super::Session::dial_failed).
    Dial(DialId),
    /// A dial took too long or is not wanted any more. Give it up; no answer is needed.
    CancelDial(DialId),
    /// This connection is over: close its transport. Nothing is left to be written.
    Close(ConnectionId),
    /// Keep this record beyond a crash, and answer with [`stored`](super::Session::stored) when it is kept, or
    /// [`refused`](super::Session::refused) when it cannot be. Who keeps nothing answers `stored` at once.
    Store {
        /// To be named in the answer.
        id: StoreId,
        /// What to keep.
        record: Record,
    },
    /// A record is not needed any more. No answer is needed.
    Forget(Forgotten),
}

/// What a store keeps. After a restart it is given to [`restore`](super::Session::restore).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// A message to a device, from its acceptance until it is settled.
    Downstream(Box<EncodedDownstream>),
    /// Something from a device was handled: a copy is acked, and not handled again.
    Handled(DeliveryKey),
    /// A message was given up. Of something from a device, this is `Handled` as well. Of a message to a device, it takes
    /// the place of its `Downstream` record.
    DeadLetter(Box<DeadLetter>),
}

/// A record that is not needed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forgotten {
    /// The message of this id is settled.
    Downstream(MessageId),
    /// So many were handled since that this one is remembered no longer.
    Handled(DeliveryKey),
}
