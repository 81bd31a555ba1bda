//! Character data as it is meant, from character data as it is written: references, line ends, white space.

use std::borrow::Cow;
use std::num::IntErrorKind;

use memchr::{memchr, memchr_iter, memchr2};

use super::XmlError::{self, NotWellFormed, Restricted};
use super::chars::{is_ncname, is_xml_char};
use super::work::looked_at;

/// The text between two tags. If it has to be copied, the copy takes the memory of `spare`.
pub fn text<'t>(raw: &'t str, spare: &mut String) -> Result<Cow<'t, str>, XmlError> {
    let bytes = raw.as_bytes();
    looked_at(bytes.len().saturating_mul(2));
    let ends_cdata = |at| {
        bytes
            .get(..at)
            .is_some_and(|before| before.ends_with(b"]]"))
    };
    if memchr_iter(b'>', bytes).any(ends_cdata) {
        return Err(NotWellFormed("`]]>` in text"));
    }
    if memchr2(b'&', b'\r', bytes).is_none() {
        return Ok(Cow::Borrowed(raw));
    }
    match line_ends(raw) {
        Cow::Borrowed(raw) => references(raw, spare),
        Cow::Owned(raw) => Ok(Cow::Owned(references(&raw, spare)?.into_owned())),
    }
}

// Text is copied as text, so nothing has to be proved to be UTF-8 a second time.
fn references<'t>(raw: &'t str, spare: &mut String) -> Result<Cow<'t, str>, XmlError> {
    let Some((plain, mut rest)) = split_at_reference(raw) else {
        return Ok(Cow::Borrowed(raw));
    };
    looked_at(raw.len());
    // A reference is never shorter than what it stands for, so this is the one allocation.
    let mut out = std::mem::take(spare);
    out.clear();
    out.reserve(raw.len());
    out.push_str(plain);
    loop {
        rest = reference(rest, &mut out)?;
        let Some((plain, after)) = split_at_reference(rest) else {
            out.push_str(rest);
            return Ok(Cow::Owned(out));
        };
        out.push_str(plain);
        rest = after;
    }
}

fn split_at_reference(text: &str) -> Option<(&str, &str)> {
    memchr(b'&', text.as_bytes()).and_then(|at| text.split_at_checked(at))
}

/// What stands in a CDATA section: only its line ends are changed.
pub fn line_ends(raw: &str) -> Cow<'_, str> {
    looked_at(raw.len());
    if memchr(b'\r', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The value of an attribute. White space that was not written as a reference becomes a space.
pub fn attribute(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    looked_at(raw.len());
    if !raw
        .bytes()
        .any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r'))
    {
        return Ok(Cow::Borrowed(raw));
    }
    let raw = raw.replace("\r\n", " ").replace(['\t', '\n', '\r'], " ");
    Ok(Cow::Owned(
        references(&raw, &mut String::new())?.into_owned(),
    ))
}

// Takes one reference, which the text begins with.
fn reference<'t>(text: &'t str, out: &mut String) -> Result<&'t str, XmlError> {
    let (character, length) = match text.as_bytes() {
        [b'&', b'q', b'u', b'o', b't', b';', ..] => ('"', 6),
        [b'&', b'a', b'm', b'p', b';', ..] => ('&', 5),
        [b'&', b'l', b't', b';', ..] => ('<', 4),
        [b'&', b'g', b't', b';', ..] => ('>', 4),
        [b'&', b'a', b'p', b'o', b's', b';', ..] => ('\'', 6),
        _ => return other_reference(text, out),
    };
    out.push(character);
    Ok(text.get(length..).unwrap_or_default())
}

#[cold]
fn other_reference<'t>(text: &'t str, out: &mut String) -> Result<&'t str, XmlError> {
    const BARE: XmlError = NotWellFormed("`&` that begins no reference");
    const FORBIDDEN: XmlError = NotWellFormed("a reference to a character that XML forbids");
    let (name, rest) = text.split_once(';').ok_or(BARE)?;
    let name = name.strip_prefix('&').ok_or(BARE)?;
    let (digits, radix) = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix('x') {
            Some(digits) => (digits, 16),
            None => (number, 10),
        },
        None if is_ncname(name) => {
            return Err(Restricted("an entity other than the predefined five"));
        }
        None => return Err(BARE),
    };
    // The parse alone would take a sign as well.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(BARE);
    }
    let number = u32::from_str_radix(digits, radix).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow => FORBIDDEN,
        _ => BARE,
    })?;
    let character = char::from_u32(number)
        .filter(|&character| is_xml_char(character))
        .ok_or(FORBIDDEN)?;
    out.push(character);
    Ok(rest)
}
