//! What both roles share of a connection: the byte stream, the bounded inbox and the way to the end.

pub(crate) mod allowance;
pub(crate) mod inbox;
pub(crate) mod wire;

pub(crate) use allowance::Minute;
pub(crate) use inbox::Inbox;
pub(crate) use wire::{Received, Wire};

use crate::time::Time;

/// Bytes that one `poll_transmit` hands out before it leaves the rest to the next call.
pub(crate) const TRANSMIT_BYTES: usize = 64 * 1024;

/// The earlier of two deadlines, where there are any.
pub(crate) fn earliest(deadlines: impl IntoIterator<Item = Option<Time>>) -> Option<Time> {
    deadlines.into_iter().flatten().min()
}

/// Whether a deadline is there and has come.
pub(crate) fn due(deadline: Option<Time>, now: Time) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}
