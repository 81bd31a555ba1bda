//! SASL PLAIN (RFC 4616; `docs/protocol.md` §2.4, §2.5).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use zeroize::Zeroizing;

use crate::key::ApiKey;
use crate::message::SenderId;
use crate::xml::XmlError;
use crate::xml::{Cursor, Tag};

pub(crate) const SUCCESS: &[u8] = b"<success xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"/>";

/// RFC 4616 bounds each of the three parts at 255 bytes.
const PART_BYTES: usize = 255;

/// The client's `<auth>` element.
pub(crate) struct Auth {
    pub(crate) mechanism: String,
    payload: Zeroizing<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// Who wants to log in, from a PLAIN message.
#[derive(Debug, PartialEq)]
pub(crate) struct Plain<K = ApiKey> {
    pub(crate) sender: SenderId,
    /// What stood behind the `@` of the user name.
    pub(crate) domain: Option<String>,
    pub(crate) key: K,
}

/// Why an `<auth>` is no PLAIN login; the name is the SASL failure's condition (RFC 6120 §6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaslFailure {
    InvalidMechanism,
    IncorrectEncoding,
    MalformedRequest,
    InvalidAuthzid,
    NotAuthorized,
}

impl SaslFailure {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidMechanism => "invalid-mechanism",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::MalformedRequest => "malformed-request",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::NotAuthorized => "not-authorized",
        }
    }
}

impl Auth {
    pub(super) fn read(tag: &Tag<'_>, cursor: &mut Cursor<'_, '_>) -> Result<Self, XmlError> {
        let mechanism = tag.attribute("mechanism").unwrap_or_default().to_owned();
        let payload = Zeroizing::new(cursor.text()?.into_owned());
        Ok(Self { mechanism, payload })
    }

    /// The element with the length of its secret in place of it.
    pub(crate) fn redacted(&self) -> String {
        redacted(&self.mechanism, self.payload.len())
    }

    /// The login that it asks for. White space inside the base64 is passed over, `=` stands for nothing.
    pub(crate) fn plain(&self) -> Result<Plain, SaslFailure> {
        if self.mechanism != "PLAIN" {
            return Err(SaslFailure::InvalidMechanism);
        }
        let mut compact = Zeroizing::new(String::with_capacity(self.payload.len()));
        compact.extend(self.payload.split_ascii_whitespace());
        let decoded = match compact.as_str() {
            "=" => Zeroizing::new(Vec::new()),
            encoded => Zeroizing::new(
                STANDARD
                    .decode(encoded)
                    .map_err(|_| SaslFailure::IncorrectEncoding)?,
            ),
        };
        let text = std::str::from_utf8(&decoded).map_err(|_| SaslFailure::MalformedRequest)?;
        parse(text)
    }
}

/// Takes `authzid NUL authcid NUL password` apart. Who logs in is decided by the authcid alone; an authzid must name
/// the same sender, with or without a domain, so that nobody logs in as one and acts as another.
fn parse(message: &str) -> Result<Plain, SaslFailure> {
    let mut parts = message.split('\0');
    let (Some(authzid), Some(authcid), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SaslFailure::MalformedRequest);
    };
    let in_bounds = |part: &str| (1..=PART_BYTES).contains(&part.len());
    if authzid.len() > PART_BYTES || !in_bounds(authcid) || !in_bounds(password) {
        return Err(SaslFailure::MalformedRequest);
    }
    let (name, domain) = split_domain(authcid);
    if !authzid.is_empty() && split_domain(authzid).0 != name {
        return Err(SaslFailure::InvalidAuthzid);
    }
    let sender = name.parse().map_err(|_| SaslFailure::NotAuthorized)?;
    Ok(Plain {
        sender,
        domain: domain.map(str::to_owned),
        key: ApiKey::from(password),
    })
}

fn split_domain(name: &str) -> (&str, Option<&str>) {
    match name.split_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (name, None),
    }
}

fn redacted(mechanism: &str, bytes: usize) -> String {
    format!("<auth mechanism={mechanism:?}>[sasl {bytes} bytes]</auth>")
}

/// The client's login (fixtures E05b, E05c). Gives what may be shown of it.
pub(crate) fn push_auth(
    out: &mut BytesMut,
    sender: &SenderId,
    domain: Option<&str>,
    key: &ApiKey,
) -> String {
    let user = match domain {
        Some(domain) => format!("{sender}@{domain}"),
        None => sender.to_string(),
    };
    let parts = ["\0", user.as_str(), "\0", key.expose()];
    // At its full size at once: a string that grows leaves copies of itself behind.
    let size = parts.iter().map(|part| part.len()).sum();
    let mut message = Zeroizing::new(String::with_capacity(size));
    message.extend(parts);
    let encoded = Zeroizing::new(STANDARD.encode(message.as_bytes()));
    let element = [
        b"<auth mechanism=\"PLAIN\" xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">",
        encoded.as_bytes(),
        b"</auth>",
    ];
    out.reserve(element.iter().map(|part| part.len()).sum());
    element.iter().for_each(|part| out.extend_from_slice(part));
    redacted("PLAIN", encoded.len())
}

/// The endpoint's refusal (fixture E07).
pub(crate) fn push_failure(out: &mut BytesMut, failure: SaslFailure) {
    out.extend_from_slice(b"<failure xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"><");
    out.extend_from_slice(failure.as_str().as_bytes());
    out.extend_from_slice(b"/></failure>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(message: &str) -> Result<(String, Option<String>, String), SaslFailure> {
        let auth = Auth {
            mechanism: "PLAIN".to_owned(),
            payload: Zeroizing::new(STANDARD.encode(message)),
        };
        auth.plain().map(|plain| {
            let key = plain.key.expose().to_owned();
            (plain.sender.as_str().to_owned(), plain.domain, key)
        })
    }

    #[test]
    fn every_form_that_real_clients_send_names_the_sender() {
        let gcm = Some("gcm.googleapis.com".to_owned());
        for (message, domain) in [
            ("\x00123\x00KEY", None),
            ("\x00123@gcm.googleapis.com\x00KEY", gcm.clone()),
            ("123@gcm.googleapis.com\x00123\x00KEY", None),
            (
                "123@gcm.googleapis.com\x00123@gcm.googleapis.com\x00KEY",
                gcm,
            ),
            ("123\x00123\x00KEY", None),
        ] {
            assert_eq!(
                login(message),
                Ok(("123".to_owned(), domain, "KEY".to_owned())),
                "{message:?}"
            );
        }
    }

    #[test]
    fn what_is_no_login_is_refused_by_name() {
        let long = "9".repeat(256);
        for (message, failure) in [
            ("", SaslFailure::MalformedRequest),
            ("123\x00KEY", SaslFailure::MalformedRequest),
            ("\x00123\x00KEY\x00", SaslFailure::MalformedRequest),
            ("\x00\x00KEY", SaslFailure::MalformedRequest),
            ("\x00123\x00", SaslFailure::MalformedRequest),
            ("456\x00123\x00KEY", SaslFailure::InvalidAuthzid),
            (
                "456@gcm.googleapis.com\x00123\x00KEY",
                SaslFailure::InvalidAuthzid,
            ),
            ("\x00alice\x00KEY", SaslFailure::NotAuthorized),
            ("\x00@gcm.googleapis.com\x00KEY", SaslFailure::NotAuthorized),
            (&format!("\x00{long}\x00KEY"), SaslFailure::MalformedRequest),
            (&format!("\x00123\x00{long}"), SaslFailure::MalformedRequest),
        ] {
            assert_eq!(login(message), Err(failure), "{message:?}");
        }
    }

    #[test]
    fn base64_may_hold_white_space_and_nothing_else_that_is_foreign() {
        let auth = |mechanism: &str, payload: &str| {
            Auth {
                mechanism: mechanism.to_owned(),
                payload: Zeroizing::new(payload.to_owned()),
            }
            .plain()
        };
        let spaced = "ADEyMzQ1Njc4OTAx\n MkBnY20uZ29vZ2xlYXBpcy5jb20AVEVTVEtFWQ==\n";
        assert_eq!(
            auth("PLAIN", spaced).unwrap().sender.as_str(),
            "123456789012"
        );
        assert_eq!(
            auth("PLAIN", "!!").unwrap_err(),
            SaslFailure::IncorrectEncoding
        );
        assert_eq!(
            auth("PLAIN", "=").unwrap_err(),
            SaslFailure::MalformedRequest
        );
        assert_eq!(
            auth("X-OAUTH2", spaced).unwrap_err(),
            SaslFailure::InvalidMechanism
        );
    }
}
