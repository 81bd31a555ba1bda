//! A login is what RFC 4616 and the base64 of RFC 4648 say, read here a second time and more simply: the same sender, the
//! same key, or the same refusal. The session acts as who logged in.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use ccs_proto::internals::push_text;
use ccs_proto::{
    ConnectionError, ConnectionId, Nonce, ServerConfig, ServerConnection, ServerEvent, Time,
};

use crate::input::Input;

const HEADER: &[u8] =
    b"<stream:stream to='gcm.googleapis.com' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";
const BIND: &[u8] = b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";

/// The first byte of a case: whether the rest is what stands in the element or what is behind its base64.
pub fn run(case: &[u8]) {
    let mut input = Input(case);
    let payload = if input.byte() & 1 == 0 {
        STANDARD.encode(input.0)
    } else {
        // A form feed cannot stand in XML, though base64 would pass over it.
        String::from_utf8_lossy(input.0).replace('\u{c}', " ")
    };
    let mut config = ServerConfig::default();
    config.login_bytes = config.limits.xml.stanza;
    let mut server = ServerConnection::new(
        Arc::new(config),
        ConnectionId(1),
        Nonce([7; 20]),
        Time::ZERO,
    );
    assert_eq!(server.receive(Time::ZERO, HEADER), Ok(()));
    let mut auth = BytesMut::new();
    auth.extend_from_slice(b"<auth mechanism='PLAIN' xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
    push_text(&mut auth, &payload);
    auth.extend_from_slice(b"</auth>");
    let result = server.receive(Time::ZERO, &auth);

    match (expected(&payload), result) {
        (Ok(login), Ok(())) => logged_in(&mut server, &login),
        (Err(wanted), Err(ConnectionError::LoginRefused { condition, .. })) => {
            assert_eq!(condition, wanted, "{payload:?}");
            assert!(server.poll_event().is_none(), "nothing to decide");
        }
        (wanted, found) => panic!("{payload:?}: {wanted:?}, and not {found:?}"),
    }
}

fn logged_in(server: &mut ServerConnection, login: &Login) {
    let Some(ServerEvent::Login(request)) = server.poll_event() else {
        panic!("no login of {login:?}");
    };
    assert_eq!(request.sender().as_str(), login.sender);
    assert_eq!(request.key().expose(), login.key);
    assert!(
        !format!("{request:?}").contains("key"),
        "a request shows its key"
    );
    assert!(server.accept(Time::ZERO, request).is_ok());
    assert_eq!(server.receive(Time::ZERO, HEADER), Ok(()));
    assert_eq!(server.receive(Time::ZERO, BIND), Ok(()));
    let Some(ServerEvent::Bound { sender, jid }) = server.poll_event() else {
        panic!("not bound");
    };
    assert_eq!(
        sender.as_str(),
        login.sender,
        "logged in as one, bound as another"
    );
    assert!(jid.starts_with(&format!("{}@", login.sender)), "{jid}");
}

#[derive(Debug)]
struct Login {
    sender: String,
    key: String,
}

/// The condition of a refusal otherwise (RFC 6120 §6.5).
fn expected(payload: &str) -> Result<Login, &'static str> {
    let compact: Vec<u8> = payload
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let message = if compact == b"=" {
        Vec::new()
    } else {
        decode(&compact).ok_or("incorrect-encoding")?
    };
    let message = std::str::from_utf8(&message).map_err(|_| "malformed-request")?;
    let parts: Vec<&str> = message.split('\0').collect();
    let &[acts_as, who, key] = parts.as_slice() else {
        return Err("malformed-request");
    };
    let lengths_fit = acts_as.len() < 256 && who.len() < 256 && key.len() < 256;
    if !lengths_fit || who.is_empty() || key.is_empty() {
        return Err("malformed-request");
    }
    let local = |name: &str| name.chars().take_while(|c| *c != '@').collect::<String>();
    let sender = local(who);
    if !acts_as.is_empty() && local(acts_as) != sender {
        return Err("invalid-authzid");
    }
    let is_digits = sender.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits || sender.is_empty() || sender.len() > 32 {
        return Err("not-authorized");
    }
    Ok(Login {
        sender,
        key: key.to_owned(),
    })
}

/// Base64 with padding, in the one form that it has.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let last = text.len() / 4;
    for (at, four) in text.chunks(4).enumerate() {
        let digits = four.iter().take_while(|byte| **byte != b'=').count();
        let padded = four.iter().skip(digits).all(|byte| *byte == b'=');
        if four.len() < 4 || digits < 2 || !padded || (digits < 4 && at + 1 < last) {
            return None;
        }
        let mut bits = 0_u32;
        for byte in four.iter().take(digits) {
            let digit = ALPHABET.iter().position(|known| known == byte)?;
            bits = bits << 6 | digit as u32;
        }
        bits <<= 6 * (4 - digits);
        let [_, bytes @ ..] = bits.to_be_bytes();
        let (used, unused) = bytes.split_at(digits - 1);
        if unused.iter().any(|byte| *byte != 0) {
            return None;
        }
        out.extend_from_slice(used);
    }
    Some(out)
}
