//! Character data as it is meant, from character data as it is written: references, line ends, white space.

use std::borrow::Cow;

use memchr::{memchr, memchr3, memchr3_iter};

use super::XmlError::{self, NotWellFormed, Restricted};
use super::chars::{is_ncname, is_xml_char};

const CDATA_END: XmlError = NotWellFormed("`]]>` in text");

/// The text between two tags.
pub fn text(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    let bytes = raw.as_bytes();
    let mut first = None;
    for at in memchr3_iter(b'&', b'\r', b'>', bytes) {
        if bytes.get(at) != Some(&b'>') {
            first = Some(at);
            break;
        }
        if bytes
            .get(..at)
            .is_some_and(|before| before.ends_with(b"]]"))
        {
            return Err(CDATA_END);
        }
    }
    let Some((plain, mut rest)) = first.and_then(|at| raw.split_at_checked(at)) else {
        return Ok(Cow::Borrowed(raw));
    };
    // References only ever shrink, so this is the one allocation.
    let mut out = String::with_capacity(raw.len());
    out.push_str(plain);
    while let Some((plain, special)) =
        memchr3(b'&', b'\r', b'>', rest.as_bytes()).and_then(|at| rest.split_at_checked(at))
    {
        out.push_str(plain);
        rest = match special.as_bytes() {
            [b'&', ..] => reference(special, &mut out)?,
            [b'\r', ..] => line_end(special, '\n', &mut out),
            _ if plain.ends_with("]]") => return Err(CDATA_END),
            _ => {
                out.push('>');
                special.get(1..).unwrap_or_default()
            }
        };
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
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
    let special = |byte: u8| matches!(byte, b'&' | b'\t' | b'\n' | b'\r');
    if !raw.bytes().any(special) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, found)) = rest
        .bytes()
        .position(special)
        .and_then(|at| rest.split_at_checked(at))
    {
        out.push_str(plain);
        rest = if found.starts_with('&') {
            reference(found, &mut out)?
        } else {
            line_end(found, ' ', &mut out)
        };
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

// Takes one white space character, or the two of a CRLF, and writes what stands for it.
fn line_end<'t>(text: &'t str, written: char, out: &mut String) -> &'t str {
    out.push(written);
    let rest = text.strip_prefix("\r\n");
    rest.unwrap_or_else(|| text.get(1..).unwrap_or_default())
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

fn other_reference<'t>(text: &'t str, out: &mut String) -> Result<&'t str, XmlError> {
    const BARE: XmlError = NotWellFormed("`&` that begins no reference");
    let (name, rest) = text
        .strip_prefix('&')
        .and_then(|text| text.split_once(';'))
        .ok_or(BARE)?;
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
        std::num::IntErrorKind::PosOverflow => FORBIDDEN,
        _ => BARE,
    })?;
    let character = char::from_u32(number).filter(|&character| is_xml_char(character));
    out.push(character.ok_or(FORBIDDEN)?);
    Ok(rest)
}

const FORBIDDEN: XmlError = NotWellFormed("a reference to a character that XML forbids");
