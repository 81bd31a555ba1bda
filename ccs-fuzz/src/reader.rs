//! What the reader accepts is legal, comes back the same once written again, and does not depend on how it is read.

use std::fmt::Write as _;

use bytes::BytesMut;
use ccs_proto::XmlLimits;
use ccs_proto::internals::{
    Cursor, Frame, Framer, Item, Reader, XmlError, push_attribute, push_text,
};

use crate::events::{ATTRIBUTES, Event, HEADER, Start, ended, uri, walk};
use crate::framer::learn;
use crate::input::{Input, small_limits};

/// The first byte of a case: whether a header goes before it, and whether the limits are small. The second is the
/// pattern by which a cursor is used. The rest is the stream.
pub fn run(case: &[u8]) {
    let mut input = Input(case);
    let head = input.byte();
    let pattern = input.byte();
    let limits = if head & 2 == 0 {
        XmlLimits::default()
    } else {
        small_limits()
    };
    let mut framer = Framer::new(limits);
    let mut reader = Reader::new(limits);
    if head & 1 == 0 {
        let found = framer.next(&mut &HEADER[..]);
        assert_eq!(found, Ok(Some(Frame::StreamOpen(HEADER))));
        assert!(reader.open(HEADER).is_ok());
    }
    let mut stream = input.0;
    while let Ok(Some(frame)) = framer.next(&mut stream) {
        let accepted = match frame {
            Frame::StreamOpen(tag) => header(&mut reader, tag),
            Frame::Element(bytes) => element(&mut reader, bytes, limits, pattern),
            _ => true,
        };
        if !accepted {
            break;
        }
    }
}

fn header(reader: &mut Reader, bytes: &[u8]) -> bool {
    let first = reader.open(bytes).map(|tag| Start::of(&tag));
    let again = reader.open(bytes).map(|tag| Start::of(&tag));
    assert_eq!(first, again, "a header opens a stream anew");
    if let Ok(start) = &first {
        start.check();
    }
    first.is_ok()
}

fn element(reader: &mut Reader, bytes: &[u8], limits: XmlLimits, pattern: u8) -> bool {
    let known = reader.known(bytes).map(|known| {
        let known = reader.differing(known);
        known.map(|known| (known.value.to_owned(), known.text.to_owned()))
    });
    let events = walk(reader, bytes);
    // What is known of the tags is said of one element and true of the next.
    match (known, &events) {
        (None, _) => {}
        (Some(Ok((id, text))), Ok(events)) => {
            assert_eq!((id.as_str(), text), (first_id(events), all_text(events)));
        }
        (Some(Err(one)), Err(other)) => assert_eq!(one, *other),
        (known, events) => panic!("{known:?} among known tags, {events:?} by next"),
    }
    learn(reader, bytes);
    // Every way of use has to come to the same end, whatever came before it.
    for choices in [0, 0xff, pattern, pattern.rotate_left(3)] {
        half_way(reader, bytes, choices);
        match (&events, patterned(reader, bytes, choices)) {
            (Ok(_), Ok(())) => {}
            (Err(one), Err(other)) => assert_eq!(*one, other, "pattern {choices:#x}"),
            (one, other) => panic!("{one:?} by next, {other:?} by pattern {choices:#x}"),
        }
    }
    let Ok(events) = events else {
        return false;
    };
    assert!(std::str::from_utf8(bytes).is_ok(), "accepted, and no UTF-8");
    events.iter().for_each(Event::check);
    assert_eq!(
        reader.element(bytes).and_then(text_at_top),
        Ok(top_text(&events)),
        "text() is the text of the top level"
    );

    // Written and read again it is the same, so writing that gives the same bytes. References make them longer than
    // what was read.
    let mut wide = Reader::new(XmlLimits {
        stanza: limits.stanza * 16,
        attribute_value: limits.attribute_value * 16,
        attributes: ATTRIBUTES.len() + 1,
        ..XmlLimits::default()
    });
    let written = write(&events);
    let read = walk(&mut wide, &written);
    let shown = String::from_utf8_lossy(&written);
    assert_eq!(read.as_ref(), Ok(&events), "written as {shown}");
    true
}

/// By `next`, `skip` and `text` in turn, as the bits choose.
fn patterned(reader: &mut Reader, bytes: &[u8], choices: u8) -> Result<(), XmlError> {
    let mut cursor = reader.element(bytes)?;
    let mut choices = choices;
    while let Some(item) = ended(&mut cursor)? {
        if matches!(item, Item::Start(_)) {
            match choices & 3 {
                0 | 2 => {}
                1 => drop(cursor.text()?),
                _ => cursor.skip()?,
            }
            choices = choices.rotate_right(2);
        }
    }
    Ok(())
}

/// A cursor that is dropped in the middle leaves nothing behind.
fn half_way(reader: &mut Reader, bytes: &[u8], steps: u8) {
    if let Ok(mut cursor) = reader.element(bytes) {
        for _ in 0..=steps & 3 {
            let _ = cursor.next();
        }
    }
}

fn text_at_top(mut cursor: Cursor<'_, '_>) -> Result<String, XmlError> {
    cursor.next()?;
    Ok(cursor.text()?.into_owned())
}

fn first_id(events: &[Event]) -> &str {
    let Some(Event::Start(start)) = events.first() else {
        return "";
    };
    let id = start.attributes.iter().find(|(name, _)| *name == "id");
    id.map_or("", |(_, value)| value)
}

fn all_text(events: &[Event]) -> String {
    let runs = events.iter().map(|event| match event {
        Event::Text(run) => run.as_str(),
        Event::Start(_) | Event::End => "",
    });
    runs.collect()
}

fn top_text(events: &[Event]) -> String {
    let mut depth = 0_usize;
    let mut text = String::new();
    for event in events {
        match event {
            Event::Start(_) => depth += 1,
            Event::End => depth -= 1,
            Event::Text(run) if depth == 1 => text.push_str(run),
            Event::Text(_) => {}
        }
    }
    text
}

fn write(events: &[Event]) -> BytesMut {
    let mut out = BytesMut::new();
    let mut open = Vec::new();
    for event in events {
        match event {
            Event::Start(start) => {
                let (name, uri) = match uri(start.ns) {
                    Some(uri) => (start.name.clone(), format!(" xmlns=\"{uri}\"")),
                    // No name space can be declared to be this one.
                    None => (format!("xml:{}", start.name), String::new()),
                };
                let _ = write!(out, "<{name}{uri}");
                for (name, value) in &start.attributes {
                    let _ = write!(out, " {name}=\"");
                    push_attribute(&mut out, value);
                    out.extend_from_slice(b"\"");
                }
                out.extend_from_slice(b">");
                open.push(name);
            }
            Event::Text(text) => push_text(&mut out, text),
            Event::End => {
                let _ = write!(out, "</{}>", open.pop().unwrap_or_default());
            }
        }
    }
    out
}
