//! Answers of the endpoint to a message: ack and nack (`docs/protocol.md` §5.1, §5.2).

use std::fmt;

use super::ids::{MessageId, RegistrationToken};
use super::nack_code::NackCode;
use crate::text::Text;

/// The endpoint took a message over. That is not delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ack {
    /// The message.
    pub message_id: MessageId,
    /// What the message was addressed to.
    pub from: Option<Text>,
    /// The canonical token: the one that was used is outdated, replace it by this.
    pub canonical: Option<RegistrationToken>,
    /// The whole JSON body.
    pub body: Text,
}

/// The endpoint refused a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nack {
    /// The message.
    pub message_id: MessageId,
    /// What the message was addressed to.
    pub from: Option<Text>,
    /// Why; [`NackCode::retry`] says what to do.
    pub code: NackCode,
    /// `error` as it came; older endpoints put a whole sentence there.
    pub error: Text,
    /// Words for people.
    pub description: Option<Text>,
    /// The whole JSON body.
    pub body: Text,
}

impl fmt::Display for Nack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} was refused: {}", self.message_id, self.error)?;
        match self.description.as_deref() {
            Some(description) if !description.is_empty() => write!(f, " ({description})"),
            _ => Ok(()),
        }
    }
}
