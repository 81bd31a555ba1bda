use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::BytesMut;
use proptest::prelude::*;

use super::XmlError::{BadNamespacePrefix, NotWellFormed};
use super::writer::{push_attribute, push_text};
use super::{Item, Ns, Reader, XmlError, XmlLimits};

const HEADER: &[u8] =
    b"<stream:stream to='x' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

pub(super) fn reader() -> Reader {
    let mut reader = Reader::new(XmlLimits::default());
    assert!(reader.open(HEADER).is_ok());
    reader
}

// All items of an element in one line, so that a table can hold it.
pub(super) fn items(reader: &mut Reader, element: &[u8]) -> Result<String, XmlError> {
    let mut cursor = reader.element(element)?;
    let mut all = String::new();
    loop {
        match cursor.next() {
            Ok(Some(Item::Start(tag))) => write!(all, "<{:?} {}>", tag.ns, tag.name).unwrap(),
            Ok(Some(Item::Text(text))) => write!(all, "{text:?}").unwrap(),
            Ok(Some(Item::End)) => all.push_str("</>"),
            Ok(None) => break,
            Err(error) => {
                assert_eq!(cursor.next(), Err(error.clone()));
                return Err(error);
            }
        }
    }
    assert_eq!(cursor.next(), Ok(None));
    // Skipping sees the same well-formedness as reading does.
    let mut cursor = reader.element(element)?;
    cursor.next()?;
    cursor.skip()?;
    assert_eq!(cursor.next(), Ok(None));
    Ok(all)
}

fn text_of(element: &str) -> Result<String, XmlError> {
    let mut reader = reader();
    let mut cursor = reader.element(element.as_bytes())?;
    cursor.next()?;
    let text = cursor.text()?.into_owned();
    assert_eq!(cursor.next(), Ok(None));
    Ok(text)
}

fn attribute_of(value: &str) -> Result<String, XmlError> {
    let element = format!("<a b=\"{value}\"/>");
    let mut reader = reader();
    let mut cursor = reader.element(element.as_bytes())?;
    match cursor.next()? {
        Some(Item::Start(tag)) => Ok(tag.attribute("b").unwrap_or_default().to_owned()),
        _ => unreachable!("the first item is a start"),
    }
}

#[test]
fn reads_by_namespace_and_local_name() {
    let gcm = "google:mobile:data";
    for (element, expected) in [
        ("<message/>".to_owned(), "<Client message></>"),
        ("<message xmlns=''/>".to_owned(), "<None message></>"),
        (
            format!("<message><gcm xmlns='{gcm}'>x</gcm>y</message>"),
            "<Client message><Gcm gcm>\"x\"</>\"y\"</>",
        ),
        (
            format!("<message xmlns:d='{gcm}'><d:gcm><gcm/></d:gcm></message>"),
            "<Client message><Gcm gcm><Client gcm></></></>",
        ),
        (format!("<d:gcm a='' xmlns:d='{gcm}'/>"), "<Gcm gcm></>"),
        (
            "<a><data:gcm xmlns:data='google:mobile:dat'/></a>".to_owned(),
            "<Client a><Other gcm></></>",
        ),
        (
            "<a xmlns:gcm='google:mobile:&#100;ata'><gcm:x xmlns:gcm='u'/><gcm:x/></a>".to_owned(),
            "<Client a><Other x></><Gcm x></></>",
        ),
        ("<stream:error/>".to_owned(), "<Streams error></>"),
        ("<xml:a xml:lang='en'/>".to_owned(), "<Xml a></>"),
        (
            "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>".to_owned(),
            "<Client a></>",
        ),
        (
            "<a x:b='' y:b='' b='' xmlns:x='1' xmlns:y='2'/>".to_owned(),
            "<Client a></>",
        ),
        (
            "<a\n>1<b\t/ ><![CDATA[<&]]]]><![CDATA[]]></a >".replace("/ >", "/>"),
            "<Client a>\"1\"<Client b></>\"<&]]\"\"\"</>",
        ),
    ] {
        assert_eq!(
            items(&mut reader(), element.as_bytes()).as_deref(),
            Ok(expected),
            "{element}"
        );
    }
}

#[test]
fn namespaces_have_their_names() {
    for (uri, ns) in [
        ("jabber:client", Ns::Client),
        ("http://etherx.jabber.org/streams", Ns::Streams),
        ("urn:ietf:params:xml:ns:xmpp-sasl", Ns::Sasl),
        ("urn:ietf:params:xml:ns:xmpp-tls", Ns::Tls),
        ("urn:ietf:params:xml:ns:xmpp-bind", Ns::Bind),
        ("urn:ietf:params:xml:ns:xmpp-session", Ns::Session),
        ("urn:xmpp:ping", Ns::Ping),
        ("urn:ietf:params:xml:ns:xmpp-stanzas", Ns::Stanzas),
        ("urn:ietf:params:xml:ns:xmpp-streams", Ns::StreamErrors),
        ("google:mobile:data", Ns::Gcm),
        ("jabber:server", Ns::Other),
        ("JABBER:CLIENT", Ns::Other),
    ] {
        for element in [
            format!("<a xmlns='{uri}'/>"),
            format!("<p:a xmlns:p='{uri}'/>"),
        ] {
            let mut reader = Reader::new(XmlLimits::default());
            assert_eq!(
                items(&mut reader, element.as_bytes()),
                Ok(format!("<{ns:?} a></>"))
            );
        }
    }
}

#[test]
fn a_header_binds_its_namespaces_until_the_next() {
    let mut reader = Reader::new(XmlLimits::default());
    assert_eq!(reader.content_namespace(), Ns::None);
    assert_eq!(items(&mut reader, b"<p:a/>"), Err(BadNamespacePrefix));
    let header = reader.open(HEADER).unwrap();
    assert!(header.is(Ns::Streams, "stream"));
    assert_eq!(header.attribute("version"), Some("1.0"));
    assert_eq!(header.attribute("to"), Some("x"));
    assert_eq!(header.attribute("xmlns"), None);
    // A cursor that is dropped inside an element leaves nothing of its scopes behind.
    let mut cursor = reader
        .element(b"<a xmlns='u' xmlns:p='u'><b/></a>")
        .unwrap();
    assert!(cursor.next().unwrap().is_some());
    assert!(cursor.next().unwrap().is_some());
    assert_eq!(reader.content_namespace(), Ns::Client);
    assert_eq!(items(&mut reader, b"<a/>").as_deref(), Ok("<Client a></>"));
    assert_eq!(items(&mut reader, b"<p:a/>"), Err(BadNamespacePrefix));
    let header = reader
        .open(b"<s a='1' b='2' c='3' d='4' e='&lt;' f='6'>")
        .unwrap();
    assert!(header.is(Ns::None, "s"));
    assert_eq!(header.attribute("e"), Some("<"));
    assert_eq!(header.attribute("f"), Some("6"));
    assert_eq!(header.attribute("g"), None);
    assert_eq!(items(&mut reader, b"<stream:a/>"), Err(BadNamespacePrefix));

    let bad = NotWellFormed("the stream header");
    for tag in [&b"<s/>"[..], b"<s>x", b"x<s>", b"<s", b"", b"<s><a/>"] {
        assert_eq!(reader.open(tag), Err(bad.clone()));
    }
}

#[test]
fn unescapes_text() {
    for (raw, text) in [
        ("", ""),
        ("&quot;&amp;&lt;&gt;&apos;", "\"&<>'"),
        ("{&quot;a&quot;:&quot;é&quot;}", "{\"a\":\"é\"}"),
        (
            "&#65;&#x41;&#x000041;&#x10FFFF;&#9;&#xd;",
            "AAA\u{10ffff}\t\r",
        ),
        (
            "&quot;\r\n&quot;12345\r&quot;1234567&lt;",
            "\"\n\"12345\n\"1234567<",
        ),
        (
            "&quot;12345678&lt;&quot;é'\u{8d}%&gt;",
            "\"12345678<\"é'\u{8d}%>",
        ),
        ("&amp;quot;&amp;#65;", "&quot;&#65;"),
        ("a\r\nb\rc\n\r\r\nd&#13;\n", "a\nb\nc\n\n\nd\r\n"),
        ("a > b ]> ]] > ]&gt; ]]&gt;", "a > b ]> ]] > ]> ]]>"),
        ("&gt;]&amp;]>", ">]&]>"),
        ("x<b>no</b>y<![CDATA[&amp;\r\n\r<]]>z", "xy&amp;\n\n<z"),
        ("&lt;<![CDATA[]]>&lt;", "<<"),
    ] {
        assert_eq!(
            text_of(&format!("<a>{raw}</a>")).as_deref(),
            Ok(text),
            "{raw}"
        );
    }
    for (raw, value) in [
        ("&quot;'&#10;", "\"'\n"),
        ("a\tb\nc\r\nd\re", "a b c d e"),
        ("&#13;\n>]]>", "\r >]]>"),
    ] {
        assert_eq!(attribute_of(raw).as_deref(), Ok(value), "{raw}");
    }
}

#[test]
fn plain_text_and_values_are_borrowed() {
    let element =
        b"<message id='m-1'><gcm xmlns='google:mobile:data'>{\"a\":\"1 > 0\"}</gcm></message>";
    let mut reader = reader();
    let mut cursor = reader.element(element).unwrap();
    let Ok(Some(Item::Start(message))) = cursor.next() else {
        panic!("no start")
    };
    assert_eq!(message.attribute("id"), Some("m-1"));
    assert!(matches!(cursor.next(), Ok(Some(Item::Start(gcm))) if gcm.is(Ns::Gcm, "gcm")));
    assert!(matches!(
        cursor.text(),
        Ok(Cow::Borrowed("{\"a\":\"1 > 0\"}"))
    ));
    assert_eq!(cursor.next(), Ok(Some(Item::End)));
    assert_eq!(cursor.next(), Ok(None));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(text in any::<String>(), noise in "[\\]>&<\"'\r\n\t\u{fffe}a;#]{0,20}") {
        let text = format!("{text}{noise}");
        let expected: String =
            text.chars().map(|c| if super::chars::is_xml_char(c) { c } else { '\u{fffd}' }).collect();
        let mut out = BytesMut::new();
        push_text(&mut out, &text);
        let written = std::str::from_utf8(&out).unwrap();
        let read = text_of(&format!("<a>{written}</a>"));
        prop_assert_eq!(read.as_deref(), Ok(&*expected));

        out.clear();
        push_attribute(&mut out, &text);
        let written = std::str::from_utf8(&out).unwrap();
        let read = attribute_of(written);
        prop_assert_eq!(read.as_deref(), Ok(&*expected));
    }

    #[test]
    fn no_input_breaks_the_reader(element in "[<>/a:=' \"&;!\\[\\]CDAT?-]{0,40}", inside in any::<bool>()) {
        let element = if inside { format!("<a>{element}</a>") } else { element };
        let _ = items(&mut reader(), element.as_bytes());
        let _ = reader().open(element.as_bytes());
    }
}
