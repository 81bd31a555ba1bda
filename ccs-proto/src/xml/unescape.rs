//! Character data as it is meant, from character data as it is written: references, line ends, white space.

use std::borrow::Cow;
use std::num::IntErrorKind;
use std::str::from_utf8;

use memchr::{memchr, memchr_iter, memchr2};

use super::XmlError::{self, NotWellFormed, Restricted};
use super::chars::{is_ncname, is_xml_char};

/// The text between two tags.
pub fn text(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    let bytes = raw.as_bytes();
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
        Cow::Borrowed(raw) => references(raw),
        Cow::Owned(raw) => Ok(Cow::Owned(references(&raw)?.into_owned())),
    }
}

// Peers that escape every quote of a JSON text leave about ten bytes between two references. Finding and copying such
// short runs by calls costs more than the work, so it goes in words of eight, of which the last is cut back.
fn references(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    let Some((plain, mut rest)) =
        memchr(b'&', raw.as_bytes()).and_then(|at| raw.as_bytes().split_at_checked(at))
    else {
        return Ok(Cow::Borrowed(raw));
    };
    // A reference is never shorter than what it stands for, so with the last word this is the one allocation.
    let mut out = Vec::with_capacity(raw.len().saturating_add(WORD));
    out.extend_from_slice(plain);
    loop {
        while let Some((word, after)) = rest.split_first_chunk::<WORD>() {
            out.extend_from_slice(word);
            if let Some(plain) = ampersand(u64::from_le_bytes(*word)) {
                out.truncate(out.len().wrapping_sub(WORD.wrapping_sub(plain)));
                rest = rest.get(plain..).unwrap_or_default();
                break;
            }
            rest = after;
        }
        rest = match rest {
            [b'&', ..] => reference(rest, &mut out)?,
            [byte, after @ ..] => {
                out.push(*byte);
                after
            }
            [] => break,
        };
    }
    // Whole characters were put in the place of whole characters, so this is always UTF-8.
    String::from_utf8(out)
        .map(Cow::Owned)
        .map_err(|_| XmlError::UnsupportedEncoding)
}

const WORD: usize = size_of::<u64>();

// The number of bytes before the first `&`, if there is one. A byte of `differ` is zero exactly where one is; taking 1
// from each byte then borrows into its top bit, and only bytes after the first can be wrong.
const fn ampersand(word: u64) -> Option<usize> {
    let ones = u64::MAX / 0xff;
    let differ = word ^ ones.wrapping_mul(b'&' as u64);
    let zeros = differ.wrapping_sub(ones) & !differ & (ones << 7);
    if zeros == 0 {
        return None;
    }
    Some((zeros.trailing_zeros() >> 3) as usize)
}

/// What stands in a CDATA section: only its line ends are changed.
pub fn line_ends(raw: &str) -> Cow<'_, str> {
    if memchr(b'\r', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The value of an attribute. White space that was not written as a reference becomes a space.
pub fn attribute(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    if !raw
        .bytes()
        .any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r'))
    {
        return Ok(Cow::Borrowed(raw));
    }
    let raw = raw.replace("\r\n", " ").replace(['\t', '\n', '\r'], " ");
    Ok(Cow::Owned(references(&raw)?.into_owned()))
}

// Takes one reference, which the text begins with.
fn reference<'t>(text: &'t [u8], out: &mut Vec<u8>) -> Result<&'t [u8], XmlError> {
    let (character, rest) = match text {
        [b'&', b'q', b'u', b'o', b't', b';', rest @ ..] => (b'"', rest),
        [b'&', b'a', b'm', b'p', b';', rest @ ..] => (b'&', rest),
        [b'&', b'l', b't', b';', rest @ ..] => (b'<', rest),
        [b'&', b'g', b't', b';', rest @ ..] => (b'>', rest),
        [b'&', b'a', b'p', b'o', b's', b';', rest @ ..] => (b'\'', rest),
        _ => return other_reference(text, out),
    };
    out.push(character);
    Ok(rest)
}

#[cold]
fn other_reference<'t>(text: &'t [u8], out: &mut Vec<u8>) -> Result<&'t [u8], XmlError> {
    const BARE: XmlError = NotWellFormed("`&` that begins no reference");
    const FORBIDDEN: XmlError = NotWellFormed("a reference to a character that XML forbids");
    let end = memchr(b';', text).ok_or(BARE)?;
    let (name, rest) = text.split_at(end);
    let name = name.get(1..).and_then(|name| from_utf8(name).ok());
    let name = name.ok_or(BARE)?;
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
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(rest.get(1..).unwrap_or_default())
}
