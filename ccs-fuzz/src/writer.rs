//! Whatever text the writer is given, every parser reads it back, but for what XML cannot carry.

use bytes::BytesMut;
use ccs_proto::XmlLimits;
use ccs_proto::internals::{Frame, Framer, Reader, push_attribute, push_text};

use crate::events::{Event, Start, namespace, walk};
use crate::foreign::{by_roxmltree, by_rxml};
use crate::input::Input;

/// The first byte of a case: whether the rest is UTF-8 or characters of three bytes each. The first half of the text is
/// an attribute's value, the second half is character data.
pub fn run(case: &[u8]) {
    let mut input = Input(case);
    let text = if input.byte() & 1 == 0 {
        String::from_utf8_lossy(input.0).into_owned()
    } else {
        characters(input.0)
    };
    let (value, data) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let written = write(value, data);
    let expected = [
        Event::Start(Start {
            ns: namespace(""),
            name: "t".to_owned(),
            attributes: vec![("a", legal(value))],
        }),
        Event::Text(legal(data)),
        Event::End,
    ];
    let expected: Vec<Event> = expected
        .into_iter()
        .filter(|event| *event != Event::Text(String::new()))
        .collect();

    let shown = written.escape_ascii();
    let limits = XmlLimits {
        stanza: 1 << 20,
        attribute_value: 1 << 20,
        ..XmlLimits::default()
    };
    let mut framer = Framer::new(limits);
    let header = b"<s>";
    assert_eq!(
        framer.next(&mut &header[..]),
        Ok(Some(Frame::StreamOpen(header)))
    );
    assert_eq!(
        framer.next(&mut &written[..]),
        Ok(Some(Frame::Element(&written))),
        "{shown}"
    );
    let ours = walk(&mut Reader::new(limits), &written);
    assert_eq!(ours.as_ref(), Ok(&expected), "{shown}");
    let text = std::str::from_utf8(&written);
    let text = text.unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert_eq!(
        by_rxml(&written),
        Some(Ok(expected.clone())),
        "rxml: {shown}"
    );
    assert_eq!(by_roxmltree(text), Some(Ok(expected)), "roxmltree: {shown}");

    // What was read needs no change to be written again.
    assert_eq!(write(&legal(value), &legal(data)), written, "written twice");
}

fn write(value: &str, data: &str) -> BytesMut {
    let mut out = BytesMut::new();
    out.extend_from_slice(b"<t a=\"");
    push_attribute(&mut out, value);
    out.extend_from_slice(b"\">");
    push_text(&mut out, data);
    out.extend_from_slice(b"</t>");
    out
}

/// What XML cannot carry becomes U+FFFD, one for each character.
fn legal(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\t' | '\n' | '\r' => character,
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// Three bytes each; what is no character is passed over.
fn characters(bytes: &[u8]) -> String {
    let numbers = bytes.chunks_exact(3).map(|three| {
        three
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte))
    });
    numbers
        .filter_map(|number| char::from_u32(number & 0x1f_ffff))
        .collect()
}
