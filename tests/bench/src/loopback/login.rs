//! Logging in with what was written beforehand (`docs/protocol.md` §1.3), for peers that are no CCS and for whom CCS
//! meets. Nothing is checked.

use std::io;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const HEADER: &str = "<?xml version=\"1.0\"?><stream:stream from=\"gcm.googleapis.com\" id=\"1\" version=\"1.0\" \
     xmlns:stream=\"http://etherx.jabber.org/streams\" xmlns=\"jabber:client\">";

/// What an endpoint waits for, and what it answers. An id is put in for `{id}`.
const ENDPOINT: [(&str, &str); 4] = [
    (
        "<stream:stream",
        "<stream:features><mechanisms xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">\
         <mechanism>PLAIN</mechanism></mechanisms></stream:features>",
    ),
    (
        "</auth>",
        "<success xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"/>",
    ),
    (
        "<stream:stream",
        "<stream:features><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/></stream:features>",
    ),
    (
        "</iq>",
        "<iq id=\"{id}\" type=\"result\"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\">\
         <jid>123456789012@gcm.googleapis.com/bench</jid></bind></iq>",
    ),
];

/// What an app server says, and what it waits for then.
const APP_SERVER: [(&str, &str); 4] = [
    (CLIENT_HEADER, "</stream:features>"),
    // The sender id and KEY.
    (
        "<auth mechanism=\"PLAIN\" xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">\
         ADEyMzQ1Njc4OTAxMkBnY20uZ29vZ2xlYXBpcy5jb20AS0VZ</auth>",
        "<success",
    ),
    (CLIENT_HEADER, "</stream:features>"),
    (
        "<iq type=\"set\" id=\"b\"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/></iq>",
        "</iq>",
    ),
];

const CLIENT_HEADER: &str = "<stream:stream to=\"gcm.googleapis.com\" version=\"1.0\" \
     xmlns=\"jabber:client\" xmlns:stream=\"http://etherx.jabber.org/streams\">";

/// The endpoint's side.
pub async fn accept<S>(stream: &mut S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut seen = Vec::new();
    for (waited_for, answer) in ENDPOINT {
        read_until(stream, &mut seen, waited_for).await?;
        let asked = String::from_utf8_lossy(&seen).into_owned();
        let answer = match waited_for {
            "<stream:stream" => format!("{HEADER}{answer}"),
            _ => answer.replace("{id}", attribute(&asked, "id")),
        };
        seen.clear();
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// The app server's side. Gives what came after the login.
pub async fn log_in<S>(stream: &mut S) -> io::Result<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut seen = Vec::new();
    for (said, waited_for) in APP_SERVER {
        stream.write_all(said.as_bytes()).await?;
        stream.flush().await?;
        let end = read_until(stream, &mut seen, waited_for).await?;
        seen.drain(..end);
    }
    Ok(seen)
}

/// Where what was waited for ends, its tag closed.
async fn read_until<S>(stream: &mut S, seen: &mut Vec<u8>, waited_for: &str) -> io::Result<usize>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(found) = memmem::find(seen, waited_for.as_bytes())
            && let Some(length) = memchr::memchr(b'>', &seen[found..])
        {
            return Ok(found + length + 1);
        }
        if stream.read_buf(seen).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn attribute<'a>(text: &'a str, name: &str) -> &'a str {
    let value = [" ", name, "="].concat();
    let Some((_, rest)) = text.split_once(&value) else {
        return "";
    };
    let quote = rest.chars().next().unwrap_or('"');
    rest[1..].split(quote).next().unwrap_or("")
}
