//! Character data as it is meant, from character data as it is written: references, line ends, white space.

use std::borrow::Cow;
use std::num::IntErrorKind;

use memchr::{memchr, memchr_iter, memchr2_iter, memchr3_iter};

use super::XmlError::{self, NotWellFormed, Restricted};
use super::chars::{NONCHARACTER_START, is_ncname, is_noncharacter, is_xml_char};
use super::work::looked_at;

/// Memory comes in steps of this, so that a text that is a little longer than the one before needs no other.
pub(super) const ROOM: usize = 2048;

/// How a run of character data is written.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// Between two tags.
    Text,
    /// Inside a CDATA section: only line ends are changed.
    Cdata,
}

/// What has to be changed of a run for what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    None,
    References,
    /// Line ends, and maybe references.
    LineEnds,
}

impl Run {
    /// What has to be changed of `raw`. Refuses what may not be written in it, and the characters beyond ASCII that XML forbids;
    /// no reference gives one either.
    ///
    /// UTF-8 is not looked at. Since only whole characters are put in, what is meant is UTF-8 if and only if `raw` is.
    pub fn changes(self, raw: &[u8]) -> Result<Changes, XmlError> {
        looked_at(raw.len());
        let mut changes = Changes::None;
        // All that is rare at once.
        for at in memchr3_iter(b'\r', b'>', NONCHARACTER_START, raw) {
            if raw.get(at) == Some(&b'\r') {
                changes = Changes::LineEnds;
            } else if is_noncharacter(raw, at) {
                return Err(NotWellFormed("a character that XML forbids"));
            } else if self.is_text() && ends_cdata(raw, at) {
                return Err(NotWellFormed("`]]>` in text"));
            }
        }
        if changes == Changes::None && self.is_text() {
            let reference = memchr(b'&', raw);
            looked_at(reference.unwrap_or(raw.len()));
            if reference.is_some() {
                changes = Changes::References;
            }
        }
        Ok(changes)
    }

    /// What is meant by `raw`: itself, if nothing has to be changed, or else a copy in `memory`, in place of what was there.
    pub fn read<'t>(self, raw: &'t [u8], memory: &'t mut Vec<u8>) -> Result<&'t [u8], XmlError> {
        let changes = self.changes(raw)?;
        if changes == Changes::None {
            return Ok(raw);
        }
        memory.clear();
        if memory.capacity() < raw.len() {
            // The old memory goes before the new one comes: both could be as large as a stanza.
            *memory = Vec::new();
            memory.reserve_exact(raw.len().next_multiple_of(ROOM));
        }
        self.push(raw, changes, memory)?;
        Ok(memory)
    }

    /// Appends what is meant, which is never longer than what is written.
    pub fn push(self, raw: &[u8], changes: Changes, out: &mut Vec<u8>) -> Result<(), XmlError> {
        looked_at(raw.len());
        match changes {
            Changes::None => {
                out.extend_from_slice(raw);
                Ok(())
            }
            Changes::References => change_at(memchr_iter(b'&', raw), raw, out),
            Changes::LineEnds if self.is_text() => {
                change_at(memchr2_iter(b'&', b'\r', raw), raw, out)
            }
            Changes::LineEnds => change_at(memchr_iter(b'\r', raw), raw, out),
        }
    }

    const fn is_text(self) -> bool {
        matches!(self, Self::Text)
    }
}

fn ends_cdata(raw: &[u8], at: usize) -> bool {
    raw.get(..=at).is_some_and(|text| text.ends_with(b"]]>"))
}

// A reference holds neither `&` nor a line end, so where the next change is does not depend on how long this one is: the
// processor need not wait for that.
fn change_at(
    places: impl Iterator<Item = usize>,
    raw: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), XmlError> {
    let mut from = 0;
    for at in places {
        out.extend_from_slice(raw.get(from..at).unwrap_or_default());
        let length = match raw.get(at..).unwrap_or_default() {
            text @ [b'\r', ..] => line_end(text, out),
            text => reference(text, out)?,
        };
        from = at.saturating_add(length);
    }
    out.extend_from_slice(raw.get(from..).unwrap_or_default());
    Ok(())
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
        let length = match change {
            [b'&', ..] => reference(change, &mut out)?,
            _ => {
                out.push(b' ');
                if change.starts_with(b"\r\n") { 2 } else { 1 }
            }
        };
        rest = change.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    string(out).map(Cow::Owned)
}

/// Text that was read from a `str`, as which it cannot fail.
pub fn string(text: Vec<u8>) -> Result<String, XmlError> {
    String::from_utf8(text).map_err(|_| XmlError::UnsupportedEncoding)
}

// A line end, however it is written, is a line feed. Gives the bytes that it takes.
fn line_end(text: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(b'\n');
    if text.starts_with(b"\r\n") { 2 } else { 1 }
}

// Reads the one reference that the text begins with, and gives the bytes that it takes.
#[inline(always)]
fn reference(text: &[u8], out: &mut Vec<u8>) -> Result<usize, XmlError> {
    let start = match text.first_chunk() {
        Some(start) => *start,
        None => padded(text),
    };
    match Entity::of(&start) {
        Some(entity) => {
            out.push(entity.character);
            Ok(entity.length)
        }
        None => other_reference(text, out),
    }
}

#[cold]
fn padded(text: &[u8]) -> [u8; 8] {
    let mut start = [0; 8];
    start
        .iter_mut()
        .zip(text)
        .for_each(|(to, from)| *to = *from);
    start
}

/// One of the five that XML has by itself. Which comes next nobody can guess, not the processor either, so it is looked up
/// instead of being compared with one after the other.
#[derive(Clone, Copy)]
struct Entity {
    /// `&name;` as a little-endian number; what `mask` leaves out is not looked at.
    written: u64,
    mask: u64,
    length: usize,
    character: u8,
}

/// What a place of [`ENTITIES`] holds where none of them belongs: matches nothing.
const NO_ENTITY: Entity = Entity {
    written: 1,
    mask: 0,
    length: 0,
    character: 0,
};

const PLACES: usize = 16;

/// Each at its [`Entity::place`].
#[allow(
    clippy::indexing_slicing,
    reason = "it would not compile with a place beyond the end"
)]
static ENTITIES: [Entity; PLACES] = {
    let mut entities = [NO_ENTITY; PLACES];
    let mut all: &[Entity] = &[
        Entity::new(b"&quot;\0\0", b'"'),
        Entity::new(b"&apos;\0\0", b'\''),
        Entity::new(b"&amp;\0\0\0", b'&'),
        Entity::new(b"&lt;\0\0\0\0", b'<'),
        Entity::new(b"&gt;\0\0\0\0", b'>'),
    ];
    while let Some((entity, rest)) = all.split_first() {
        let place = Entity::place(&entity.written.to_le_bytes());
        assert!(entities[place].length == 0, "two entities at one place");
        entities[place] = *entity;
        all = rest;
    }
    entities
};

impl Entity {
    const fn new(written: &[u8; 8], character: u8) -> Self {
        let written = u64::from_le_bytes(*written);
        let unused = written.leading_zeros() / 8;
        Self {
            written,
            mask: u64::MAX >> unused.saturating_mul(8),
            length: 8_usize.saturating_sub(unused as usize),
            character,
        }
    }

    /// The two letters after the `&` tell them apart.
    const fn place(start: &[u8; 8]) -> usize {
        (start[1] ^ start[2]) as usize % PLACES
    }

    /// The one that a text begins with.
    #[inline(always)]
    fn of(start: &[u8; 8]) -> Option<&'static Self> {
        let entity = ENTITIES.get(Self::place(start))?;
        let written = u64::from_le_bytes(*start) & entity.mask;
        (written == entity.written).then_some(entity)
    }
}

#[cold]
fn other_reference(text: &[u8], out: &mut Vec<u8>) -> Result<usize, XmlError> {
    const BARE: XmlError = NotWellFormed("`&` that begins no reference");
    const FORBIDDEN: XmlError = NotWellFormed("a reference to a character that XML forbids");
    let end = memchr(b';', text).ok_or(BARE)?;
    let name = text.get(1..end).ok_or(BARE)?;
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
    Ok(end.saturating_add(1))
}
