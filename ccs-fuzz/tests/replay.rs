//! Every case of the corpora, and random cases that are the same in every run.

use std::path::Path;

/// Pieces that XML, or something near it, is made of.
const PIECES: &[&[u8]] = &[
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
    b"</stream:stream>",
    b"<?xml version='1.0' encoding='UTF-8'?>",
    b"\xef\xbb\xbf",
    b"<a>",
    b"</a>",
    b"<c/>",
    b"<xml:f xml:lang='en'/>",
    b"<g xmlns=''/>",
    b"<s:h/>",
    b"<i j",
    b"='",
    b"\"",
    b">",
    b"/",
    b"<![CDATA[",
    b"]]>",
    b"]",
    b"<!-- -->",
    b"<!DOCTYPE a>",
    b"<?b?>",
    b"&amp;",
    b"&quot;",
    b"&#13;",
    b"&#xfffe;",
    b"&c;",
    b"&",
    b" ",
    b"\r\n",
    b"\t",
    b"text",
    b"{\"a\":\"b\"}",
    "\u{e9}\u{65e5}\u{1f600}".as_bytes(),
    b"\xef\xbf\xbe",
    b"\xc3",
    b"\0",
    b"\x1f",
];

/// Elements, so that some cases are well-formed.
const ELEMENTS: &[(&[u8], &[u8])] = &[
    (b"<a>", b"</a>"),
    (b"<b id='1' type=\"2\">", b"</b >"),
    (b"<message from=\"x\">", b"</message>"),
    (b"<gcm xmlns='google:mobile:data'>", b"</gcm>"),
    (b"<p:d xmlns:p='urn:xmpp:ping' p:e=''>", b"</p:d>"),
];

/// Of each target its corpus, and so many random cases of the kind that it takes.
macro_rules! targets {
    ($($target:ident: $cases:literal of $make:expr;)+) => {$(
        mod $target {
            #[test]
            fn corpus() {
                super::replay(stringify!($target), ccs_fuzz::$target::run);
            }

            #[test]
            fn random() {
                super::random($cases, ccs_fuzz::$target::run, $make);
            }
        }
    )+};
}

targets! {
    framer: 20_000 of |random| super::markup(random, 9);
    reader: 20_000 of |random| super::markup(random, 2);
    differential: 10_000 of |random| super::markup(random, 1);
    client: 2_000 of super::session;
    server: 2_000 of super::session;
    ledger: 20_000 of |random| super::noise(random, 120);
    pair: 300 of |random| super::noise(random, 80);
    io: 500 of |random| super::noise(random, 200);
    json: 20_000 of super::json_text;
    sasl: 5_000 of |random| super::noise(random, 60);
    stanza: 500 of |random| super::noise(random, 200);
    writer: 5_000 of |random| super::markup(random, 1);
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut cases = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("its files are listed").path();
        let case = std::fs::read(&path).expect("its files can be read");
        let _named = OnPanic(format!("the case is {}", path.display()));
        run(&case);
        cases += 1;
    }
    assert!(cases > 0, "no case in {}", folder.display());
}

fn random(cases: u64, run: fn(&[u8]), make: fn(&mut Random) -> Vec<u8>) {
    for seed in 1..=cases {
        let case = make(&mut Random::new(seed));
        let _named = OnPanic(format!("seed {seed}, the case is {}", case.escape_ascii()));
        run(&case);
    }
}

/// The first bytes choose how the case is run; then pieces follow, some of them damaged.
fn markup(random: &mut Random, choices: usize) -> Vec<u8> {
    let mut case: Vec<u8> = (0..choices).map(|_| random.byte()).collect();
    if random.below(4) > 0 {
        case.extend_from_slice(PIECES[0]);
    }
    let mut open = Vec::new();
    for _ in 0..random.below(14) {
        match random.below(4) {
            0 => {
                let (start, end) = ELEMENTS[random.below(ELEMENTS.len())];
                case.extend_from_slice(start);
                open.push(end);
            }
            1 => case.extend_from_slice(open.pop().unwrap_or_default()),
            _ => case.extend_from_slice(PIECES[random.below(PIECES.len())]),
        }
    }
    if random.below(4) > 0 {
        case.extend(open.iter().rev().copied().flatten());
    }
    if random.below(4) == 0 && !case.is_empty() {
        let at = random.below(case.len());
        case[at] = random.byte();
    }
    case
}

/// A few steps, then markup to read.
fn session(random: &mut Random) -> Vec<u8> {
    let steps = random.below(32);
    let mut case = vec![random.byte(), random.byte(), steps as u8];
    case.extend((0..steps).map(|_| random.byte()));
    case.extend(markup(random, 0));
    case
}

fn json_text(random: &mut Random) -> Vec<u8> {
    const WORDS: &[&str] = &[
        "\"message_id\":",
        "\"m\"",
        "\"to\":",
        "\"from\":",
        "\"data\":",
        "\"message_type\":",
        "\"ack\"",
        "\"nack\"",
        "\"receipt\"",
        "\"\\ud800\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        "1",
        "true",
        "null",
        "\"a<b\":",
        "\"x\"",
        "\"notification\":",
        "\"title\":",
        "'a' in topics",
        "&&",
        "!(",
        ")",
        " ",
    ];
    let mut case = vec![random.byte()];
    if random.below(2) == 0 {
        case.extend_from_slice(b"{\"message_id\":\"m\",\"to\":\"T\",\"from\":\"F\"");
    }
    for _ in 0..random.below(12) {
        case.extend_from_slice(WORDS[random.below(WORDS.len())].as_bytes());
    }
    case.push(b'}');
    case
}

fn noise(random: &mut Random, longest: usize) -> Vec<u8> {
    let length = random.below(longest);
    (0..length).map(|_| random.byte()).collect()
}

/// Xorshift; the seed alone says what comes.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Says which case it was.
struct OnPanic(String);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}
