//! What is known of the tags of an element makes no difference but to the time that the next one takes.

use super::reader_tests::reader;
use super::{Frame, Framer, Item, Reader, XmlError, XmlLimits};

/// Elements of which some have the same tags around other text, and some only seem to.
const ELEMENTS: &[&[u8]] = &[
    b"<m id=''><g xmlns='u'>text</g></m>",
    b"<m id=''><g xmlns='u'>other text</g></m>",
    b"<m id=''><g xmlns='u'></g></m>",
    b"<m id=''><g xmlns='u'>a &amp; b&#10;\r\nc > d</g></m>",
    b"<m id=''><g xmlns='u'><x>text</x></g></m>",
    b"<m id=''><g xmlns='u'>te</g></m><g>xt</g></m>",
    b"<m id=''><g xmlns='u'>te<!-- -->xt</g></m>",
    b"<m id=''><g xmlns='u'><![CDATA[te]]>xt</g></m>",
    b"<m id=''><g xmlns='u'>te]]>xt</g></m>",
    b"<m id=''><g xmlns='u'>&unknown;</g></m>",
    b"<m id=''><g xmlns='u'>&unknown; and \xff</g></m>",
    b"<m id=''><g xmlns='u'>\xe6&#x97;\xa5</g></m>",
    b"<m id=''><g xmlns='u'>te\x01xt</g></m>",
    b"<m id=''><g xmlns='u'>te\xef\xbf\xbfxt</g></m>",
    b"<m id=''><g xmlns='u'>te\xffxt</g></m>",
    b"<m id=''><g xmlns='u'>text</g> </m>",
    b"<m id=''> <g xmlns='u'>text</g></m>",
    b"<m id=''><g xmlns='u'>text</g><y/></m>",
    b"<m id=''><g xmlns='u'>text</g></m >",
    b"<m id='1'><g xmlns='u'>text</g></m>",
    b"<m id=\"1\"><g xmlns='u'>text</g></m>",
    b"<m id='1' type='error'><g xmlns='u'>text</g></m>",
    b"<m id='a<b'><g xmlns='u'>text</g></m>",
    b"<m id='a&lt;b'><g xmlns='u'>text</g></m>",
    b"<m id='a\nb'><g xmlns='u'>text</g></m>",
    b"<m id='\xc3\xa9'><g xmlns='u'>text</g></m>",
    b"<m id='\xff'><g xmlns='u'>text</g></m>",
    b"<m><g xmlns='u'>text</g></m>",
    b"<a>text</a>",
    b"<a></a>",
    b"<a/>",
    b"<p:a xmlns:p='u'>text</p:a>",
];

/// Reads an element, and remembers its tags, with any id on the first of them.
fn learn(reader: &mut Reader, element: &[u8]) {
    if let Ok(mut cursor) = reader.element(element) {
        let first = cursor.next();
        while let Ok(Some(_)) = cursor.next() {}
        if let Ok(Some(Item::Start(tag))) = first {
            cursor.remember(&tag, "id");
        }
    }
}

/// The id and the text of an element, as a cursor finds them, or its error.
fn by_cursor(element: &[u8]) -> Result<(String, String), XmlError> {
    let mut reader = reader();
    let mut cursor = reader.element(element)?;
    let (mut id, mut text) = (None, String::new());
    while let Some(item) = cursor.next()? {
        match item {
            Item::Start(tag) if id.is_none() => {
                id = Some(tag.attribute("id").unwrap_or_default().to_owned());
            }
            Item::Text(run) => text.push_str(&run),
            Item::Start(_) | Item::End => {}
        }
    }
    Ok((id.unwrap_or_default(), text))
}

#[test]
fn what_differs_among_known_tags_is_what_a_cursor_finds() {
    let mut found = 0;
    for first in ELEMENTS {
        for second in ELEMENTS {
            let mut reader = reader();
            learn(&mut reader, first);
            let shown = (first.escape_ascii(), second.escape_ascii());
            let Some(known) = reader.known(second) else {
                continue;
            };
            let differing = reader.differing(known);
            let differing = differing.map(|known| (known.value.to_owned(), known.text.to_owned()));
            assert_eq!(differing, by_cursor(second), "{shown:?}");
            found += 1;
        }
    }
    // Of the first tags five can be learnt from, whatever the id, and eleven hold nothing but text without a control character
    // and an id that is written as it is meant. Eight others are like themselves, and one of them like a second one.
    assert_eq!(found, 5 * 11 + 8 + 1);
}

#[test]
fn what_was_known_holds_for_its_stream_and_up_to_a_size() {
    let element = b"<p:a>text</p:a>";
    let header = |uri: &str| format!("<s xmlns:p='{uri}'>");
    let mut reader = reader();
    assert!(reader.open(header("one").as_bytes()).is_ok());
    learn(&mut reader, element);
    assert_eq!(text(&mut reader, element), Some("text".into()));
    assert!(reader.open(header("two").as_bytes()).is_ok());
    assert_eq!(text(&mut reader, element), None);

    let long = |value: usize| format!("<a b='{}'>text</a>", "x".repeat(value)).into_bytes();
    let tags = "<a b=''></a>".len();
    for (size, known) in [(512, true), (513, false)] {
        learn(&mut reader, &long(size - tags));
        assert_eq!(text(&mut reader, &long(size - tags)).is_some(), known);
    }
    let id = |length: usize| format!("<a id='{}'>text</a>", "x".repeat(length)).into_bytes();
    learn(&mut reader, &id(1));
    for (length, known) in [(0, true), (256, true), (257, false)] {
        assert_eq!(text(&mut reader, &id(length)).is_some(), known);
    }
}

fn text(reader: &mut Reader, element: &[u8]) -> Option<String> {
    let known = reader.known(element)?;
    Some(reader.differing(known).unwrap().text.to_owned())
}

#[test]
fn the_framer_finds_the_same_elements_whatever_it_knows() {
    for first in ELEMENTS {
        let mut knows = reader();
        learn(&mut knows, first);
        for second in ELEMENTS {
            // A limit of the size of one of them cuts the others off.
            for stanza in [second.len() - 1, second.len(), 65_536] {
                let limits = XmlLimits {
                    stanza,
                    ..XmlLimits::default()
                };
                let stream = [*second, b" ", first].concat();
                let nothing = frames(limits, &reader(), &stream, stream.len());
                for read in [1, 7, second.len(), stream.len()] {
                    let found = frames(limits, &knows, &stream, read);
                    let stream = stream.escape_ascii();
                    assert_eq!(found, nothing, "{stream} in reads of {read}");
                }
            }
        }
    }
}

#[test]
fn an_element_is_known_only_where_one_may_stand() {
    let element = b"<a>text</a>";
    let mut knows = reader();
    learn(&mut knows, element);
    for (before, behind) in [
        // The text before an element has nothing to do with that behind it.
        (&b"]]"[..], &b">"[..]),
        (b"</s>", b""),
        (b" ", b"</s>"),
    ] {
        let stream = [before, element, behind].concat();
        let limits = XmlLimits::default();
        let found = frames(limits, &knows, &stream, stream.len());
        assert_eq!(found, frames(limits, &reader(), &stream, stream.len()));
    }
    // After a login a header comes first.
    let mut framer = Framer::new(XmlLimits::default());
    assert!(framer.next(&mut &b"<s>"[..]).is_ok());
    framer.restart();
    let mut input = &element[..];
    assert_eq!(framer.next_known(&mut input, knows.wrapping()), None);
    let next = framer.next(&mut input);
    assert_eq!(next, Ok(Some(Frame::StreamOpen(b"<a>"))));
    // After an error nothing comes.
    assert!(framer.next(&mut &b"</nothing>"[..]).is_err());
    assert_eq!(framer.next_known(&mut &element[..], knows.wrapping()), None);
}

/// The frames of a stream, as they are shown, and the error after them.
fn frames(
    limits: XmlLimits,
    knows: &Reader,
    stream: &[u8],
    read: usize,
) -> (Vec<String>, Option<XmlError>) {
    let mut framer = Framer::new(limits);
    let mut found = Vec::new();
    assert!(framer.next(&mut &b"<s>"[..]).is_ok());
    for mut input in stream.chunks(read) {
        loop {
            if let Some((element, _)) = framer.next_known(&mut input, knows.wrapping()) {
                found.push(format!("{:?}", Frame::Element(element)));
                continue;
            }
            match framer.next(&mut input) {
                Ok(None) => break,
                Ok(Some(frame)) => found.push(format!("{frame:?}")),
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}
