//! Stream header and features (RFC 6120 §4; `docs/protocol.md` §2.1–§2.3, §2.6).

use bytes::BytesMut;

use crate::xml::XmlError;
use crate::xml::writer::push_attribute;
use crate::xml::{Cursor, Item, Ns, Tag};

/// The end of a stream, as both roles write it.
pub(crate) const CLOSE: &[u8] = b"</stream:stream>";

/// What the endpoint offers before the login. Google's also named two mechanisms of Google Talk; known clients pick
/// PLAIN from the three unaided (fixture E03).
pub(crate) const FEATURES_BEFORE_LOGIN: &[u8] = b"<stream:features><mechanisms xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">\
<mechanism>X-OAUTH2</mechanism><mechanism>X-GOOGLE-TOKEN</mechanism><mechanism>PLAIN</mechanism></mechanisms></stream:features>";

/// What the endpoint offers after it (fixture E08).
pub(crate) const FEATURES_AFTER_LOGIN: &[u8] =
    b"<stream:features><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/>\
<session xmlns=\"urn:ietf:params:xml:ns:xmpp-session\"/></stream:features>";

/// The attributes of the peer's stream header that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) to: Option<String>,
}

impl Header {
    /// Reads the header's tag; `content` is the namespace of what has no prefix in this stream. `None` if it opens no
    /// stream of this protocol. Neither role checks `to` or `from`: real clients send any string (`docs/protocol.md`
    /// §2.1).
    pub(crate) fn read(tag: &Tag<'_>, content: Ns) -> Option<Self> {
        let opens = tag.is(Ns::Streams, "stream") && content == Ns::Client;
        opens.then(|| Self {
            to: tag.attribute("to").map(str::to_owned),
        })
    }
}

/// What the peer offers: prefix and order are free, what is not known is passed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) mechanisms: Vec<String>,
    pub(crate) bind: bool,
    pub(crate) session: bool,
}

impl Features {
    pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> Result<Self, XmlError> {
        let mut features = Self::default();
        while let Some(item) = cursor.next()? {
            match item {
                Item::Start(tag) if tag.is(Ns::Sasl, "mechanisms") => {
                    features.read_mechanisms(cursor)?;
                }
                Item::Start(tag) => {
                    features.bind |= tag.is(Ns::Bind, "bind");
                    features.session |= tag.is(Ns::Session, "session");
                    cursor.skip()?;
                }
                Item::End => break,
                Item::Text(_) => {}
            }
        }
        Ok(features)
    }

    fn read_mechanisms(&mut self, cursor: &mut Cursor<'_, '_>) -> Result<(), XmlError> {
        while let Some(item) = cursor.next()? {
            match item {
                Item::Start(tag) if tag.is(Ns::Sasl, "mechanism") => {
                    self.mechanisms.push(cursor.text()?.trim().to_owned());
                }
                Item::Start(_) => cursor.skip()?,
                Item::End => break,
                Item::Text(_) => {}
            }
        }
        Ok(())
    }
}

/// The app server's header (fixture E01).
pub(crate) fn push_client_header(out: &mut BytesMut, to: &str) {
    out.extend_from_slice(b"<stream:stream to=\"");
    push_attribute(out, to);
    out.extend_from_slice(
        b"\" version=\"1.0\" xmlns=\"jabber:client\" xmlns:stream=\"http://etherx.jabber.org/streams\">",
    );
}

/// The endpoint's header (fixture E02): `from` is what the client called it, the id 16 upper-case hexadecimal digits.
pub(crate) fn push_server_header(out: &mut BytesMut, from: &str, id: u64) {
    out.extend_from_slice(b"<stream:stream from=\"");
    push_attribute(out, from);
    out.extend_from_slice(format!("\" id=\"{id:016X}").as_bytes());
    out.extend_from_slice(
        b"\" version=\"1.0\" xmlns:stream=\"http://etherx.jabber.org/streams\" xmlns=\"jabber:client\">",
    );
}
