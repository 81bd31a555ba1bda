//! What framer and reader accept, a strict parser accepts and reads the same: we may only be the stricter ones. What the
//! others take and we do not, and why, is in `DIFFERENCES.md`.
//!
//! Two parsers judge: rxml, made for XMPP, and roxmltree, made for documents. Each has faults of its own, which show here
//! only where it refuses or misreads what is right; those are listed in `DIFFERENCES.md` as well.

use ccs_proto::XmlLimits;
use ccs_proto::internals::{Frame, Framer, Reader, bytes_looked_at};

use crate::events::{Event, HEADER, Start, walk};
use crate::foreign::{by_roxmltree, by_rxml};
use crate::input::Input;

/// Passes over each byte, framer and reader together, at most; see `framer` for its share.
const PASSES: usize = 16;

/// The first byte of a case: whether a header goes before it. The rest is the stream.
pub fn run(case: &[u8]) {
    let mut input = Input(case);
    let head = input.byte();
    let mut stream = Vec::new();
    if head & 1 == 0 {
        stream.extend_from_slice(HEADER);
    }
    stream.extend_from_slice(input.0);

    let before = bytes_looked_at();
    let Some(accepted) = Accepted::read(&stream) else {
        return;
    };
    let looked_at = bytes_looked_at() - before;
    let bound = PASSES * (stream.len() + 16);
    assert!(
        looked_at <= bound,
        "{looked_at} bytes looked at, of {}",
        stream.len()
    );

    let shown = accepted.document.escape_ascii();
    let ours = &accepted.events;
    let text = std::str::from_utf8(&accepted.document);
    let text = text.unwrap_or_else(|error| panic!("accepted, and no UTF-8: {shown}: {error}"));
    let judges = [
        ("rxml", by_rxml(&accepted.document)),
        ("roxmltree", by_roxmltree(text)),
    ];
    for (name, read) in judges {
        match read {
            Some(Ok(theirs)) => {
                assert_eq!(
                    *ours,
                    between_tags(theirs),
                    "{name} reads {shown} otherwise"
                );
            }
            Some(Err(error)) => panic!("{name} refuses {shown}: {error}"),
            None => {}
        }
    }
}

/// The part of a stream that was accepted, made a document by an end tag.
struct Accepted {
    document: Vec<u8>,
    events: Vec<Event>,
}

impl Accepted {
    fn read(stream: &[u8]) -> Option<Self> {
        let limits = XmlLimits::default();
        let mut framer = Framer::new(limits);
        let mut reader = Reader::new(limits);
        let mut rest = stream;
        let mut events = Vec::new();
        let mut name = Vec::new();
        let mut end = 0;
        let mut closed = false;
        while let Ok(Some(frame)) = framer.next(&mut rest) {
            match frame {
                Frame::StreamOpen(tag) => {
                    events.push(Event::Start(Start::of(&reader.open(tag).ok()?)));
                    let of_name = |byte: &&u8| !byte.is_ascii_whitespace() && **byte != b'>';
                    name = tag.iter().skip(1).take_while(of_name).copied().collect();
                }
                Frame::Element(element) => match walk(&mut reader, element) {
                    Ok(inside) => events.extend(inside),
                    Err(_) => break,
                },
                Frame::StreamClose => {
                    events.push(Event::End);
                    closed = true;
                }
                Frame::Space(_) | Frame::StrayText(_) => {}
            }
            end = stream.len() - rest.len();
        }
        if events.is_empty() {
            return None;
        }
        let mut document = stream.get(..end)?.to_vec();
        if !closed {
            document.extend_from_slice(b"</");
            document.extend_from_slice(&name);
            document.extend_from_slice(b">");
            events.push(Event::End);
        }
        Some(Self { document, events })
    }
}

/// Without the text between stanzas, which is nobody's data.
fn between_tags(events: Vec<Event>) -> Vec<Event> {
    let mut depth = 0_usize;
    let mut events = events;
    events.retain(|event| {
        match event {
            Event::Start(_) => depth += 1,
            Event::End => depth -= 1,
            Event::Text(_) => return depth > 1,
        }
        true
    });
    events
}
