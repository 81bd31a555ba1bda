//! What reading costs a message, for tools that count instructions and allocations.
//!
//! ```text
//! valgrind --tool=callgrind <instructions> raw 1000
//! valgrind --tool=callgrind <instructions> raw 3000
//! ```
//!
//! Set-up costs the same in both runs, so the difference of the totals by the difference of the numbers of messages is
//! the cost of one. `quot` writes every `"` of the JSON as `&quot;`, as some endpoints did; a third argument, `ack`,
//! acks every message and collects the bytes to write after every read.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::BytesMut;
use ccs_proto::{
    ClientConfig, ClientConnection, ClientEvent, ConnectionId, Time, TransportSecurity,
};

/// What one read of a socket gives, at most.
const READ: usize = 8 * 1024;
const DISTINCT: usize = 200;
const PAIRS: usize = 13;

const LOGIN: &str = concat!(
    "<stream:stream from=\"gcm.googleapis.com\" id=\"1\" version=\"1.0\" ",
    "xmlns:stream=\"http://etherx.jabber.org/streams\" xmlns=\"jabber:client\">",
    "<stream:features><mechanisms xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">",
    "<mechanism>PLAIN</mechanism></mechanisms></stream:features>",
    "<success xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"/>",
    "<stream:stream from=\"gcm.googleapis.com\" id=\"2\" version=\"1.0\" ",
    "xmlns:stream=\"http://etherx.jabber.org/streams\" xmlns=\"jabber:client\">",
    "<stream:features><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/></stream:features>",
    "<iq type=\"result\" id=\"bind-1\"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\">",
    "<jid>123456789012@gcm.googleapis.com/1</jid></bind></iq>",
);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (quotes, number, ack) = match arguments[..] {
        [quotes @ ("raw" | "quot"), number] => (quotes, number, false),
        [quotes @ ("raw" | "quot"), number, "ack"] => (quotes, number, true),
        _ => return usage(),
    };
    let Ok(number) = number.parse() else {
        return usage();
    };
    let corpus = Corpus::new(quotes == "quot");
    let (messages, written) = run(&corpus, number, ack);
    assert_eq!(messages, number);
    let (json, stanza) = (corpus.json / DISTINCT, corpus.stanzas.len() / DISTINCT);
    println!("{messages} messages of {json} B in {stanza} B, {written} B written");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: instructions raw|quot MESSAGES [ack]");
    ExitCode::from(2)
}

/// Reads so many messages; how many came out, and the bytes of their acks.
fn run(corpus: &Corpus, number: usize, ack: bool) -> (usize, usize) {
    let sender = "123456789012".parse().expect("twelve digits");
    let config = Arc::new(ClientConfig::new(sender, "key".into()));
    let security = TransportSecurity::VerifiedTls;
    let mut connection = ClientConnection::new(config, ConnectionId(1), security, Time::ZERO);
    let login = connection.receive(Time::ZERO, LOGIN.as_bytes());
    login.expect("the login is in order");
    let mut out = BytesMut::new();
    while connection.poll_transmit(Time::ZERO, &mut out) {}
    while connection.poll_event().is_some() {}
    assert!(connection.is_bound());

    let (mut messages, mut written) = (0, 0);
    let mut left = number;
    while left > 0 {
        let some = left.min(DISTINCT);
        left -= some;
        for read in corpus.stanzas.as_bytes()[..corpus.ends[some - 1]].chunks(READ) {
            let received = connection.receive(Time::ZERO, read);
            received.expect("the corpus is in order");
            while let Some(event) = connection.poll_event() {
                let ClientEvent::Upstream { token, .. } = event else {
                    panic!("{event:?}");
                };
                messages += 1;
                if ack {
                    connection.ack(token).expect("it is this connection's");
                }
            }
            out.clear();
            while ack && connection.poll_transmit(Time::ZERO, &mut out) {}
            written += out.len();
        }
    }
    (messages, written)
}

/// Upstream messages, one stanza after another.
struct Corpus {
    stanzas: String,
    ends: Vec<usize>,
    json: usize,
}

impl Corpus {
    fn new(quot: bool) -> Self {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let mut corpus = Self {
            stanzas: String::new(),
            ends: Vec::new(),
            json: 0,
        };
        for number in 0..DISTINCT {
            let json = message(&mut random, number);
            corpus.json += json.len();
            let escaped = json
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            let escaped = if quot {
                escaped.replace('"', "&quot;")
            } else {
                escaped
            };
            let _ = write!(
                corpus.stanzas,
                "<message id=\"\"><gcm xmlns=\"google:mobile:data\">{escaped}</gcm></message>"
            );
            corpus.ends.push(corpus.stanzas.len());
        }
        corpus
    }
}

/// About 1,000 bytes of data in a body of about 1,247, of which 14 characters need an XML reference.
fn message(random: &mut Random, number: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut from = String::from("APA91b");
    while from.len() < 152 {
        from.push(char::from(random.of(ALPHABET)));
    }
    let mut json = format!(
        "{{\"from\":\"{from}\",\"message_id\":\"m-{number:012}\",\"category\":\"com.example.yourapp\",\"data\":{{"
    );
    for pair in 0..PAIRS {
        let separator = if pair == 0 { "" } else { "," };
        let _ = write!(json, "{separator}\"key_{pair:02}\":\"");
        value(random, &mut json, 62);
        // One reference in each value, and one more in the first.
        json.push(random.of(&['&', '<', '>']));
        if pair == 0 {
            json.push('&');
        }
        json.push('"');
    }
    json.push_str("}}");
    json
}

fn value(random: &mut Random, json: &mut String, length: usize) {
    const WORDS: &[&str] = &[
        "position",
        "a",
        "of",
        "the",
        "message",
        "42",
        "17.5",
        "stored",
        "update",
        "at",
        "and",
        "Zürich",
        "日本",
        "\\n",
        "\\u00e9",
        "sensor",
        "temperature",
        "to",
        "is",
        "level",
        "next",
        "before",
        "3",
        "hours",
        "value",
        "which",
    ];
    let end = json.len() + length;
    while json.len() < end {
        json.push_str(random.of(WORDS));
        json.push(' ');
    }
}

/// Xorshift: the same messages in every run.
struct Random(u64);

impl Random {
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        choices[(self.0 >> 11) as usize % choices.len()]
    }
}
