//! A peer that says what the test says, and keeps no rule.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use ccs_proto::driver::Transport;

/// How an endpoint opens its stream.
pub const HEADER: &str = "<stream:stream from='gcm.googleapis.com' id='1' version='1.0' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>";

/// What it offers first.
pub const PLAIN: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>PLAIN</mechanism></mechanisms></stream:features>";

/// The hand-written end of a connection.
pub struct Script<T> {
    transport: T,
    heard: String,
    used: usize,
}

impl<T: Transport> Script<T> {
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            heard: String::new(),
            used: 0,
        }
    }

    /// Reads until `text` comes, and returns what came before and with it.
    pub async fn hear(&mut self, text: &str) -> String {
        poll_fn(|cx| self.poll_hear(cx, text)).await
    }

    fn poll_hear(&mut self, cx: &mut Context<'_>, text: &str) -> Poll<String> {
        loop {
            if let Some(at) = self.heard[self.used..].find(text) {
                let end = self.used + at + text.len();
                let heard = self.heard[self.used..end].to_owned();
                self.used = end;
                return Poll::Ready(heard);
            }
            let more = ready!(self.poll_more(cx));
            assert!(more, "waited for {text:?}, and heard {:?}", self.heard);
        }
    }

    /// Whether there was more to read.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut buffer = [0; 4096];
        let count = ready!(self.transport.poll_read(cx, &mut buffer)).unwrap_or(0);
        self.heard
            .push_str(std::str::from_utf8(&buffer[..count]).expect("ASCII"));
        Poll::Ready(count > 0)
    }

    /// Reads to the end, and returns all that was not heard before.
    pub async fn hear_all(mut self) -> String {
        while poll_fn(|cx| self.poll_more(cx)).await {}
        self.heard.split_off(self.used)
    }

    /// The next bytes, whatever they are.
    pub async fn hear_some(&mut self) -> Vec<u8> {
        let mut buffer = [0; 4096];
        let read = poll_fn(|cx| self.transport.poll_read(cx, &mut buffer)).await;
        buffer[..read.unwrap_or(0)].to_vec()
    }

    /// All bytes to the end, whatever they are.
    pub async fn hear_bytes(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        loop {
            match self.hear_some().await {
                more if more.is_empty() => return heard,
                more => heard.extend(more),
            }
        }
    }

    /// The id of the next message that is no ack.
    pub async fn hear_message(&mut self) -> String {
        loop {
            if let Some(id) = downstream_id(&self.hear("</message>").await) {
                return id;
            }
        }
    }

    pub async fn say(&mut self, text: &str) {
        let mut left = text.as_bytes();
        while !left.is_empty() {
            let count = poll_fn(|cx| self.transport.poll_write(cx, left)).await;
            left = &left[count.expect("it writes")..];
        }
        poll_fn(|cx| self.transport.poll_flush(cx))
            .await
            .expect("it flushes");
    }

    /// Writes `all` before it answers anything, reads meanwhile, and then acks each message that it read until the
    /// client ends the stream.
    pub async fn flood(mut self, all: String) {
        let mut out = all.into_bytes();
        let mut over = false;
        poll_fn(|cx| {
            while !over && let Poll::Ready(more) = self.poll_more(cx) {
                over = !more;
                while let Some(at) = self.heard[self.used..].find('>') {
                    let stanza = &self.heard[self.used..=self.used + at];
                    over |= stanza.contains("/stream:stream");
                    if let Some(id) = downstream_id(stanza) {
                        out.extend(ack_of(&id).into_bytes());
                    }
                    self.used += at + 1;
                }
            }
            while !out.is_empty() {
                match self.transport.poll_write(cx, &out) {
                    Poll::Ready(Ok(count)) => drop(out.drain(..count)),
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let _ = ready!(self.transport.poll_flush(cx));
            if over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        if poll_fn(|cx| self.transport.poll_write(cx, b"</stream:stream>"))
            .await
            .is_ok()
        {
            let _ = poll_fn(|cx| self.transport.poll_close(cx)).await;
        }
    }

    pub async fn log_in(&mut self) {
        self.authenticate().await;
        self.hear("</iq>").await;
        self.say(
            "<iq type='result' id='bind-1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
            <jid>123456789012@gcm.googleapis.com/1</jid></bind></iq>",
        )
        .await;
    }

    /// Up to the bind.
    pub async fn authenticate(&mut self) {
        self.hear("streams\">").await;
        self.say(HEADER).await;
        self.say(PLAIN).await;
        self.hear("</auth>").await;
        self.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            .await;
        self.hear("streams\">").await;
        self.say(HEADER).await;
        self.say(
            "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>",
        )
        .await;
    }
}

/// The id in a downstream message; `None` for an ack.
pub fn downstream_id(stanza: &str) -> Option<String> {
    if stanza.contains("\"message_type\":\"ack\"") {
        return None;
    }
    let (_, after) = stanza.split_once("\"message_id\":\"")?;
    Some(after.split_once('"')?.0.to_owned())
}

pub fn gcm(json: &str) -> String {
    format!("<message><gcm xmlns='google:mobile:data'>{json}</gcm></message>")
}

pub fn ack_of(id: &str) -> String {
    gcm(&format!(
        r#"{{"message_type":"ack","from":"DEVICE","message_id":"{id}"}}"#
    ))
}

pub fn upstream_stanza(n: usize) -> String {
    gcm(&format!(
        r#"{{"category":"app","from":"DEVICE","message_id":"u-{n}","data":{{"n":"{n}"}}}}"#
    ))
}
