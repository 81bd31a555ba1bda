//! Character data as it is meant, from character data as it is written: references, line ends, white space.

use std::borrow::Cow;
use std::num::IntErrorKind;

use memchr::{memchr, memchr_iter, memchr2};

use super::XmlError::{self, NotWellFormed, Restricted};
use super::chars::{is_ncname, is_xml_char};
use super::work::looked_at;

/// How a run of character data is written.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// Between two tags.
    Text,
    /// Inside a CDATA section: only line ends are changed.
    Cdata,
}

impl Run {
    /// What is meant by `raw`: itself, if nothing has to be changed, or else a copy in `memory`, in place of what was there.
    ///
    /// UTF-8 is not looked at. Since only whole characters are put in, what is meant is UTF-8 if and only if `raw` is.
    pub fn read<'t>(self, raw: &'t [u8], memory: &'t mut Vec<u8>) -> Result<&'t [u8], XmlError> {
        if !self.changes(raw) {
            self.check(raw)?;
            return Ok(raw);
        }
        memory.clear();
        if memory.capacity() < raw.len() {
            // The old memory goes before the new one comes: both could be as large as a stanza.
            *memory = Vec::new();
            memory.reserve_exact(raw.len());
        }
        self.push(raw, memory)?;
        Ok(memory)
    }

    /// Whether what is meant differs from what is written.
    pub fn changes(self, raw: &[u8]) -> bool {
        let change = memchr2(self.ampersand(), b'\r', raw);
        looked_at(change.unwrap_or(raw.len()));
        change.is_some()
    }

    /// Appends what is meant, which is never longer than what is written.
    pub fn push(self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), XmlError> {
        self.check(raw)?;
        looked_at(raw.len());
        let mut rest = self.push_plain(raw, out);
        while let Some(&change) = rest.first() {
            rest = if change == b'\r' {
                out.push(b'\n');
                let after = rest.strip_prefix(b"\r\n");
                after.or_else(|| rest.get(1..)).unwrap_or_default()
            } else {
                reference(rest, out)?
            };
            // Where one quote of a JSON text is a reference all are, and the next is near.
            if let (Self::Text, [.., b'"']) = (self, &**out)
                && let Some(after) = push_nearby(rest, out)
            {
                rest = after;
            } else {
                rest = self.push_plain(rest, out);
            }
        }
        Ok(())
    }

    /// Appends what comes before the first change, and gives what is left.
    fn push_plain<'t>(self, raw: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
        let plain = memchr2(self.ampersand(), b'\r', raw);
        let (plain, rest) = raw.split_at(plain.unwrap_or(raw.len()));
        out.extend_from_slice(plain);
        rest
    }

    /// What begins a reference here; where there is none, the other change.
    const fn ampersand(self) -> u8 {
        match self {
            Self::Text => b'&',
            Self::Cdata => b'\r',
        }
    }

    /// Refuses what may not be written so.
    pub fn check(self, raw: &[u8]) -> Result<(), XmlError> {
        let Self::Text = self else { return Ok(()) };
        looked_at(raw.len());
        let ends_cdata = |at| raw.get(..at).is_some_and(|before| before.ends_with(b"]]"));
        if memchr_iter(b'>', raw).any(ends_cdata) {
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
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((plain, change)) = rest
        .iter()
        .position(|&byte| is_change(byte))
        .and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(plain);
        rest = if change.starts_with(b"&") {
            reference(change, &mut out)?
        } else {
            out.push(b' ');
            let after = change.strip_prefix(b"\r\n");
            after.or_else(|| change.get(1..)).unwrap_or_default()
        };
    }
    out.extend_from_slice(rest);
    string(out).map(Cow::Owned)
}

/// Text that was read from a `str`, as which it cannot fail.
pub fn string(text: Vec<u8>) -> Result<String, XmlError> {
    String::from_utf8(text).map_err(|_| XmlError::UnsupportedEncoding)
}

// The same as `push_plain` where a change is among the next eight bytes. So few are copied before it is known how many of them
// are plain: calls that are made for long texts cost more.
#[inline(always)]
fn push_nearby<'t>(raw: &'t [u8], out: &mut Vec<u8>) -> Option<&'t [u8]> {
    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    // The top bit of the first zero byte is the lowest one set.
    let zeros = |word: u64| word.wrapping_sub(all(1)) & !word & all(0x80);
    let next = raw.first_chunk()?;
    let word = u64::from_le_bytes(*next);
    let found = zeros(word ^ all(b'&')) | zeros(word ^ all(b'\r'));
    if found == 0 {
        return None;
    }
    let plain = found.trailing_zeros() as usize / 8;
    let before = out.len();
    out.extend_from_slice(next);
    out.truncate(before.saturating_add(plain));
    raw.get(plain..)
}

// Takes one reference, which the text begins with.
#[inline(always)]
fn reference<'t>(text: &'t [u8], out: &mut Vec<u8>) -> Result<&'t [u8], XmlError> {
    let (character, length) = match text {
        [b'&', b'q', b'u', b'o', b't', b';', ..] => (b'"', 6),
        [b'&', b'a', b'm', b'p', b';', ..] => (b'&', 5),
        [b'&', b'l', b't', b';', ..] => (b'<', 4),
        [b'&', b'g', b't', b';', ..] => (b'>', 4),
        [b'&', b'a', b'p', b'o', b's', b';', ..] => (b'\'', 6),
        _ => return other_reference(text, out),
    };
    out.push(character);
    Ok(text.get(length..).unwrap_or_default())
}

#[cold]
fn other_reference<'t>(text: &'t [u8], out: &mut Vec<u8>) -> Result<&'t [u8], XmlError> {
    const BARE: XmlError = NotWellFormed("`&` that begins no reference");
    const FORBIDDEN: XmlError = NotWellFormed("a reference to a character that XML forbids");
    let (name, rest) = memchr(b';', text)
        .and_then(|end| text.split_at_checked(end))
        .ok_or(BARE)?;
    let name = name.strip_prefix(b"&").ok_or(BARE)?;
    let name = std::str::from_utf8(name).map_err(|_| BARE)?;
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
