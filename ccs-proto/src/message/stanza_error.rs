//! Stanza errors of the endpoint: a message that it could not even attribute (`docs/protocol.md` §5.3, §5.4).

use std::fmt;

use super::ids::MessageId;
use super::parse;
use crate::text::Text;

/// A message that came back as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StanzaError {
    /// The legacy code: 400 for what could not be read, 406 for a wrong ack.
    pub code: Option<u16>,
    /// The condition, such as `bad-request`.
    pub condition: String,
    /// Words for people.
    pub text: Option<String>,
    /// The stanza's id that was echoed.
    pub stanza_id: Option<Text>,
    /// The JSON body that was echoed.
    pub body: Option<Text>,
}

impl StanzaError {
    pub(crate) fn new(
        code: Option<u16>,
        condition: String,
        text: Option<String>,
        stanza_id: Option<Text>,
        body: Option<Text>,
    ) -> Self {
        Self {
            code,
            condition,
            text,
            stanza_id,
            body,
        }
    }
}

impl fmt::Display for StanzaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the endpoint returned the message: {}", self.condition)?;
        if let Some(code) = self.code {
            write!(f, " {code}")?;
        }
        match &self.text {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

/// The id of the downstream message that an echoed body is; none for an ack of ours, whose id is another's.
pub(crate) fn message_id_of(body: &str) -> Option<MessageId> {
    parse::downstream_id(&Text::from(body))
}
