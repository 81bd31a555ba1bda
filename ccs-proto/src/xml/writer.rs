//! Text as XML wants it written.

use bytes::BufMut;

use super::chars::{is_control, is_noncharacter};
use crate::plain::is_plain;

/// Appends character data. Quotes are left alone, they mean nothing between tags.
///
/// A carriage return is written as a reference, because a reader would take a raw one for a line feed. What XML cannot
/// carry becomes U+FFFD.
pub fn push_text(out: &mut impl BufMut, text: &str) {
    push_escaped(out, text, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends an attribute value, to stand between double quotes, which are not written here.
pub fn push_attribute(out: &mut impl BufMut, value: &str) {
    if is_plain(value) {
        return out.put_slice(value.as_bytes());
    }
    push_escaped(out, value, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

fn push_escaped(out: &mut impl BufMut, text: &str, escape: impl Fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let (written, length) = match escape(byte) {
            Some(reference) => (reference, 1),
            None if is_control(byte) => ("\u{fffd}", 1),
            None if byte == 0xef && is_noncharacter(bytes, at) => ("\u{fffd}", 3),
            None => continue,
        };
        out.put_slice(bytes.get(from..at).unwrap_or_default());
        out.put_slice(written.as_bytes());
        from = at.saturating_add(length);
    }
    out.put_slice(bytes.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    fn text(text: &str) -> String {
        let mut out = BytesMut::new();
        push_text(&mut out, text);
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn attribute(value: &str) -> String {
        let mut out = BytesMut::new();
        push_attribute(&mut out, value);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn escapes_what_it_must_and_no_more() {
        assert_eq!(text(r#"{"a":'b'}"#), r#"{"a":'b'}"#);
        assert_eq!(text("a<b>&]]>\t\n\r"), "a&lt;b&gt;&amp;]]&gt;\t\n&#13;");
        assert_eq!(
            attribute("a\"b'<&>\t\n\r"),
            "a&quot;b'&lt;&amp;&gt;&#9;&#10;&#13;"
        );
    }

    #[test]
    fn replaces_what_xml_cannot_carry() {
        assert_eq!(
            text("\0a\u{1f}\u{fffe}\u{ffff}\u{fffd}\u{ff0c}\u{feff}"),
            "\u{fffd}a\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{ff0c}\u{feff}"
        );
        assert_eq!(attribute("\u{8}é"), "\u{fffd}é");
    }
}
