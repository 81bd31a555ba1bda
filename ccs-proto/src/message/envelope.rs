//! Whole stanzas from fixed templates, in the forms that were captured and that real clients depend on
//! (`docs/protocol.md` §4.1, §5, §12 #1–#3).

use bytes::BytesMut;

use super::encode::EncodedDownstream;
use super::json::{Object, push_in_string};
use super::nack_code::NackCode;
use super::receipt::Receipt;
use super::upstream::Upstream;
use crate::plain::is_plain;
use crate::xml::chars::find_illegal;
use crate::xml::writer::{push_attribute, push_text};

/// Ack, nack and control: a bare `<message>` and a prefix. A client is known that matches these very bytes.
const BARE_OPEN: &[u8] = b"<message><data:gcm xmlns:data=\"google:mobile:data\">";
const BARE_CLOSE: &[u8] = b"</data:gcm></message>";
const GCM_OPEN: &[u8] = b"<gcm xmlns=\"google:mobile:data\">";
const GCM_CLOSE: &[u8] = b"</gcm></message>";

/// A downstream message. The stanza has the message's id, by which a stanza error can be told to be about it; where XML
/// cannot carry the id, none, and the echoed body tells.
pub(super) fn push_downstream(out: &mut BytesMut, message: &EncodedDownstream) {
    let id = message.id().as_str();
    out.extend_from_slice(b"<message id=\"");
    if is_plain(id) {
        out.extend_from_slice(id.as_bytes());
    } else if find_illegal(id).is_none() {
        push_attribute(out, id);
    }
    out.extend_from_slice(b"\">");
    out.extend_from_slice(GCM_OPEN);
    message.push_json(out);
    out.extend_from_slice(GCM_CLOSE);
}

/// The app server's ack of an upstream message or a receipt (fixture E34).
pub(crate) fn push_client_ack(out: &mut BytesMut, to: &str, message_id: &str) {
    out.extend_from_slice(b"<message id=\"\"><gcm xmlns=\"google:mobile:data\">{\"to\":\"");
    push_in_string(out, to);
    out.extend_from_slice(b"\",\"message_id\":\"");
    push_in_string(out, message_id);
    out.extend_from_slice(b"\",\"message_type\":\"ack\"}</gcm></message>");
}

/// The endpoint's ack (fixtures E21, E22).
pub(crate) fn push_ack(out: &mut BytesMut, from: &str, message_id: &str, canonical: Option<&str>) {
    out.extend_from_slice(BARE_OPEN);
    out.extend_from_slice(b"{\"message_type\":\"ack\",\"from\":\"");
    push_in_string(out, from);
    out.extend_from_slice(b"\",\"message_id\":\"");
    push_in_string(out, message_id);
    if let Some(canonical) = canonical {
        out.extend_from_slice(b"\",\"registration_id\":\"");
        push_in_string(out, canonical);
    }
    out.extend_from_slice(b"\"}");
    out.extend_from_slice(BARE_CLOSE);
}

/// The endpoint's nack (fixture E23).
pub(crate) fn push_nack(
    out: &mut BytesMut,
    from: Option<&str>,
    message_id: &str,
    code: &NackCode,
    description: &str,
) {
    out.extend_from_slice(BARE_OPEN);
    let mut object = Object::open(out);
    object.string("message_type", "nack");
    if let Some(from) = from {
        object.string("from", from);
    }
    object.string("message_id", message_id);
    object.string("error", code.as_str());
    object.string("error_description", description);
    object.close();
    out.extend_from_slice(BARE_CLOSE);
}

/// The endpoint drains the connection (fixture E18).
pub(crate) fn push_draining(out: &mut BytesMut) {
    out.extend_from_slice(BARE_OPEN);
    out.extend_from_slice(
        b"{\"message_type\":\"control\",\"control_type\":\"CONNECTION_DRAINING\"}",
    );
    out.extend_from_slice(BARE_CLOSE);
}

/// An upstream message (fixture E30): `to`, `from` and `type` in this order, which clients match.
pub(crate) fn push_upstream(out: &mut BytesMut, to: &str, message: &Upstream) {
    push_from_devices(out, to, message.body());
}

/// A receipt, in a stanza like an upstream message (fixture E35).
pub(crate) fn push_receipt(out: &mut BytesMut, to: &str, receipt: &Receipt) {
    push_from_devices(out, to, receipt.body());
}

fn push_from_devices(out: &mut BytesMut, to: &str, json: &str) {
    out.extend_from_slice(b"<message to=\"");
    push_attribute(out, to);
    out.extend_from_slice(b"\" from=\"devices@gcm.googleapis.com\" type=\"normal\">");
    out.extend_from_slice(GCM_OPEN);
    super::json::push_json(out, json);
    out.extend_from_slice(GCM_CLOSE);
}

/// Which stanza error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StanzaErrorKind {
    /// The message could not be read (fixture E16).
    BadRequest400,
    /// An ack of something that was not sent here (fixture E17).
    NotAcceptable406,
}

/// A stanza error: the stanza's id and its `<gcm>` come back. This is the one place where foreign text needs XML escapes.
pub(crate) fn push_stanza_error(
    out: &mut BytesMut,
    kind: StanzaErrorKind,
    stanza_id: Option<&str>,
    to: &str,
    gcm: Option<&str>,
    text: &str,
) {
    let (code, condition) = match kind {
        StanzaErrorKind::BadRequest400 => ("400", "bad-request"),
        StanzaErrorKind::NotAcceptable406 => ("406", "not-acceptable"),
    };
    out.extend_from_slice(b"<message id=\"");
    push_attribute(out, stanza_id.unwrap_or_default());
    out.extend_from_slice(b"\" type=\"error\" to=\"");
    push_attribute(out, to);
    out.extend_from_slice(b"\">");
    if let Some(gcm) = gcm {
        out.extend_from_slice(GCM_OPEN);
        push_text(out, gcm);
        out.extend_from_slice(b"</gcm>");
    }
    out.extend_from_slice(b"<error code=\"");
    out.extend_from_slice(code.as_bytes());
    out.extend_from_slice(b"\" type=\"modify\"><");
    out.extend_from_slice(condition.as_bytes());
    out.extend_from_slice(
        b" xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/><text xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\">",
    );
    push_text(out, text);
    out.extend_from_slice(b"</text></error></message>");
}
