//! The XMPP below CCS: what may stand at the top level of a stream, read and written.

pub(crate) mod errors;
pub(crate) mod iq;
pub(crate) mod message;
pub(crate) mod sasl;
pub(crate) mod stream;

pub use errors::StreamCondition;

use crate::xml::XmlError;
use crate::xml::{Cursor, Item, Ns};
use iq::Iq;
use message::MessageStanza;
use sasl::Auth;
use stream::Features;

/// One element of the top level, read.
#[derive(Debug)]
pub(crate) enum Stanza {
    Features(Features),
    Auth(Auth),
    Success,
    /// SASL failure, with its condition.
    Failure(String),
    Iq(Iq),
    Message(MessageStanza),
    Presence,
    StreamError {
        condition: StreamCondition,
        text: Option<String>,
    },
    /// Anything else, by its local name.
    Unsupported(String),
}

/// Reads one whole element. Unknown children and attributes are passed over (RFC 6120 §8.4).
pub(crate) fn read(mut cursor: Cursor<'_, '_>) -> Result<Stanza, XmlError> {
    let Some(Item::Start(tag)) = cursor.next()? else {
        return Err(XmlError::NotWellFormed("an element was expected"));
    };
    let stanza = match (tag.ns, tag.name) {
        (Ns::Client, "message") => Stanza::Message(MessageStanza::read(&tag, &mut cursor)?),
        (Ns::Client, "iq") => Stanza::Iq(Iq::read(&tag, &mut cursor)?),
        (Ns::Client, "presence") => {
            cursor.skip()?;
            Stanza::Presence
        }
        (Ns::Streams, "features") => Stanza::Features(Features::read(&mut cursor)?),
        (Ns::Streams, "error") => {
            let (condition, text) = read_error(&mut cursor, Ns::StreamErrors)?;
            Stanza::StreamError {
                condition: StreamCondition::from_name(&condition),
                text,
            }
        }
        (Ns::Sasl, "auth") => Stanza::Auth(Auth::read(&tag, &mut cursor)?),
        (Ns::Sasl, "success") => {
            cursor.skip()?;
            Stanza::Success
        }
        (Ns::Sasl, "failure") => Stanza::Failure(read_error(&mut cursor, Ns::Sasl)?.0),
        (_, name) => {
            let name = name.to_owned();
            cursor.skip()?;
            Stanza::Unsupported(name)
        }
    };
    finish(&mut cursor)?;
    Ok(stanza)
}

/// The condition and the text of an error element whose start was just read (RFC 6120 §4.9.2, §6.5, §8.3.2).
fn read_error(
    cursor: &mut Cursor<'_, '_>,
    conditions: Ns,
) -> Result<(String, Option<String>), XmlError> {
    let mut condition = None;
    let mut text = None;
    while let Some(item) = cursor.next()? {
        match item {
            Item::Start(tag) if tag.is(conditions, "text") => {
                text = Some(cursor.text()?.trim().to_owned());
            }
            Item::Start(tag) => {
                if tag.ns == conditions && condition.is_none() {
                    condition = Some(tag.name.to_owned());
                }
                cursor.skip()?;
            }
            Item::End => break,
            Item::Text(_) => {}
        }
    }
    let condition = condition.unwrap_or_else(|| "undefined-condition".to_owned());
    Ok((condition, text))
}

/// The end of the element, which also checks that nothing follows it.
fn finish(cursor: &mut Cursor<'_, '_>) -> Result<(), XmlError> {
    while cursor.next()?.is_some() {}
    Ok(())
}
