//! JSON strings, and JSON as we write it: such that XML needs no reference around it (`docs/protocol.md` §12 #30).

use std::borrow::Cow;

use bytes::BufMut;
use memchr::memchr;

use crate::plain::is_plain;

/// Appends a JSON string with its quotes.
///
/// `<`, `>` and `&` are written as `\u003c`, `\u003e` and `\u0026`, and so is what XML forbids or might change: control
/// characters, U+FFFE and U+FFFF. A reader of JSON sees the same string.
pub(crate) fn push_string(out: &mut impl BufMut, text: &str) {
    out.put_u8(b'"');
    push_in_string(out, text);
    out.put_u8(b'"');
}

/// The same within quotes that somebody else writes.
pub(super) fn push_in_string(out: &mut impl BufMut, text: &str) {
    if is_plain(text) {
        out.put_slice(text.as_bytes());
    } else {
        push_escaped(out, text, true);
    }
}

/// Appends JSON text as it is, but for the characters that must not stand in XML. Outside of strings JSON has none of
/// them, so what is replaced is inside one.
pub(crate) fn push_json(out: &mut impl BufMut, json: &str) {
    let bytes = json.as_bytes();
    // Nearly every text needs nothing. Without an early exit this loop becomes vector code. 0xef begins U+FFFE, and much
    // that is harmless.
    let suspect = |byte: u8| byte < 0x20 || byte == 0xef || matches!(byte, b'<' | b'>' | b'&');
    if bytes.iter().fold(false, |any, &byte| any | suspect(byte)) {
        push_escaped(out, json, false);
    } else {
        out.put_slice(bytes);
    }
}

fn push_escaped(out: &mut impl BufMut, text: &str, quotes: bool) {
    let mut from = 0;
    for (at, character) in text.char_indices() {
        let escape = match character {
            '"' if quotes => "\\\"",
            '\\' if quotes => "\\\\",
            '<' => "\\u003c",
            '>' => "\\u003e",
            '&' => "\\u0026",
            '\u{fffe}' => "\\ufffe",
            '\u{ffff}' => "\\uffff",
            // Between members JSON allows these; inside a string it does not. A reader of XML would make a line feed of the
            // last one.
            '\t' | '\n' if !quotes => continue,
            '\r' if !quotes => " ",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            control if control < ' ' => {
                put(out, text, from, at);
                out.put_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
                from = at.saturating_add(1);
                continue;
            }
            _ => continue,
        };
        put(out, text, from, at);
        out.put_slice(escape.as_bytes());
        from = at.saturating_add(character.len_utf8());
    }
    put(out, text, from, text.len());
}

fn put(out: &mut impl BufMut, text: &str, from: usize, to: usize) {
    out.put_slice(text.get(from..to).unwrap_or_default().as_bytes());
}

/// Writes the members of one object, with commas between them.
pub(crate) struct Object<'a, B> {
    out: &'a mut B,
    any: bool,
}

impl<'a, B: BufMut> Object<'a, B> {
    pub(crate) fn open(out: &'a mut B) -> Self {
        out.put_u8(b'{');
        Self { out, any: false }
    }

    /// An object of which some members are written already.
    pub(super) fn go_on(out: &'a mut B) -> Self {
        Self { out, any: true }
    }

    /// The name must need no escape.
    fn name(&mut self, name: &str) {
        if std::mem::replace(&mut self.any, true) {
            self.out.put_u8(b',');
        }
        self.out.put_u8(b'"');
        self.out.put_slice(name.as_bytes());
        self.out.put_slice(b"\":");
    }

    pub(crate) fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        push_string(self.out, value);
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.out.put_slice(value.to_string().as_bytes());
    }

    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.put_slice(if value { b"true" } else { b"false" });
    }

    /// JSON text, with what XML forbids or would have to escape written as JSON escapes.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        push_json(self.out, json);
    }

    /// JSON text that was written by this module.
    pub(super) fn written(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.put_slice(json.as_bytes());
    }

    pub(crate) fn close(self) {
        self.out.put_u8(b'}');
    }
}

/// The string that a JSON string stands for, borrowed where it holds no escape.
pub(super) fn read_string(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if memchr(b'\\', inner.as_bytes()).is_some() {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// How many bytes [`read_string`] gives for a valid JSON string, without a copy of it.
pub(super) fn string_len(json: &str) -> Option<usize> {
    let mut rest = json.strip_prefix('"')?.strip_suffix('"')?;
    let mut len = 0_usize;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        let escape = rest.get(at..)?;
        let (text, written) = match (code_unit(escape), escape.get(6..).and_then(code_unit)) {
            (None, _) => (1, 2),
            (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => {
                (char::decode_utf16([high, low]).next()?.ok()?.len_utf8(), 12)
            }
            (Some(unit), _) => (char::from_u32(unit.into())?.len_utf8(), 6),
        };
        len = len.checked_add(at)?.checked_add(text)?;
        rest = escape.get(written..)?;
    }
    len.checked_add(rest.len())
}

/// The code unit that `\u` and four hexadecimal digits stand for.
fn code_unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        push_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_xml_would_have_to_escape_or_forbids_is_escaped_in_json() {
        assert_eq!(written("a<b>&\"c\"\\"), r#""a\u003cb\u003e\u0026\"c\"\\""#);
        assert_eq!(written("\0\u{1}\n\r\t"), r#""\u0000\u0001\n\r\t""#);
        assert_eq!(written("\u{fffe}\u{ffff}"), r#""\ufffe\uffff""#);
        assert_eq!(
            written("h\u{e9}llo \u{fffd}\u{1f600}"),
            "\"h\u{e9}llo \u{fffd}\u{1f600}\""
        );
    }

    #[test]
    fn white_space_between_members_comes_through_xml_as_it_is() {
        let mut out = Vec::new();
        push_json(&mut out, "{\r\n\t\"a\":\"b\"\r}");
        assert_eq!(out, b"{ \n\t\"a\":\"b\" }");
    }

    #[test]
    fn a_string_is_counted_as_it_is_read() {
        for json in [
            r#""""#,
            r#""abc""#,
            r#""a\n\"\/b""#,
            r#""\u0041\u00e9\u65e5é日""#,
            r#""\ud83d\ude00\uD83D\uDE00""#,
            r#""\ud83d""#,
            r#""\ud83d\u0041""#,
            r#""\ude00\ud83d""#,
            "1.50",
        ] {
            let read = read_string(json).map(|text| text.len());
            assert_eq!(string_len(json), read, "{json}");
        }
    }
}
