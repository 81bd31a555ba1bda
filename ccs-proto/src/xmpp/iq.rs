//! Info queries: bind, session, ping (RFC 6120 §7, §8.2.3; XEP-0199; `docs/protocol.md` §1.4, §2.6).

use bytes::BytesMut;

use super::read_error;
use crate::xml::XmlError;
use crate::xml::writer::{push_attribute, push_text};
use crate::xml::{Cursor, Item, Ns, Tag};

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Iq {
    pub(crate) kind: IqKind,
    pub(crate) id: Option<String>,
    pub(crate) payload: Payload,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IqKind {
    Get,
    Set,
    Result,
    /// With the condition of its error.
    Error(String),
    /// No type, or one that XMPP does not know.
    Unknown,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Bind {
        /// What the client asks for; an empty `<resource/>` asks for nothing (gloox).
        resource: Option<String>,
        /// What the endpoint gave.
        jid: Option<String>,
    },
    Session,
    Ping,
    Other,
    None,
}

impl Iq {
    pub(super) fn read(tag: &Tag<'_>, cursor: &mut Cursor<'_, '_>) -> Result<Self, XmlError> {
        let mut kind = match tag.attribute("type") {
            Some("get") => IqKind::Get,
            Some("set") => IqKind::Set,
            Some("result") => IqKind::Result,
            Some("error") => IqKind::Error("undefined-condition".to_owned()),
            _ => IqKind::Unknown,
        };
        let id = tag.attribute("id").map(str::to_owned);
        let mut payload = Payload::None;
        while let Some(item) = cursor.next()? {
            match item {
                Item::Start(tag) if tag.is(Ns::Bind, "bind") => payload = read_bind(cursor)?,
                Item::Start(tag) if tag.is(Ns::Client, "error") => {
                    kind = IqKind::Error(read_error(cursor, Ns::Stanzas)?.0);
                }
                Item::Start(tag) => {
                    payload = match (tag.ns, tag.name) {
                        (Ns::Session, "session") => Payload::Session,
                        (Ns::Ping, "ping") => Payload::Ping,
                        _ => Payload::Other,
                    };
                    cursor.skip()?;
                }
                Item::End => break,
                Item::Text(_) => {}
            }
        }
        Ok(Self { kind, id, payload })
    }
}

fn read_bind(cursor: &mut Cursor<'_, '_>) -> Result<Payload, XmlError> {
    let mut resource = None;
    let mut jid = None;
    while let Some(item) = cursor.next()? {
        match item {
            Item::Start(tag) if tag.is(Ns::Bind, "resource") => {
                resource = Some(cursor.text()?.trim().to_owned()).filter(|name| !name.is_empty());
            }
            Item::Start(tag) if tag.is(Ns::Bind, "jid") => {
                jid = Some(cursor.text()?.trim().to_owned());
            }
            Item::Start(_) => cursor.skip()?,
            Item::End => break,
            Item::Text(_) => {}
        }
    }
    Ok(Payload::Bind { resource, jid })
}

/// The client's request for a resource (fixture E09).
pub(crate) fn push_bind(out: &mut BytesMut, id: &str, resource: Option<&str>) {
    push_start(out, "set", Some(id));
    out.extend_from_slice(b"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\">");
    if let Some(resource) = resource {
        out.extend_from_slice(b"<resource>");
        push_text(out, resource);
        out.extend_from_slice(b"</resource>");
    }
    out.extend_from_slice(b"</bind></iq>");
}

/// The endpoint's answer (fixture E10); the id is repeated where there was one.
pub(crate) fn push_bound(out: &mut BytesMut, id: Option<&str>, jid: &str) {
    push_start(out, "result", id);
    out.extend_from_slice(b"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"><jid>");
    push_text(out, jid);
    out.extend_from_slice(b"</jid></bind></iq>");
}

/// The client's optional session request (fixture E11).
pub(crate) fn push_session(out: &mut BytesMut, id: &str) {
    push_start(out, "set", Some(id));
    out.extend_from_slice(b"><session xmlns=\"urn:ietf:params:xml:ns:xmpp-session\"/></iq>");
}

/// The client's ping (fixture E13).
pub(crate) fn push_ping(out: &mut BytesMut, id: &str) {
    push_start(out, "get", Some(id));
    out.extend_from_slice(b"><ping xmlns=\"urn:xmpp:ping\"/></iq>");
}

/// An empty result, as to a ping or a session request (fixture E14).
pub(crate) fn push_result(out: &mut BytesMut, id: Option<&str>) {
    push_start(out, "result", id);
    out.extend_from_slice(b"/>");
}

/// The answer to what neither role serves, such as a roster (`docs/protocol.md` §12 #9).
pub(crate) fn push_unavailable(out: &mut BytesMut, id: Option<&str>) {
    push_start(out, "error", id);
    out.extend_from_slice(
        b"><error type=\"cancel\"><service-unavailable xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error></iq>",
    );
}

fn push_start(out: &mut BytesMut, kind: &str, id: Option<&str>) {
    out.extend_from_slice(b"<iq type=\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\"");
    if let Some(id) = id {
        out.extend_from_slice(b" id=\"");
        push_attribute(out, id);
        out.extend_from_slice(b"\"");
    }
}
