//! What is known of the tags of an element makes no difference but to the time that the next one takes.

use super::reader_tests::{items, reader};
use super::{Frame, Framer, Reader, XmlError, XmlLimits};

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
    b"<a>text</a>",
    b"<a></a>",
    b"<a/>",
    b"<p:a xmlns:p='u'>text</p:a>",
];

/// Reads an element, and remembers its tags.
fn learn(reader: &mut Reader, element: &[u8]) {
    if let Ok(mut cursor) = reader.element(element) {
        while let Ok(Some(_)) = cursor.next() {}
        cursor.remember();
    }
}

/// The text and the only text of an element, as a reader that knows nothing finds them, or its error.
fn unknown_text(element: &[u8]) -> Result<String, XmlError> {
    let all = items(&mut reader(), element)?;
    let text = all.split('"').nth(1).unwrap_or_default();
    Ok(text.replace("\\n", "\n"))
}

#[test]
fn a_text_among_known_tags_is_what_a_cursor_finds() {
    let mut found = 0;
    for first in ELEMENTS {
        for second in ELEMENTS {
            let mut reader = reader();
            learn(&mut reader, first);
            let shown = (first.escape_ascii(), second.escape_ascii());
            match reader.known_text(second) {
                Ok(None) => continue,
                Ok(Some(text)) => {
                    assert_eq!(unknown_text(second).as_deref(), Ok(text), "{shown:?}");
                }
                Err(error) => assert_eq!(unknown_text(second), Err(error), "{shown:?}"),
            }
            found += 1;
        }
    }
    // Three of the first tags can be learnt from, and eleven hold nothing but text. Six others are like themselves, and one of
    // them like a second one.
    assert_eq!(found, 3 * 11 + 6 + 1);
}

#[test]
fn what_was_known_holds_for_its_stream_and_up_to_a_size() {
    let element = b"<p:a>text</p:a>";
    let header = |uri: &str| format!("<s xmlns:p='{uri}'>");
    let mut reader = reader();
    assert!(reader.open(header("one").as_bytes()).is_ok());
    learn(&mut reader, element);
    assert_eq!(reader.known_text(element), Ok(Some("text")));
    assert!(reader.open(header("two").as_bytes()).is_ok());
    assert_eq!(reader.known_text(element), Ok(None));

    let long = |value: usize| format!("<a b='{}'>text</a>", "x".repeat(value)).into_bytes();
    let tags = "<a b=''></a>".len();
    for (size, known) in [(512, Some("text")), (513, None)] {
        learn(&mut reader, &long(size - tags));
        assert_eq!(reader.known_text(&long(size - tags)), Ok(known));
    }
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

fn frames(
    limits: XmlLimits,
    knows: &Reader,
    stream: &[u8],
    read: usize,
) -> Result<Vec<Vec<u8>>, (Vec<Vec<u8>>, XmlError)> {
    let mut framer = Framer::new(limits);
    let mut found = Vec::new();
    assert!(framer.next(&mut &b"<s>"[..], knows.known()).is_ok());
    for mut input in stream.chunks(read) {
        loop {
            match framer.next(&mut input, knows.known()) {
                Ok(None) => break,
                Ok(Some(Frame::Element(element))) => found.push(element.to_vec()),
                Ok(Some(other)) => found.push(format!("{other:?}").into_bytes()),
                Err(error) => return Err((found, error)),
            }
        }
    }
    Ok(found)
}
