//! Stream conditions and stream errors (RFC 6120 §4.9).

use std::fmt;

use bytes::BytesMut;

use crate::xml::writer::push_text;

/// Why a stream ended: the condition of a stream error (RFC 6120 §4.9.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each variant is the RFC's condition of that name"
)]
pub enum StreamCondition {
    BadFormat,
    BadNamespacePrefix,
    Conflict,
    ConnectionTimeout,
    HostUnknown,
    InternalServerError,
    InvalidNamespace,
    /// Google's answer to ill-formed XML (`docs/protocol.md` §2.7, fixture E15).
    InvalidXml,
    NotAuthorized,
    NotWellFormed,
    PolicyViolation,
    ResourceConstraint,
    RestrictedXml,
    SystemShutdown,
    UndefinedCondition,
    UnsupportedEncoding,
    UnsupportedStanzaType,
    UnsupportedVersion,
    /// A condition that has no name here.
    Other(String),
}

impl StreamCondition {
    /// The condition's element name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::BadFormat => "bad-format",
            Self::BadNamespacePrefix => "bad-namespace-prefix",
            Self::Conflict => "conflict",
            Self::ConnectionTimeout => "connection-timeout",
            Self::HostUnknown => "host-unknown",
            Self::InternalServerError => "internal-server-error",
            Self::InvalidNamespace => "invalid-namespace",
            Self::InvalidXml => "invalid-xml",
            Self::NotAuthorized => "not-authorized",
            Self::NotWellFormed => "not-well-formed",
            Self::PolicyViolation => "policy-violation",
            Self::ResourceConstraint => "resource-constraint",
            Self::RestrictedXml => "restricted-xml",
            Self::SystemShutdown => "system-shutdown",
            Self::UndefinedCondition => "undefined-condition",
            Self::UnsupportedEncoding => "unsupported-encoding",
            Self::UnsupportedStanzaType => "unsupported-stanza-type",
            Self::UnsupportedVersion => "unsupported-version",
            Self::Other(name) => name,
        }
    }

    pub(crate) fn from_name(name: &str) -> Self {
        const KNOWN: [StreamCondition; 18] = [
            StreamCondition::BadFormat,
            StreamCondition::BadNamespacePrefix,
            StreamCondition::Conflict,
            StreamCondition::ConnectionTimeout,
            StreamCondition::HostUnknown,
            StreamCondition::InternalServerError,
            StreamCondition::InvalidNamespace,
            StreamCondition::InvalidXml,
            StreamCondition::NotAuthorized,
            StreamCondition::NotWellFormed,
            StreamCondition::PolicyViolation,
            StreamCondition::ResourceConstraint,
            StreamCondition::RestrictedXml,
            StreamCondition::SystemShutdown,
            StreamCondition::UndefinedCondition,
            StreamCondition::UnsupportedEncoding,
            StreamCondition::UnsupportedStanzaType,
            StreamCondition::UnsupportedVersion,
        ];
        KNOWN
            .into_iter()
            .find(|known| known.as_str() == name)
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for StreamCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Writes a stream error. Without a text for `invalid-xml`: a known client compares the captured bytes literally
/// (`docs/protocol.md` §13, fixture E15).
pub(crate) fn push_stream_error(out: &mut BytesMut, condition: &StreamCondition, text: &str) {
    out.extend_from_slice(b"<stream:error><");
    // A name from elsewhere is not put into markup of ours.
    let name = match condition {
        StreamCondition::Other(_) => StreamCondition::UndefinedCondition.as_str(),
        known => known.as_str(),
    };
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b" xmlns=\"urn:ietf:params:xml:ns:xmpp-streams\"/>");
    if !text.is_empty() && *condition != StreamCondition::InvalidXml {
        out.extend_from_slice(b"<text xmlns=\"urn:ietf:params:xml:ns:xmpp-streams\">");
        push_text(out, text);
        out.extend_from_slice(b"</text>");
    }
    out.extend_from_slice(b"</stream:error>");
}
