//! What a session tells the application.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::deliveries::DeliveryKey;
use super::reconnect::DialFailure;
use crate::client::Ignored;
use crate::error::ConnectionError;
use crate::ledger::ConnectionId;
use crate::message::{
    Downstream, EncodedDownstream, InvalidMessage, MessageId, Nack, NackCode, Receipt,
    RegistrationToken, StanzaError, Upstream,
};

/// Something that an application should see, or count. What devices sent comes apart from these, by
/// [`poll_delivery`](super::Session::poll_delivery).
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// A message was stored: it is accepted, and will be settled.
    Accepted {
        /// The message.
        id: MessageId,
    },
    /// A message could not be stored, so it was not accepted. Here it is back.
    NotStored {
        /// The message.
        message: Box<EncodedDownstream>,
    },
    /// An accepted message has its outcome, the only one. After this its id may be used again.
    Settled {
        /// The message.
        id: MessageId,
        /// How it ended.
        outcome: Settlement,
    },
    /// A message was refused for now and goes out again.
    Retrying {
        /// The message.
        id: MessageId,
        /// How often it has been refused.
        attempt: u32,
        /// When it goes out again, at the earliest, from now.
        after: Duration,
        /// Why it was refused.
        code: NackCode,
    },
    /// A handler could not handle a delivery and gets it again.
    HandlerRetrying {
        /// The delivery's message.
        message_id: MessageId,
        /// How often it has failed.
        attempt: u32,
        /// When it gets it again, from now.
        after: Duration,
    },
    /// A copy of a delivery came: of one that was handled, which is acked at once, or of one that is not done with,
    /// which it joins. No handler sees it.
    Duplicate {
        /// What it is a copy of.
        key: DeliveryKey,
    },
    /// A message was given up. It is kept for [`dead_letters`](super::Session::dead_letters).
    DeadLetter(DeadLetter),
    /// The token that was used is outdated: replace it.
    TokenReplaced {
        /// The one that was used.
        old: String,
        /// The one to use from now on.
        new: RegistrationToken,
    },
    /// The token that was used reaches nobody any more: delete it.
    TokenGone {
        /// The one that was used.
        token: String,
        /// What the endpoint said.
        code: NackCode,
    },
    /// A submitted message came back for want of room; there is room now.
    Room,
    /// A connection is bound: messages go both ways.
    Connected {
        /// Which.
        connection: ConnectionId,
        /// The full JID that it was given.
        jid: String,
    },
    /// The endpoint will close a connection. Nothing new is sent there, what comes there is still acked there, and
    /// another one takes its place.
    Draining {
        /// Which.
        connection: ConnectionId,
    },
    /// A connection is over.
    Disconnected {
        /// Which.
        connection: ConnectionId,
        /// How it ended.
        end: Result<(), ConnectionError>,
        /// Messages in flight there. What became of them is unknown; they go out again with the same id.
        unknown: usize,
    },
    /// The next dial waits.
    Reconnecting {
        /// Failures in a row; none after a drain of a healthy connection.
        attempt: u32,
        /// How long, from now.
        after: Duration,
        /// What makes it necessary.
        why: ReconnectReason,
    },
    /// The endpoint does not let this sender in. It is asked again, seldom: somebody has to look.
    LoginFailed {
        /// What it said.
        error: ConnectionError,
        /// When it is asked again, from now.
        after: Duration,
    },
    /// Messages wait, and the windows of all connections are full.
    WindowStalled,
    /// No message waits for a place in a window any more.
    WindowResumed,
    /// A delivery is not handled yet, and holds a place in the endpoint's window.
    AckOverdue {
        /// Its message.
        message_id: MessageId,
    },
    /// Something arrived that settles nothing and asks for nothing. Worth counting.
    Ignored(Ignored),
    /// The session is over, the last event. What it had not settled is in [`finish`](super::Session::finish).
    Ended,
}

/// What an event counts for where it waits, with nothing that the peer can make large.
const EVENT_BYTES: usize = 256;

impl SessionEvent {
    /// What it holds in memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        let large = match self {
            Self::NotStored { message } => message.weight(),
            Self::DeadLetter(dead) => dead.weight(),
            Self::Settled {
                outcome: Settlement::Refused(Refused::Nack(nack)),
                ..
            } => nack.body.len(),
            Self::Settled {
                outcome: Settlement::Refused(Refused::Stanza(error)),
                ..
            } => error.body.as_ref().map_or(0, |body| body.len()),
            Self::Ignored(Ignored::Unreadable { body, .. }) => body.len(),
            Self::Ignored(Ignored::StanzaError(error)) => {
                error.body.as_ref().map_or(0, |body| body.len())
            }
            _ => 0,
        };
        large.saturating_add(EVENT_BYTES)
    }
}

/// How an accepted message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// The endpoint took it over. That is not delivery: a receipt tells of that.
    Acked {
        /// The token to use from now on, where the one that was used is outdated.
        canonical: Option<RegistrationToken>,
    },
    /// The endpoint refused it for good.
    Refused(Refused),
    /// Its time to live ran out before the endpoint took it over.
    Expired,
    /// It was given up and is a dead letter now.
    Dead(DeadReason),
}

/// A refusal for good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// By a nack, with its code.
    Nack(Box<Nack>),
    /// As a stanza that could not be read.
    Stanza(Box<StanzaError>),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nack(nack) => nack.fmt(f),
            Self::Stanza(error) => error.fmt(f),
        }
    }
}

/// Why a message is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadReason {
    /// It was refused for a while as often as the settings allow.
    Attempts {
        /// How often.
        attempts: u32,
        /// The last nack.
        last: Box<Nack>,
    },
    /// It was not settled within the time that the settings give it.
    TooLate {
        /// The last nack, if there was one.
        last: Option<Box<Nack>>,
    },
    /// The endpoint ended the stream each time that it got this message.
    EndsStreams {
        /// How often.
        deaths: u32,
        /// With what, the last time.
        last: ConnectionError,
    },
    /// Connection after connection was lost with this message alone in flight.
    LosesConnections {
        /// How often.
        losses: u32,
    },
    /// The handler said so.
    Handler,
    /// The handler was given it as often as the settings allow.
    Tries {
        /// How often.
        tries: u32,
    },
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempts { attempts, last } => {
                write!(
                    f,
                    "refused {attempts} times, the last time with {}",
                    last.error
                )
            }
            Self::TooLate { last: Some(last) } => {
                write!(f, "not settled in time, and refused with {}", last.error)
            }
            Self::TooLate { last: None } => f.write_str("not settled in time"),
            Self::EndsStreams { deaths, last } => {
                write!(f, "{deaths} streams ended with it in flight: {last}")
            }
            Self::LosesConnections { losses } => {
                write!(f, "{losses} connections were lost with it in flight")
            }
            Self::Handler => f.write_str("the handler gave it up"),
            Self::Tries { tries } => write!(f, "the handler failed {tries} times"),
        }
    }
}

/// A message that was given up, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// What it is.
    pub message: DeadMessage,
    /// Why it was given up.
    pub reason: DeadReason,
}

impl DeadLetter {
    pub(super) fn weight(&self) -> usize {
        match &self.message {
            DeadMessage::Downstream(message) => message.weight(),
            DeadMessage::Received(received) => received.body().len(),
        }
    }
}

/// What can be given up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadMessage {
    /// A message to a device.
    Downstream(Box<EncodedDownstream>),
    /// Something that came from a device.
    Received(Received),
}

/// What comes from devices and is handled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// A message.
    Upstream(Box<Upstream>),
    /// The confirmation that a device has a message.
    Receipt(Box<Receipt>),
}

impl Received {
    /// Its own id, under which it is acked.
    #[must_use]
    pub fn message_id(&self) -> &MessageId {
        match self {
            Self::Upstream(message) => message.message_id(),
            Self::Receipt(receipt) => receipt.message_id(),
        }
    }

    /// The whole JSON body.
    #[must_use]
    pub fn body(&self) -> &str {
        match self {
            Self::Upstream(message) => message.body(),
            Self::Receipt(receipt) => receipt.body(),
        }
    }
}

/// Why a connection has to be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReconnectReason {
    /// The endpoint drains the one there was.
    Drained,
    /// The one there was has ended.
    Lost(Result<(), ConnectionError>),
    /// The last dial failed.
    DialFailed(DialFailure),
}

/// Why a message was not taken. Where it can be sent another time, it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// As much waits as the settings allow. [`Room`](SessionEvent::Room) says when there is room.
    #[error("the session holds as many messages as it may; send again after `Room`")]
    Full(Box<Downstream>),
    /// A message of this id is under way.
    #[error("a message of this id is under way already; give each message its own id")]
    Duplicate(Box<Downstream>),
    /// The session is being shut down.
    #[error("the session is being shut down and takes nothing new")]
    ShuttingDown(Box<Downstream>),
    /// The message breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidMessage),
}
