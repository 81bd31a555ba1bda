//! What a message costs in instructions and allocations.
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*measured*' <instructions> event raw 3000
//! ```
//!
//! Only what `measured` does is counted, so the total by the number of messages is the cost of one. The first word says
//! what is measured; `quot` writes every `"` of the JSON as `&quot;`, as some endpoints did; a number at the end is the
//! bytes of a read. Allocations are counted and printed without valgrind as well.

use std::fmt::Write as _;
use std::process::ExitCode;

use bytes::BytesMut;
use ccs_proto::message::{Data, Downstream, MessageId};
use ccs_proto::{AckToken, ClientEvent, ServerConfig, ServerEvent, Time};
use ccs_tests::pair::{Pair, client_config};

/// What one read of a socket gives, at most.
const READ: usize = 8 * 1024;
const DISTINCT: usize = 200;
const PAIRS: usize = 13;
/// Downstream messages that are written before the endpoint reads.
const BURST: usize = 10;
const NOW: Time = Time::ZERO;

/// What is measured.
#[derive(Clone, Copy)]
enum Part {
    /// Upstream: bytes to events.
    Event,
    /// Upstream: tokens to the bytes of acks.
    Ack,
    /// Downstream: typed messages to bytes.
    Down,
    /// The endpoint's side of the same: bytes to events to the bytes of acks.
    Endpoint,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (part, quotes, number, read) = match arguments[..] {
        [part, quotes, number] => (part, quotes, number, Ok(READ)),
        [part, quotes, number, read] => (part, quotes, number, read.parse()),
        _ => return usage(),
    };
    let part = match part {
        "event" => Part::Event,
        "ack" => Part::Ack,
        "down" => Part::Down,
        "endpoint" => Part::Endpoint,
        _ => return usage(),
    };
    let (Ok(number), Ok(read @ 1..), "raw" | "quot") = (number.parse(), read, quotes) else {
        return usage();
    };
    let corpus = Corpus::new(quotes == "quot");
    let mut run = Run::new(part, read);
    match part {
        Part::Event | Part::Ack => run.upstream(&corpus, number),
        Part::Down | Part::Endpoint => run.downstream(&corpus, number),
    }
    println!(
        "{number} messages, {:.2} allocations each",
        run.allocations as f64 / number as f64
    );
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: instructions event|ack|down|endpoint raw|quot MESSAGES [READ]");
    ExitCode::from(2)
}

#[inline(never)]
fn measured(work: impl FnOnce()) {
    work();
}

struct Run {
    part: Part,
    read: usize,
    pair: Pair,
    out: BytesMut,
    allocations: u64,
}

impl Run {
    fn new(part: Part, read: usize) -> Self {
        Self {
            part,
            read,
            pair: Pair::bound_with(client_config(), ServerConfig::default()),
            out: BytesMut::new(),
            allocations: 0,
        }
    }

    /// The work of one of the parts, which counts if that part is asked for.
    fn step(&mut self, is_asked: bool, work: impl FnOnce(&mut Pair, &mut BytesMut)) {
        let (pair, out) = (&mut self.pair, &mut self.out);
        if is_asked {
            let counted = allocation_counter::measure(|| measured(|| work(pair, out)));
            self.allocations += counted.count_total;
        } else {
            work(pair, out);
        }
    }

    fn upstream(&mut self, corpus: &Corpus, number: usize) {
        let (of_events, of_acks) = match self.part {
            Part::Event => (true, false),
            _ => (false, true),
        };
        let mut tokens: Vec<AckToken> = Vec::with_capacity(DISTINCT);
        let (mut left, mut messages) = (number, 0);
        while left > 0 {
            let some = left.min(DISTINCT);
            left -= some;
            for read in corpus.stanzas.as_bytes()[..corpus.ends[some - 1]].chunks(self.read) {
                self.step(of_events, |pair, _| {
                    let received = pair.client.receive(NOW, read);
                    received.expect("the corpus is in order");
                    while let Some(event) = pair.client.poll_event() {
                        let ClientEvent::Upstream { message, token } = event else {
                            panic!("{event:?}");
                        };
                        std::hint::black_box(message);
                        tokens.push(token);
                    }
                });
                messages += tokens.len();
                self.out.clear();
                self.step(of_acks, |pair, out| {
                    for token in tokens.drain(..) {
                        pair.client.ack(token).expect("its own");
                    }
                    while pair.client.poll_transmit(NOW, out) {}
                });
            }
        }
        assert_eq!(messages, number);
    }

    fn downstream(&mut self, corpus: &Corpus, number: usize) {
        let (of_client, of_endpoint) = match self.part {
            Part::Down => (true, false),
            _ => (false, true),
        };
        let mut messages: Vec<(Downstream, MessageId)> = Vec::with_capacity(BURST);
        let (mut made, mut answered) = (0, 0);
        while made < number {
            let some = BURST.min(number - made);
            // An endpoint knows an id that comes again.
            messages.extend((made..made + some).map(|number| {
                let (to, data) = &corpus.payloads[number % DISTINCT];
                let data = Data::from_json(data).expect("an object");
                let id = MessageId::from(format!("m-{number:012}"));
                (Downstream::to(to.as_str()).with_data(data), id)
            }));
            made += some;
            self.out.clear();
            self.step(of_client, |pair, out| {
                for (message, id) in &messages {
                    let message = message.encode(id).expect("valid");
                    let permit = pair.client.reserve().expect("a place");
                    permit.send(message).expect("a new id");
                }
                while pair.client.poll_transmit(NOW, out) {}
            });
            messages.clear();
            let sent = self.out.split();
            for read in sent.chunks(self.read) {
                self.step(of_endpoint, |pair, out| {
                    pair.server.receive(NOW, read).expect("in order");
                    while let Some(event) = pair.server.poll_event() {
                        let ServerEvent::Downstream { message, token, .. } = event else {
                            panic!("{event:?}");
                        };
                        std::hint::black_box(message);
                        pair.server.ack(token, None).expect("its own");
                    }
                    while pair.server.poll_transmit(NOW, out) {}
                });
            }
            let client = &mut self.pair.client;
            client.receive(NOW, &self.out).expect("in order");
            while let Some(event) = client.poll_event() {
                assert!(matches!(event, ClientEvent::Answered { .. }), "{event:?}");
                answered += 1;
            }
        }
        assert_eq!(answered, number);
    }
}

/// Messages of devices, one stanza after another, and what an app server would send of the same: to whom, and `data`.
struct Corpus {
    stanzas: String,
    ends: Vec<usize>,
    payloads: Vec<(String, String)>,
}

impl Corpus {
    fn new(quot: bool) -> Self {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let mut corpus = Self {
            stanzas: String::new(),
            ends: Vec::new(),
            payloads: Vec::new(),
        };
        for number in 0..DISTINCT {
            let (from, data) = (token(&mut random), data(&mut random));
            let json = format!(
                "{{\"from\":\"{from}\",\"message_id\":\"m-{number:012}\",\"category\":\"com.example.yourapp\",\"data\":{data}}}"
            );
            corpus.payloads.push((from, data));
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

fn token(random: &mut Random) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut token = String::from("APA91b");
    while token.len() < 152 {
        token.push(char::from(random.of(ALPHABET)));
    }
    token
}

/// About 1,000 bytes, of which 14 characters need an XML reference, for a body of about 1,247.
fn data(random: &mut Random) -> String {
    let mut json = String::from("{");
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
    json.push('}');
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
