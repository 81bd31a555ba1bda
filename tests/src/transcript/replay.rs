//! A recording's client against an endpoint of ours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::internals::{Frame, Framer};
use ccs_proto::message::{Control, FromEndpoint, MessageId, Receipt, Upstream};
use ccs_proto::{
    AnswerToken, ConnectionError, ConnectionId, ServerConfig, ServerConnection, ServerEvent,
    ServerFinished, Text, Time, XmlLimits,
};

use super::describe::describe;
use super::{Cut, Line, What, escape};
use crate::fixture::NONCE;

/// Feeds what the client wrote to an endpoint that does what the recording's did, and tells what came of it.
///
/// # Panics
/// The recording answers a message that our endpoint did not get, or our endpoint writes what is no stream.
#[must_use]
pub fn replay(lines: &[Line], cut: Cut) -> String {
    let mut replay = Replay::new(lines);
    for (number, line) in lines.iter().enumerate() {
        replay.time_passes(line.at);
        match &line.what {
            What::Client(bytes) => {
                replay.say(&format!("C> {}", escape(bytes)));
                match cut {
                    Cut::EachByte => bytes.chunks(1).for_each(|byte| replay.receive(byte)),
                    Cut::At { line, byte } if line == number => {
                        let (first, second) = bytes.split_at(byte);
                        replay.receive(first);
                        replay.receive(second);
                    }
                    Cut::Whole | Cut::At { .. } => replay.receive(bytes),
                }
            }
            What::Endpoint(bytes) => replay.act(bytes),
            What::Remark(remark) if remark == "EOF from client" => {
                replay.say("EOF");
                let end = replay.connection.receive_eof(replay.now);
                replay.note(end);
            }
            What::Remark(_) => {}
        }
        replay.tell();
    }
    replay.finish()
}

struct Replay {
    connection: ServerConnection,
    now: Time,
    /// Whether the recording lets the client in.
    accepts: bool,
    tokens: BTreeMap<MessageId, AnswerToken>,
    failure: Option<ConnectionError>,
    events: Vec<String>,
    written: Vec<u8>,
    /// Takes what was written apart again.
    framer: Framer,
    log: String,
}

impl Replay {
    fn new(lines: &[Line]) -> Self {
        let refused = lines.iter().any(
            |line| matches!(&line.what, What::Endpoint(bytes) if bytes.starts_with(b"<failure")),
        );
        let config = Arc::new(ServerConfig::default());
        Self {
            connection: ServerConnection::new(config, ConnectionId(1), NONCE, Time::ZERO),
            now: Time::ZERO,
            accepts: !refused,
            tokens: BTreeMap::new(),
            failure: None,
            events: Vec::new(),
            written: Vec::new(),
            framer: Framer::new(XmlLimits::default()),
            log: String::new(),
        }
    }

    fn time_passes(&mut self, at: Duration) {
        self.now = Time::from_origin(at);
        self.connection.handle_timeout(self.now);
        self.poll();
    }

    fn receive(&mut self, bytes: &[u8]) {
        let result = self.connection.receive(self.now, bytes);
        self.note(result);
        self.poll();
    }

    /// Keeps the error that ended the connection, which every later call returns again. The log has it from the last
    /// event, since which call returns it first depends on the cut.
    fn note(&mut self, result: Result<(), ConnectionError>) {
        match (result, &self.failure) {
            (Err(error), None) => self.failure = Some(error),
            (Err(error), Some(first)) => assert_eq!(error, *first),
            (Ok(()), failure) => assert!(failure.is_none(), "{failure:?}"),
        }
    }

    fn poll(&mut self) {
        loop {
            while let Some(event) = self.connection.poll_event() {
                self.events.push(describe(&event));
                self.handle(event);
            }
            let mut out = BytesMut::new();
            if !self.connection.poll_transmit(self.now, &mut out) {
                break;
            }
            self.written.extend_from_slice(&out);
        }
        // The last write may have closed the connection.
        while let Some(event) = self.connection.poll_event() {
            self.events.push(describe(&event));
        }
    }

    fn handle(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Login(request) => {
                let decided = if self.accepts {
                    self.connection.accept(self.now, request)
                } else {
                    self.connection.reject(self.now, request)
                };
                decided.expect("a request of this connection");
            }
            ServerEvent::Downstream {
                message_id, token, ..
            } => {
                self.tokens.insert(message_id, token);
            }
            _ => {}
        }
    }

    /// Does what the recording's endpoint did, where our connection does not do it of itself.
    fn act(&mut self, bytes: &[u8]) {
        let Some(body) = body_of(bytes) else {
            return;
        };
        let message = FromEndpoint::parse(&Text::from(body)).expect("a body of the recording");
        match message {
            FromEndpoint::Ack(ack) => {
                self.say(&format!("ack {}", ack.message_id));
                let token = self.tokens.remove(&ack.message_id).expect("a message");
                self.connection.ack(token, None).expect("an open stream");
            }
            FromEndpoint::Nack(nack) => {
                self.say(&format!("nack {} {}", nack.message_id, nack.code));
                let token = self.tokens.remove(&nack.message_id).expect("a message");
                let description = nack.description.unwrap_or_else(|| Text::from(""));
                self.connection
                    .nack(token, &nack.code, &description)
                    .expect("an open stream");
            }
            FromEndpoint::Upstream(recorded) => {
                self.say(&format!("send {}", recorded.message_id()));
                self.connection
                    .send(upstream(&recorded))
                    .expect("an open stream");
            }
            FromEndpoint::Receipt(recorded) => {
                self.say(&format!("send receipt {}", recorded.message_id()));
                self.connection
                    .send_receipt(receipt(&recorded))
                    .expect("an open stream");
            }
            FromEndpoint::Control(Control::ConnectionDraining) => {
                self.say("drain");
                self.connection.drain(self.now);
            }
            other => panic!("{other:?}"),
        }
        self.poll();
    }

    fn say(&mut self, line: &str) {
        self.log.push_str(line);
        self.log.push('\n');
    }

    /// Writes down what happened since the last time: events, then elements.
    fn tell(&mut self) {
        self.poll();
        for event in std::mem::take(&mut self.events) {
            self.say(&format!("    {event}"));
        }
        let written = std::mem::take(&mut self.written);
        let mut rest = written.as_slice();
        loop {
            let frame = self.framer.next(&mut rest).expect("a stream");
            let element = match frame {
                None => break,
                Some(Frame::StreamOpen(element) | Frame::Element(element)) => element.to_vec(),
                Some(Frame::StreamClose) => b"</stream:stream>".to_vec(),
                Some(other) => panic!("{other:?}"),
            };
            if element.starts_with(b"<success") {
                self.framer.restart();
            }
            self.say(&format!("    S> {}", escape(&element)));
        }
        assert!(!self.framer.is_mid_element(), "half an element was written");
    }

    fn finish(mut self) -> String {
        let end = match self.connection.end() {
            None => "end: still open".to_owned(),
            Some(Ok(())) => "end: in order".to_owned(),
            Some(Err(error)) => format!("end: {error}"),
        };
        self.say(&end);
        let ServerFinished {
            events,
            unacked,
            unsent,
            receipts,
            unanswered,
            ..
        } = self.connection.finish();
        assert!(events.is_empty(), "{events:?}");
        let messages = |messages: &[Upstream]| {
            let ids: Vec<&str> = messages.iter().map(|m| m.message_id().as_str()).collect();
            ids.join(", ")
        };
        let receipts: Vec<&str> = receipts.iter().map(|r| r.message_id().as_str()).collect();
        let unanswered: Vec<&str> = unanswered.iter().map(MessageId::as_str).collect();
        let left = format!(
            "left: unacked [{}], unsent [{}], receipts [{}], unanswered [{}]\n",
            messages(&unacked),
            messages(&unsent),
            receipts.join(", "),
            unanswered.join(", ")
        );
        self.log + &left
    }
}

/// The JSON of a message that the recording's endpoint wrote: `gcm` without a prefix or with one, and the three XML
/// references that it uses.
fn body_of(stanza: &[u8]) -> Option<String> {
    let stanza = std::str::from_utf8(stanza).ok()?;
    let message = stanza.strip_prefix("<message")?;
    let body = message.get(message.find('{')?..=message.rfind('}')?)?;
    let body = body.replace("&lt;", "<").replace("&gt;", ">");
    Some(body.replace("&amp;", "&"))
}

/// The recorded message as an endpoint of ours builds it.
fn upstream(recorded: &Upstream) -> Upstream {
    let mut message = Upstream::new(recorded.from().clone(), recorded.message_id().clone());
    if let Some(category) = recorded.category() {
        message = message.with_category(category);
    }
    if let Some(data) = recorded.data() {
        message = message.with_data(data.iter().collect());
    }
    if let Some(seconds) = recorded.time_to_live() {
        message = message.with_time_to_live(seconds);
    }
    message
}

fn receipt(recorded: &Receipt) -> Receipt {
    let device = recorded.device().expect("the device is recorded").clone();
    let sent_at = recorded.sent_at().expect("the time is recorded");
    let receipt = Receipt::new(recorded.original_message_id(), device, sent_at);
    match recorded.category() {
        Some(category) => receipt.with_category(category),
        None => receipt,
    }
}
