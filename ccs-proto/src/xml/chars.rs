//! Which characters XML 1.0 allows, and which of them a name may hold.

use memchr::memchr_iter;

use super::work::looked_at;

/// White space as XML defines it; narrower than Unicode's and than ASCII's.
#[must_use]
pub const fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// A control byte that may appear nowhere in a document, not even as a character reference.
#[must_use]
pub const fn is_control(byte: u8) -> bool {
    byte < 0x20 && !is_white_space(byte)
}

/// The production `Char` of XML 1.0.
#[must_use]
pub const fn is_xml_char(character: char) -> bool {
    matches!(
        character,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..
    )
}

/// Whether any byte is a control byte.
///
/// There is no early exit on purpose: such loops become vector code, and a text that has one ends the stream anyway.
/// Most texts hold no line feed either, and the smallest byte alone tells that.
#[must_use]
pub fn has_control(bytes: &[u8]) -> bool {
    looked_at(bytes.len());
    bytes.iter().fold(u8::MAX, |least, &byte| least.min(byte)) < 0x20
        && bytes
            .iter()
            .fold(false, |found, &byte| found | is_control(byte))
}

/// Where the first character stands that XML forbids.
#[must_use]
pub fn find_illegal(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let control = if has_control(bytes) {
        bytes.iter().position(|&byte| is_control(byte))
    } else {
        None
    };
    looked_at(bytes.len());
    let noncharacter =
        memchr_iter(NONCHARACTER_START, bytes).find(|&at| is_noncharacter(bytes, at));
    match (control, noncharacter) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The first byte of U+FFFE and U+FFFF, which are all that XML forbids beside control bytes and a `str` can hold. Much that is
/// harmless begins with it, too.
pub const NONCHARACTER_START: u8 = 0xef;

/// Whether U+FFFE or U+FFFF stands at this place of UTF-8 text.
#[must_use]
pub fn is_noncharacter(bytes: &[u8], at: usize) -> bool {
    matches!(
        bytes.get(at..).and_then(|rest| rest.first_chunk()),
        Some([NONCHARACTER_START, 0xbf, 0xbe | 0xbf])
    )
}

/// Whether a byte can begin a name. Bytes of longer characters pass here; `is_ncname` looks at the character.
#[must_use]
pub const fn may_begin_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// A name without a colon, as Namespaces in XML wants both halves of a qualified name.
#[must_use]
pub fn is_ncname(name: &str) -> bool {
    let mut characters = name.chars();
    is_letters(name) || characters.next().is_some_and(is_name_start) && characters.all(is_name_char)
}

/// A name of ASCII letters only, as nearly every name is.
#[must_use]
pub fn is_letters(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

// The productions NameStartChar and NameChar of XML 1.0 (fifth edition), without the colon.
const fn is_name_start(character: char) -> bool {
    matches!(
        character,
        'a'..='z' | 'A'..='Z' | '_' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}'
    )
}

const fn is_name_char(character: char) -> bool {
    is_name_start(character)
        || matches!(
            character,
            '0'..='9' | '-' | '.' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_illegal_character() {
        for (text, found) in [
            ("", None),
            ("plain \t\r\n text", None),
            ("del \u{7f} and c1 \u{85} are legal", None),
            ("\u{feff}\u{fffd}\u{10ffff}", None),
            ("a\0", Some(1)),
            ("ab\u{b}c\u{1f}", Some(2)),
            ("\u{fffe}", Some(0)),
            ("\u{fffd}\u{ffff}\0", Some(3)),
            ("\u{1}\u{ffff}", Some(0)),
        ] {
            assert_eq!(find_illegal(text), found, "{text:?}");
        }
    }

    #[test]
    fn agrees_with_the_production_for_every_character() {
        for character in '\0'..=char::MAX {
            let text = character.encode_utf8(&mut [0; 4]).to_owned();
            assert_eq!(find_illegal(&text).is_none(), is_xml_char(character));
        }
    }

    #[test]
    fn names() {
        for name in ["a", "_", "message", "data-x.1", "é", "b\u{b7}"] {
            assert!(is_ncname(name), "{name:?}");
        }
        for name in [
            "", "1a", "-a", ".a", "a:b", ":", "a/", "a\"", "\u{d7}", "a b",
        ] {
            assert!(!is_ncname(name), "{name:?}");
        }
    }
}
