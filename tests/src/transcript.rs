//! Recordings of real clients from `transcripts/`, and their replay into the endpoint's role.

mod describe;
mod replay;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

pub use replay::replay;

/// The folder of the recordings.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("transcripts")
}

/// One line of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Since the connection was accepted.
    pub at: Duration,
    /// The connection's number.
    pub connection: u32,
    /// What happened.
    pub what: What,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Bytes from the client.
    Client(Vec<u8>),
    /// Bytes from the endpoint.
    Endpoint(Vec<u8>),
    /// Words about the connection.
    Remark(String),
}

/// Reads a recording.
///
/// # Errors
/// The line that does not follow the format.
pub fn parse(text: &str) -> Result<Vec<Line>, String> {
    text.lines()
        .map(|line| parse_line(line).ok_or_else(|| format!("not a line of a recording: {line}")))
        .collect()
}

fn parse_line(line: &str) -> Option<Line> {
    let (at, rest) = line.trim_start().split_once(' ')?;
    let (connection, rest) = rest.split_once(' ')?;
    let connection = connection.strip_prefix('[')?.strip_suffix(']')?;
    let (kind, rest) = rest.split_at_checked(3)?;
    let what = match kind {
        "C> " => What::Client(undo_escapes(rest)?),
        "S> " => What::Endpoint(undo_escapes(rest)?),
        "#  " => What::Remark(rest.to_owned()),
        _ => return None,
    };
    Some(Line {
        at: Duration::from_secs_f64(at.parse().ok()?),
        connection: connection.parse().ok()?,
        what,
    })
}

/// The bytes that a field stands for.
fn undo_escapes(field: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'\\' => b'\\',
                b'x' => {
                    let digits = [rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                _ => return None,
            },
            b' '..=b'~' => byte,
            _ => return None,
        });
    }
    Some(bytes)
}

/// Writes bytes as a recording does.
fn escape(bytes: &[u8]) -> String {
    let mut field = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\n' => field.push_str("\\n"),
            b'\t' => field.push_str("\\t"),
            b'\r' => field.push_str("\\r"),
            b'\\' => field.push_str("\\\\"),
            b' '..=b'~' => field.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(field, "\\x{byte:02x}")),
        }
    }
    field
}

/// The connections of a recording, each with its lines.
///
/// # Panics
/// There is no such recording, or it does not follow the format.
#[must_use]
pub fn connections(name: &str) -> Vec<Vec<Line>> {
    let text = std::fs::read_to_string(folder().join(name))
        .unwrap_or_else(|error| panic!("transcript {name}: {error}"));
    let lines = parse(&text).unwrap_or_else(|error| panic!("transcript {name}: {error}"));
    let mut connections: BTreeMap<u32, Vec<Line>> = BTreeMap::new();
    for line in lines {
        connections.entry(line.connection).or_default().push(line);
    }
    connections.into_values().collect()
}

/// How the client's bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Each line is one read.
    Whole,
    /// Each byte is one read.
    EachByte,
    /// Line `line`, counted over all lines, is two reads.
    At {
        /// Which line.
        line: usize,
        /// The bytes of the first read.
        byte: usize,
    },
}

/// Where a connection's lines can be cut in two.
#[must_use]
pub fn cuts(lines: &[Line]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for (line, found) in lines.iter().enumerate() {
        if let What::Client(bytes) = &found.what {
            cuts.extend((1..bytes.len()).map(|byte| Cut::At { line, byte }));
        }
    }
    cuts
}
