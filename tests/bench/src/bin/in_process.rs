//! What a message costs without sockets, beside the peers and the limits.
//!
//! `cargo run --release --manifest-path tests/bench/Cargo.toml --bin in_process -- [--rounds N] [--json]`
//!
//! Words go to stderr, tables to stdout; with `--json` there are lines of JSON instead, one for each number.

use std::process::ExitCode;
use std::rc::Rc;

use ccs_bench::corpus::{Corpus, MESSAGES, Quotes, SIZES, Size, WINDOW};
use ccs_bench::job::{Case, Job, Measured, measure};
#[cfg(feature = "xmpp-rs")]
use ccs_bench::jobs::xmpp_rs;
use ccs_bench::jobs::{ccs, json, limits, naive};
use ccs_bench::table;

const READ: usize = 8 * 1024;
const DRIBBLE: usize = 64;

/// What is done, by whom, with what.
#[derive(Clone, Copy, PartialEq)]
struct Label {
    what: &'static str,
    by: &'static str,
    size: Size,
    quotes: Quotes,
    chunk: usize,
}

const UP: &str = "upstream bytes -> event";
const UP_ACK: &str = "upstream bytes -> event -> ack bytes";
const ACK: &str = "ack -> bytes";
const DOWN: &str = "downstream -> bytes";
const SEND: &str = "downstream -> connection -> bytes";
const ENDPOINT: &str = "endpoint: downstream bytes -> event -> ack bytes";
const JSON: &str = "JSON of an upstream message alone";
const LIMIT: &str = "limits, on the bytes of the stream";

/// What a row is compared with: serde_json with the payload alone, nothing copied.
fn base(what: &'static str) -> (&'static str, &'static str) {
    match what {
        ACK => (what, NO_STANZA),
        DOWN | SEND => (DOWN, NO_STANZA),
        _ => (JSON, RAW),
    }
}

const RAW: &str = "serde_json RawValue";
const NO_STANZA: &str = "serde_json, no stanza";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut rounds, mut as_json) = (15, false);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.size_hint()) {
            ("--json", _) => as_json = true,
            ("--rounds", _) => match arguments.next().and_then(|n| n.parse().ok()) {
                Some(number) => rounds = number,
                None => return usage(),
            },
            _ => return usage(),
        }
    }
    let measured = measure(cases(), rounds);
    match as_json {
        true => print_json(&measured),
        false => print_tables(&measured),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: in_process [--rounds N] [--json]");
    ExitCode::from(2)
}

fn cases() -> Vec<Case<Label>> {
    let mut cases = Vec::new();
    for size in SIZES {
        for quotes in [Quotes::Raw, Quotes::Reference] {
            let corpus = Rc::new(Corpus::new(size, quotes));
            eprintln!("{size:?}, {quotes:?}: {} B a stanza", corpus.weight());
            for chunk in [READ, DRIBBLE] {
                // Reads that small are rare: one size shows what they cost.
                if chunk == READ || size == Size(1_000) {
                    let label = Label {
                        what: "",
                        by: "",
                        size,
                        quotes,
                        chunk,
                    };
                    add_reads(&mut cases, &corpus, label);
                }
            }
        }
    }
    cases
}

fn add_reads(cases: &mut Vec<Case<Label>>, corpus: &Rc<Corpus>, label: Label) {
    let chunk = label.chunk;
    let corpus = || Rc::clone(corpus);
    let mut add = |what, by, job: Box<dyn Job>| {
        let messages = match (what, by) {
            // What is in flight, or not acked, is a window at most.
            (UP | ACK | SEND, "ccs") | (ENDPOINT, _) => WINDOW,
            _ => MESSAGES,
        };
        let label = Label { what, by, ..label };
        cases.push(Case {
            label,
            messages,
            job,
        });
    };
    add(UP, "ccs", Box::new(ccs::Events::new(corpus(), chunk)));
    add(UP, "naive", Box::new(naive::reads(corpus(), chunk, false)));
    #[cfg(feature = "xmpp-rs")]
    add(
        UP,
        "xmpp-rs",
        Box::new(xmpp_rs::reads(corpus(), chunk, false)),
    );
    add(UP_ACK, "ccs", Box::new(ccs::Acks::new(corpus(), chunk)));
    add(
        UP_ACK,
        "naive",
        Box::new(naive::reads(corpus(), chunk, true)),
    );
    #[cfg(feature = "xmpp-rs")]
    add(
        UP_ACK,
        "xmpp-rs",
        Box::new(xmpp_rs::reads(corpus(), chunk, true)),
    );
    add(JSON, RAW, Box::new(json::read_raw(&corpus())));
    if chunk == READ {
        add(LIMIT, "memcpy", Box::new(limits::copy(corpus(), chunk)));
        add(LIMIT, "memchr '<'", Box::new(limits::tags(corpus())));
        add(LIMIT, "UTF-8, std", Box::new(limits::utf8(corpus())));
        add(
            LIMIT,
            "UTF-8, simdutf8",
            Box::new(limits::simd_utf8(corpus())),
        );
    }
    // The quotes of what comes in make no difference here.
    if label.quotes == Quotes::Raw {
        let window = Rc::new(Corpus::of(WINDOW, label.size, label.quotes));
        add(ENDPOINT, "ccs", Box::new(ccs::Answers::new(window, chunk)));
        if chunk == READ {
            add(
                JSON,
                "serde_json owned",
                Box::new(json::read_owned(corpus())),
            );
            add(ACK, "ccs", Box::new(ccs::AckBytes::new(corpus(), chunk)));
            add(ACK, "naive", Box::new(naive::acks(corpus())));
            add(ACK, NO_STANZA, Box::new(json::write_ack(corpus())));
            add(DOWN, "ccs", Box::new(ccs::Writes::new(&corpus())));
            add(DOWN, "naive", Box::new(naive::writes(corpus())));
            #[cfg(feature = "xmpp-rs")]
            add(DOWN, "xmpp-rs", Box::new(xmpp_rs::writes(corpus())));
            add(DOWN, NO_STANZA, Box::new(json::write_raw(corpus())));
            add(SEND, "ccs", Box::new(ccs::Sends::new(&corpus())));
        }
    }
}

fn print_tables(measured: &[Measured<Label>]) {
    let ns = |m: &Measured<Label>| format!("{:.0}", m.ns);
    show(measured, "ns a message", ns);
    let ratio =
        |m: &Measured<Label>| ratio(measured, m).map_or_else(String::new, |r| format!("{r:.2}"));
    show(
        measured,
        "times what serde_json takes for the JSON of the same message, nothing copied",
        ratio,
    );
    let allocations = |m: &Measured<Label>| format!("{:.2}", m.allocations);
    show(measured, "allocations a message", allocations);
}

fn ratio(measured: &[Measured<Label>], of: &Measured<Label>) -> Option<f64> {
    let (what, by) = base(of.label.what);
    let base = Label {
        what,
        by,
        ..of.label
    };
    let base = measured.iter().find(|other| other.label == base)?;
    Some(of.ns / base.ns)
}

/// A row for each thing that is done and who does it, a column for each kind of message.
fn show(measured: &[Measured<Label>], title: &str, cell: impl Fn(&Measured<Label>) -> String) {
    let mut head = vec![String::new()];
    let mut columns = Vec::new();
    for Measured { label, .. } in measured {
        let column = (label.size, label.quotes, label.chunk);
        if !columns.contains(&column) {
            columns.push(column);
            let quotes = quotes_name(label.quotes);
            head.push(format!("{} {quotes} /{}", label.size.0, label.chunk));
        }
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for what in [UP, UP_ACK, ACK, DOWN, SEND, ENDPOINT, JSON, LIMIT] {
        rows.push(vec![what.to_owned()]);
        let mut seen = Vec::new();
        for Measured { label, .. } in measured.iter().filter(|m| m.label.what == what) {
            if seen.contains(&label.by) {
                continue;
            }
            seen.push(label.by);
            let mut row = vec![format!("  {}", label.by)];
            for (size, quotes, chunk) in &columns {
                let wanted = Label {
                    what,
                    by: label.by,
                    size: *size,
                    quotes: *quotes,
                    chunk: *chunk,
                };
                let found = measured.iter().find(|m| m.label == wanted);
                row.push(found.map_or_else(|| "-".to_owned(), &cell));
            }
            rows.push(row);
        }
    }
    table::print(title, &head, &rows);
}

fn print_json(measured: &[Measured<Label>]) {
    for m in measured {
        let Label {
            what,
            by,
            size,
            quotes,
            chunk,
        } = m.label;
        let line = serde_json::json!({
            "job": what, "by": by, "size": size.0, "quotes": quotes_name(quotes), "chunk": chunk,
            "ns": m.ns, "allocations": m.allocations, "ratio": ratio(measured, m),
        });
        println!("{line}");
    }
}

fn quotes_name(quotes: Quotes) -> &'static str {
    match quotes {
        Quotes::Raw => "raw",
        Quotes::Reference => "quot",
    }
}
