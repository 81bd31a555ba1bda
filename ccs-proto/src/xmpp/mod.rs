//! The XMPP below CCS: what may stand at the top level of a stream, read and written.

pub(crate) mod errors;
pub(crate) mod iq;
pub(crate) mod message;
pub(crate) mod sasl;
pub(crate) mod stream;

pub use errors::StreamCondition;

use crate::xml::XmlError;
use crate::xml::{Cursor, Item, Known, Ns, Reader};
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
pub(crate) fn read(reader: &mut Reader, element: &[u8]) -> Result<Stanza, XmlError> {
    if let Some(known) = reader.known(element) {
        return read_known(reader, known);
    }
    let mut cursor = reader.element(element)?;
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
    if matches!(&stanza, Stanza::Message(message) if message.is_plain()) {
        cursor.remember(&tag, "id");
    }
    Ok(stanza)
}

/// Reads an element whose tags are those of a message before it: what stands around the body is the same bytes in message
/// after message, but for an id.
pub(crate) fn read_known(reader: &mut Reader, known: Known<'_, [u8]>) -> Result<Stanza, XmlError> {
    let Known { value, text } = reader.differing(known)?;
    Ok(Stanza::Message(MessageStanza::plain(value, text)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::XmlLimits;

    fn reader(limits: XmlLimits) -> Reader {
        let mut reader = Reader::new(limits);
        let header: &[u8] = b"<s xmlns='jabber:client'>";
        assert!(reader.open(header).is_ok());
        reader
    }

    #[test]
    fn an_element_means_the_same_whatever_was_read_before_it() {
        let gcm = |text: &str| format!("<gcm xmlns='google:mobile:data'>{text}</gcm>");
        let message = |inside: &str| format!("<message>{inside}</message>");
        let elements = [
            message(&gcm("{}")),
            message(&gcm("{\"a\":\"&lt;\"}")),
            message(&gcm("")),
            message(&gcm("&lt;&nothing;")),
            message(&gcm("]]>")),
            message(&gcm("<b>{}</b>")),
            message(&gcm("<![CDATA[{}]]>")),
            message("<gcm xmlns='other'>{}</gcm>"),
            message(&format!("{}{}", gcm("{}"), gcm(""))),
            message(&format!("{{}}{}", gcm(""))),
            message(&format!("{}<error code='1'>{{}}</error>", gcm(""))),
            message(&format!("{}<error code='1'/>", gcm("{}"))),
            "<message>{}</message>".to_owned(),
            format!("<message id='1'>{}</message>", gcm("{}")),
            format!("<message id='2'>{}</message>", gcm("{}")),
            format!("<message id=''>{}</message>", gcm("{}")),
            format!("<message id='&lt;'>{}</message>", gcm("{}")),
            format!("<message id='1' type='error'>{}</message>", gcm("{}")),
            format!("<message from='a' id='1' to='b'>{}</message>", gcm("{}")),
            format!("<message from='b' id='1' to='b'>{}</message>", gcm("{}")),
            format!("<message type='error'>{}</message>", gcm("{}")),
            "<g:message xmlns:g='google:mobile:data'><g:gcm>{}</g:gcm></g:message>".to_owned(),
            "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>".to_owned(),
            "<presence><status>{}</status></presence>".to_owned(),
        ];
        let mut elements: Vec<Vec<u8>> = elements.into_iter().map(String::into_bytes).collect();
        let long_id = format!("<message id='{}'>{}</message>", "1".repeat(45), gcm("{}"));
        elements.push(long_id.into_bytes());
        // Each breaks several rules.
        for text in [
            &b"{ &apos; }"[..],
            b"&apos;&nothing;",
            b"&apos;&\xff;&gt;",
            b"\x01]]>\xff  ",
        ] {
            let mut element = message(&gcm("{}")).into_bytes();
            let at = element.iter().position(|&byte| byte == b'{').unwrap();
            element.splice(at..at + 2, text.iter().copied());
            elements.push(element);
        }
        let default = XmlLimits::default();
        let small = XmlLimits {
            text: 9,
            attribute_value: 40,
            ..default
        };
        let smaller = XmlLimits {
            stanza: 70,
            ..default
        };
        for limits in [default, small, smaller] {
            for first in &elements {
                for second in &elements {
                    let mut knows = reader(limits);
                    let _ = read(&mut knows, first);
                    let after = format!("{:?}", read(&mut knows, second));
                    let alone = format!("{:?}", read(&mut reader(limits), second));
                    let (first, second) = (first.escape_ascii(), second.escape_ascii());
                    assert_eq!(after, alone, "{second} after {first}");
                }
            }
        }
    }
}
