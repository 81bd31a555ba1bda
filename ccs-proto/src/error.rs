//! Why a connection ended, and what to do about it.

use std::time::Duration;

use thiserror::Error;

use crate::message::{MessageId, Retry};
use crate::xml::XmlError;
use crate::xmpp::StreamCondition;

/// Why a connection ended other than by an orderly close.
///
/// Once a connection has failed, every later `receive` returns the same error. What was under way is in
/// [`Finished`](crate::Finished).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The transport is not verified TLS, so the key was not sent.
    #[error(
        "the transport is not verified TLS, so the key was not sent; connect over TLS and verify the endpoint"
    )]
    InsecureTransport,
    /// The endpoint does not offer SASL PLAIN, the only mechanism of CCS.
    #[error("the endpoint offers no PLAIN login (it offers: {}); is this a CCS endpoint?", list(.offered))]
    NoPlain {
        /// What it offers instead.
        offered: Vec<String>,
    },
    /// The endpoint refused the login.
    #[error(
        "the endpoint refused the login{} ({condition}); check the sender id and the key", of(.sender)
    )]
    LoginRefused {
        /// Who tried to log in.
        sender: String,
        /// The SASL condition, such as `not-authorized`.
        condition: String,
    },
    /// The endpoint refused to bind a resource.
    #[error("the endpoint refused to bind the stream ({condition})")]
    BindRefused {
        /// The stanza error's condition.
        condition: String,
    },
    /// The peer ended the stream with a stream error.
    #[error("the peer ended the stream: {condition}{}", detail(.text))]
    StreamError {
        /// Its condition.
        condition: StreamCondition,
        /// Its explanation, if it gave one.
        text: Option<String>,
    },
    /// The peer broke the protocol; it was told so with a stream error.
    #[error("the peer broke the protocol ({condition}): {what}")]
    Protocol {
        /// The condition that was sent.
        condition: StreamCondition,
        /// What the peer did.
        what: String,
    },
    /// We ended the stream with a stream error, for a reason of our own.
    #[error("the stream was ended from this side: {condition}{}", detail(.text))]
    Ended {
        /// The condition that was sent.
        condition: StreamCondition,
        /// The explanation that was sent.
        text: Option<String>,
    },
    /// The stream was not bound in time.
    #[error("no bound stream after {} s; is the peer a CCS endpoint, and alive?", .after.as_secs())]
    HandshakeTimeout {
        /// The time it had.
        after: Duration,
    },
    /// Nothing was heard of the peer for too long.
    #[error("nothing was heard of the peer for {} s", .after.as_secs())]
    PeerSilent {
        /// How long.
        after: Duration,
    },
    /// A message was not answered in time. It and the others in flight are unknown and go out again elsewhere.
    #[error("message {message_id} had no answer after {} s, so the connection was given up", .after.as_secs())]
    AnswerTimeout {
        /// The oldest message without an answer.
        message_id: MessageId,
        /// The time that it had.
        after: Duration,
    },
    /// The endpoint said that it drains and did not close in time.
    #[error("the endpoint said that it drains and did not close within {} s", .after.as_secs())]
    DrainTimeout {
        /// The time that it had.
        after: Duration,
    },
    /// The transport ended in the middle of the stream.
    #[error("the peer closed the transport without ending the stream")]
    UnexpectedEof,
    /// The transport failed; the adapter says how.
    #[error("the transport failed: {what}")]
    Transport {
        /// The adapter's words.
        what: String,
    },
}

/// Whose login it was. One that is refused before it says so has no name.
fn of(sender: &str) -> String {
    match sender {
        "" => String::new(),
        sender => format!(" of sender {sender}"),
    }
}

impl ConnectionError {
    /// What to do about it, as an app server.
    ///
    /// Messages that were in flight are unknown and go out again on a new connection with the same id, whatever this
    /// says of the connection itself.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::InsecureTransport | Self::NoPlain { .. } => Retry::Never,
            // A key may be enabled again or a white list corrected; asking often helps nobody.
            Self::LoginRefused { .. } => Retry::NewConnection {
                after: Duration::from_secs(300),
            },
            Self::DrainTimeout { .. } => Retry::NewConnection {
                after: Duration::ZERO,
            },
            _ => Retry::NewConnection {
                after: Duration::from_secs(1),
            },
        }
    }

    pub(crate) fn protocol(condition: StreamCondition, what: impl Into<String>) -> Self {
        Self::Protocol {
            condition,
            what: what.into(),
        }
    }

    /// The peer asked for more than it may.
    pub(crate) fn policy(what: impl Into<String>) -> Self {
        Self::protocol(StreamCondition::PolicyViolation, what)
    }

    /// The stream condition that tells the peer what was wrong with its XML. Both roles answer alike, but for plainly
    /// ill-formed XML, where the endpoint says what Google's said (`docs/protocol.md` §12 #41, fixture E15).
    pub(crate) fn xml(error: &XmlError, ill_formed: StreamCondition) -> Self {
        let condition = match error {
            XmlError::Restricted(_) => StreamCondition::RestrictedXml,
            XmlError::UnsupportedEncoding => StreamCondition::UnsupportedEncoding,
            XmlError::BadNamespacePrefix => StreamCondition::BadNamespacePrefix,
            XmlError::TooLarge { .. } => StreamCondition::PolicyViolation,
            _ => ill_formed,
        };
        Self::protocol(condition, error.to_string())
    }
}

fn list(offered: &[String]) -> String {
    if offered.is_empty() {
        "nothing".to_owned()
    } else {
        offered.join(", ")
    }
}

fn detail(text: &Option<String>) -> String {
    text.as_ref()
        .map_or_else(String::new, |text| format!(" ({text})"))
}
