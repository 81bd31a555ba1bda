//! Character data as it is meant, from character data as it is written: references, line ends, white space.

use std::borrow::Cow;
use std::num::IntErrorKind;

use memchr::{memchr, memchr_iter, memchr2};

use super::XmlError::{self, NotWellFormed, Restricted};
use super::chars::{is_ncname, is_xml_char};
use super::work::looked_at;

/// A run of character data as it is written.
#[derive(Debug, Clone, Copy)]
pub enum Run<'t> {
    /// Between two tags.
    Text(&'t str),
    /// Inside a CDATA section: only line ends are changed.
    Cdata(&'t str),
}

impl<'t> Run<'t> {
    /// What is meant. If it has to be copied, the copy takes the memory of `spare`, and has room for `room` bytes.
    pub fn read(self, room: usize, spare: &mut String) -> Result<Cow<'t, str>, XmlError> {
        let raw = self.raw();
        let change = self.find_change(raw);
        looked_at(change.unwrap_or(raw.len()));
        if change.is_none() {
            self.check()?;
            return Ok(Cow::Borrowed(raw));
        }
        let mut out = std::mem::take(spare);
        out.clear();
        if out.capacity() < room {
            // A string that grows holds its old memory beside the new, and this one is empty.
            drop(out);
            out = String::with_capacity(room);
        }
        self.push(&mut out)?;
        Ok(Cow::Owned(out))
    }

    /// Appends what is meant, which is never longer than what is written.
    pub fn push(self, out: &mut String) -> Result<(), XmlError> {
        self.check()?;
        let mut rest = self.raw();
        looked_at(rest.len());
        let mut next = self.find_change(rest);
        while let Some((plain, change)) = next.and_then(|at| rest.split_at_checked(at)) {
            out.push_str(plain);
            rest = match change.strip_prefix('\r') {
                Some(after) => {
                    out.push('\n');
                    after.strip_prefix('\n').unwrap_or(after)
                }
                None => reference(change, out)?,
            };
            // Where one quote of a JSON text is a reference all are, and the next is near.
            let nearby = match (self, out.as_bytes()) {
                (Self::Text(_), [.., b'"']) => change_nearby(rest),
                _ => None,
            };
            next = nearby.or_else(|| self.find_change(rest));
        }
        out.push_str(rest);
        Ok(())
    }

    /// The run as it is written.
    pub const fn raw(self) -> &'t str {
        match self {
            Self::Text(raw) | Self::Cdata(raw) => raw,
        }
    }

    fn find_change(self, raw: &str) -> Option<usize> {
        match self {
            Self::Text(_) => memchr2(b'&', b'\r', raw.as_bytes()),
            Self::Cdata(_) => memchr(b'\r', raw.as_bytes()),
        }
    }

    fn check(self) -> Result<(), XmlError> {
        let Self::Text(raw) = self else { return Ok(()) };
        let bytes = raw.as_bytes();
        looked_at(bytes.len());
        let ends_cdata = |at| {
            bytes
                .get(..at)
                .is_some_and(|before| before.ends_with(b"]]"))
        };
        if memchr_iter(b'>', bytes).any(ends_cdata) {
            return Err(NotWellFormed("`]]>` in text"));
        }
        Ok(())
    }
}

/// The value of an attribute. White space that was not written as a reference becomes a space.
pub fn attribute(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    let is_change = |byte: u8| matches!(byte, b'&' | b'\t' | b'\n' | b'\r');
    looked_at(raw.len());
    if !raw.bytes().any(is_change) {
        return Ok(Cow::Borrowed(raw));
    }
    looked_at(raw.len());
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, change)) = rest
        .bytes()
        .position(is_change)
        .and_then(|at| rest.split_at_checked(at))
    {
        out.push_str(plain);
        rest = if change.starts_with('&') {
            reference(change, &mut out)?
        } else {
            out.push(' ');
            let after = change.strip_prefix("\r\n");
            after.or_else(|| change.get(1..)).unwrap_or_default()
        };
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

// The first `&` or `\r` among the next eight bytes; for so few a search that is made for long texts costs too much.
fn change_nearby(text: &str) -> Option<usize> {
    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    // The top bit of the first zero byte is the lowest one set.
    let zeros = |word: u64| word.wrapping_sub(all(1)) & !word & all(0x80);
    let word = u64::from_le_bytes(*text.as_bytes().first_chunk()?);
    let found = zeros(word ^ all(b'&')) | zeros(word ^ all(b'\r'));
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

// Takes one reference, which the text begins with.
#[inline(always)]
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
