//! Messages to measure with: as many distinct ones as a cache should not hold by heart, the same in every run.
//!
//! Tokens have 152 characters, as Google's had. About one character in 90 of a body needs an XML reference, and there are
//! words that are not ASCII and JSON escapes of both kinds.

use std::fmt::Write as _;
use std::ops::Range;

/// Distinct messages.
pub const MESSAGES: usize = 1_000;

/// As many as are in flight at once, by default.
pub const WINDOW: usize = 100;

/// Bytes of `data` in a message, nearly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub usize);

pub const SIZES: [Size; 3] = [Size(200), Size(1_000), Size(4_000)];

/// How the stanza has the quotes of its JSON: endpoints have sent both (`docs/protocol.md` §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// `"`
    Raw,
    /// `&quot;`
    Reference,
}

/// One message of a device.
pub struct Sample {
    pub from: String,
    pub id: String,
    /// A JSON object.
    pub data: String,
    /// The whole JSON.
    pub body: String,
}

pub struct Corpus {
    pub samples: Vec<Sample>,
    /// All stanzas, one after another.
    pub stream: Vec<u8>,
    /// Where each ends.
    pub ends: Vec<usize>,
}

impl Corpus {
    /// [`MESSAGES`] of this size.
    pub fn new(size: Size, quotes: Quotes) -> Self {
        Self::of(MESSAGES, size, quotes)
    }

    pub fn of(count: usize, size: Size, quotes: Quotes) -> Self {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let mut corpus = Self {
            samples: Vec::new(),
            stream: Vec::new(),
            ends: Vec::new(),
        };
        for number in 0..count {
            let sample = sample(&mut random, number, size);
            corpus
                .stream
                .extend(stanza(&sample.body, quotes).into_bytes());
            corpus.ends.push(corpus.stream.len());
            corpus.samples.push(sample);
        }
        corpus
    }

    /// The stanzas of some of the samples.
    pub fn stanzas(&self, samples: Range<usize>) -> &[u8] {
        let end = |samples: usize| samples.checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.stream[end(samples.start)..end(samples.end)]
    }

    /// What a message weighs in the stream, on average.
    pub fn weight(&self) -> usize {
        self.stream.len() / self.samples.len()
    }
}

/// As an endpoint sends it.
pub fn stanza(body: &str, quotes: Quotes) -> String {
    let text = body
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let text = match quotes {
        Quotes::Raw => text,
        Quotes::Reference => text.replace('"', "&quot;"),
    };
    format!("<message id=\"\"><gcm xmlns=\"google:mobile:data\">{text}</gcm></message>")
}

fn sample(random: &mut Random, number: usize, size: Size) -> Sample {
    const TOKEN: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut from = String::from("APA91b");
    while from.len() < 152 {
        from.push(char::from(random.of(TOKEN)));
    }
    let id = format!("m-{number:012}");
    let data = data(random, size);
    let body = format!(
        "{{\"from\":\"{from}\",\"message_id\":\"{id}\",\"category\":\"com.example.yourapp\",\"data\":{data}}}"
    );
    Sample {
        from,
        id,
        data,
        body,
    }
}

/// Pairs of a short key and a value of some words.
fn data(random: &mut Random, Size(size): Size) -> String {
    const VALUE: usize = 62;
    let mut data = String::from("{");
    let mut pair = 0;
    while pair == 0 || data.len() + 16 < size {
        let separator = if pair == 0 { "" } else { "," };
        let _ = write!(data, "{separator}\"key_{pair:02}\":\"");
        let end = (data.len() + VALUE).min(size.saturating_sub(4));
        while data.len() < end {
            data.push_str(random.of(WORDS));
            data.push(' ');
        }
        data.push(random.of(&['&', '<', '>']));
        data.push('"');
        pair += 1;
    }
    data.push('}');
    data
}

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

/// Xorshift.
struct Random(u64);

impl Random {
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        choices[(self.0 >> 11) as usize % choices.len()]
    }
}
