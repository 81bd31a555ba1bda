//! What real app servers do although the protocol forbids it or does not ask for it, and whether an endpoint lives with
//! it (`docs/protocol.md` §13).

use crate::message::MessageId;

/// Whether an endpoint lives with the [habits](Habit) of real app servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Tolerance {
    /// It does, as Google's did, so that every known app server can connect.
    #[default]
    Habits,
    /// It refuses each habit that the protocol forbids, and names it as a
    /// [`Fault`](crate::ServerEvent::Fault): for finding the faults of one's own app server.
    Nothing,
}

/// Something that an app server did and need not, or may not, do. [`Ignored`](crate::ServerEvent::Ignored) tells those that
/// are passed over, [`Fault`](crate::ServerEvent::Fault) those that are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Habit {
    /// A nack for an upstream message, which an app server never needs to send. The message stays un-acked
    /// (`docs/protocol.md` §12 #44).
    Nack {
        /// The id that it names.
        message_id: MessageId,
    },
    /// An ack of a receipt that is no longer kept, or was acked before.
    LateReceiptAck {
        /// The id that it names.
        message_id: MessageId,
    },
    /// An ack without the `dr2:` of its receipt, or with another `to` than the `from` of what it acks
    /// (`docs/protocol.md` §12 #19). Told only where it is refused.
    InexactAck {
        /// The id that it names.
        message_id: MessageId,
    },
    /// `message_id` is a number (`docs/protocol.md` §12 #24). Told only where it is refused.
    NumericMessageId {
        /// Its text.
        message_id: MessageId,
    },
    /// `time_to_live` is a string (`docs/protocol.md` §12 #22). Told only where it is refused.
    TextTimeToLive {
        /// The message that has it.
        message_id: MessageId,
    },
    /// A message beyond those that may wait for an answer (`docs/protocol.md` §12 #11). Told only where it is refused.
    BeyondWindow {
        /// The message's id.
        message_id: MessageId,
    },
    /// Text between stanzas; told once for each place where it stands.
    StrayText,
    /// A message after the end of the stream.
    AfterClose,
}
