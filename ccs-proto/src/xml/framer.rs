//! Cuts the bytes of a stream into its header, whole elements and its end.

use memchr::memchr;

use super::XmlError::{self, NotWellFormed, TooLarge};
use super::chars::is_white_space;
use super::held::Held;
use super::scanner::{Place, Scanner, Unit};
use super::stray::{take_run, take_stray};
use super::work::looked_at;
use super::wrapping::{Known, Wrapping};
use super::{XmlLimits, declaration};

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// A piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The start tag of the stream, without any declaration before it.
    StreamOpen(&'a [u8]),
    /// One whole child of the stream, from its `<` to its last `>`.
    Element(&'a [u8]),
    /// The end tag of the stream.
    StreamClose,
    /// White space between elements: the bytes of it that this input held.
    Space(usize),
    /// Other text between elements: the bytes of it that this input held.
    StrayText(usize),
}

/// Finds the frames of a stream, whatever the pieces in which its bytes come.
///
/// An element that lies whole in the input is given out as a slice of it. Only the beginning of one whose end is still
/// to come is copied, never more than the limit, and no byte is scanned a second time when more arrive.
#[derive(Debug)]
pub struct Framer {
    limits: XmlLimits,
    phase: Phase,
    scanner: Scanner,
    // Inside a unit: its first byte was seen and its last was not.
    mid_unit: bool,
    // What earlier inputs held of the unit, or the unit itself while the caller looks at it; or memory for the next.
    held: Held,
    given_out: bool,
    // The stream's own name as its start tag wrote it.
    name: Box<[u8]>,
    failed: Option<XmlError>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Prolog {
        // Bytes seen of a byte order mark, which can only come first of all.
        mark: Option<usize>,
        // White space before a declaration, and the end of the stream before: both only after a restart; see
        // `Framer::restart`.
        restarted: bool,
        declaration: bool,
        space: usize,
    },
    // `brackets`: how many `]` the stray text seen last ended with, up to two.
    Stream {
        brackets: u8,
    },
    Closed,
}

// What to give out, before it is known whose memory it lies in.
enum Found<'a> {
    Frame(Frame<'a>),
    Buffered { header: bool },
}

impl Framer {
    /// A framer at the very start of a stream.
    #[must_use]
    pub fn new(limits: XmlLimits) -> Self {
        Self {
            limits,
            phase: Phase::start(false),
            scanner: Scanner::new(limits.depth),
            mid_unit: false,
            held: Held::new(limits.stanza),
            given_out: false,
            name: Box::default(),
            failed: None,
        }
    }

    /// Expects a new stream header next, as after a successful log-in (RFC 6120 §6.4.6).
    ///
    /// White space may then stand before the declaration: clients end `</auth>` with a line feed that belongs to
    /// neither stream. And the old stream's end tag may come in place of a header: who gives up does not know yet that the
    /// log-in has succeeded. Call it before the bytes after that element are given in: what comes before the call still
    /// belongs to the old stream.
    pub fn restart(&mut self) {
        self.release();
        self.held.set_public();
        self.phase = Phase::start(true);
    }

    /// The next element with what differs in it from others of known tags, moving `input` past it. `None` if `input` does not
    /// begin with all of such a one, or it breaks a rule: [`next`](Self::next) finds it the same, or says so, and only takes
    /// longer.
    pub fn next_known<'a>(
        &mut self,
        input: &mut &'a [u8],
        tags: &Wrapping,
    ) -> Option<(&'a [u8], Known<'a, [u8]>)> {
        let Phase::Stream { brackets } = &mut self.phase else {
            return None;
        };
        if self.mid_unit || self.failed.is_some() {
            return None;
        }
        let (known, length) = tags.split(input)?;
        if length > self.limits.stanza || known.value.len() > self.limits.attribute_value {
            return None;
        }
        let (element, rest) = input.split_at_checked(length)?;
        *brackets = 0;
        *input = rest;
        Some((element, known))
    }

    /// The next frame, moving `input` past the bytes that were used; `None` when all were. After an error it always
    /// gives that error.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Frame<'a>>, XmlError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.release();
        match self.advance(input) {
            Ok(None) => {
                if !self.mid_unit {
                    self.held.forget();
                }
                Ok(None)
            }
            Ok(Some(Found::Frame(frame))) => Ok(Some(frame)),
            Ok(Some(Found::Buffered { header })) => {
                Ok(Some(Frame::whole(header, self.held.bytes())))
            }
            Err(error) => {
                self.held.forget();
                self.mid_unit = false;
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// The bytes held of an element whose end has not come.
    #[cfg(any(test, feature = "internals"))]
    #[must_use]
    pub fn buffered(&self) -> usize {
        if self.given_out {
            0
        } else {
            self.held.bytes().len()
        }
    }

    /// Whether an element, the header or the declaration has begun and not ended.
    #[must_use]
    pub fn is_mid_element(&self) -> bool {
        self.mid_unit
    }

    /// The bytes of memory that the buffer holds.
    #[cfg(any(test, feature = "internals"))]
    #[must_use]
    pub fn memory(&self) -> usize {
        self.held.memory()
    }

    /// Lets go of the frame that was given out last.
    pub(crate) fn release(&mut self) {
        if self.given_out {
            self.held.clear();
            self.given_out = false;
        }
    }

    fn advance<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Found<'a>>, XmlError> {
        while let Some(&first) = input.first() {
            if !self.mid_unit {
                if let Some(frame) = self.between(first, input)? {
                    return Ok(Some(Found::Frame(frame)));
                }
                if !self.mid_unit {
                    continue;
                }
            }
            let whole = *input;
            let room = self.limits.stanza.saturating_sub(self.held.bytes().len());
            let window = whole.get(..room).unwrap_or(whole);
            match self.scanner.scan(window)? {
                Some((end, unit)) => {
                    let (bytes, rest) = whole.split_at(end);
                    *input = rest;
                    self.mid_unit = false;
                    if let Some(found) = self.finish(unit, bytes)? {
                        return Ok(Some(found));
                    }
                }
                None if whole.len() > room => {
                    return Err(TooLarge {
                        what: "bytes of an element",
                        limit: self.limits.stanza,
                    });
                }
                None => {
                    self.held.push(whole);
                    *input = &[];
                }
            }
        }
        Ok(None)
    }

    // Takes what stands outside of markup, or begins a unit.
    fn between<'a>(
        &mut self,
        first: u8,
        input: &mut &'a [u8],
    ) -> Result<Option<Frame<'a>>, XmlError> {
        let place = match &mut self.phase {
            Phase::Prolog { mark, .. }
                if mark.is_some_and(|seen| seen > 0 || first == BYTE_ORDER_MARK[0]) =>
            {
                *mark = continue_mark(mark.unwrap_or_default(), first)?;
                *input = input.get(1..).unwrap_or_default();
                return Ok(None);
            }
            Phase::Prolog {
                mark,
                restarted,
                declaration,
                space,
            } => {
                *mark = None;
                if first == b'<' {
                    Place::Prolog {
                        declaration: *declaration,
                        end: *restarted,
                    }
                } else if is_white_space(first) {
                    *space = space.saturating_add(take_run(input, is_white_space));
                    *declaration &= *restarted;
                    if *space > self.limits.white_space {
                        return Err(TooLarge {
                            what: "bytes of white space before the stream header",
                            limit: self.limits.white_space,
                        });
                    }
                    return Ok(None);
                } else {
                    return Err(NotWellFormed("text before the stream header"));
                }
            }
            Phase::Stream { brackets } => {
                if first == b'<' {
                    Place::Stream
                } else if is_white_space(first) {
                    *brackets = 0;
                    return Ok(Some(Frame::Space(take_run(input, is_white_space))));
                } else {
                    let length = take_stray(input, brackets)?;
                    looked_at(length);
                    return Ok(Some(Frame::StrayText(length)));
                }
            }
            Phase::Closed if is_white_space(first) => {
                return Ok(Some(Frame::Space(take_run(input, is_white_space))));
            }
            Phase::Closed => return Err(NotWellFormed("data after the end of the stream")),
        };
        self.scanner.begin(place);
        self.mid_unit = true;
        Ok(None)
    }

    // A unit is whole; `bytes` are what this input held of it.
    fn finish<'a>(&mut self, unit: Unit, bytes: &'a [u8]) -> Result<Option<Found<'a>>, XmlError> {
        let buffered = !self.held.bytes().is_empty();
        if buffered {
            self.held.push(bytes);
            self.given_out = true;
        }
        let all = if buffered { self.held.bytes() } else { bytes };
        let header = match unit {
            Unit::Declaration => {
                declaration::check(all)?;
                if let Phase::Prolog {
                    restarted,
                    declaration,
                    ..
                } = &mut self.phase
                {
                    (*restarted, *declaration) = (false, false);
                }
                self.release();
                return Ok(None);
            }
            Unit::Header => {
                let name = tag_name(all, 1);
                if name.len() > self.limits.name {
                    return Err(TooLarge {
                        what: "bytes of a name",
                        limit: self.limits.name,
                    });
                }
                self.name = name.into();
                self.phase = Phase::Stream { brackets: 0 };
                true
            }
            Unit::Element => {
                self.phase = Phase::Stream { brackets: 0 };
                false
            }
            Unit::StreamEnd => {
                let name = tag_name(all, 2);
                let space = all.get(name.len().saturating_add(2)..).unwrap_or_default();
                if *name != *self.name || space.trim_ascii() != b">" {
                    return Err(NotWellFormed("an end tag that closes no element"));
                }
                self.phase = Phase::Closed;
                return Ok(Some(Found::Frame(Frame::StreamClose)));
            }
        };
        Ok(Some(if buffered {
            Found::Buffered { header }
        } else {
            Found::Frame(Frame::whole(header, bytes))
        }))
    }
}

impl<'a> Frame<'a> {
    const fn whole(header: bool, bytes: &'a [u8]) -> Self {
        if header {
            Self::StreamOpen(bytes)
        } else {
            Self::Element(bytes)
        }
    }
}

impl Phase {
    const fn start(restarted: bool) -> Self {
        Self::Prolog {
            mark: Some(0),
            restarted,
            declaration: true,
            space: 0,
        }
    }
}

// The bytes seen of the mark after this one; `None` once it is whole.
fn continue_mark(seen: usize, byte: u8) -> Result<Option<usize>, XmlError> {
    if BYTE_ORDER_MARK.get(seen) != Some(&byte) {
        return Err(NotWellFormed("text before the stream header"));
    }
    let seen = seen.saturating_add(1);
    Ok((seen < BYTE_ORDER_MARK.len()).then_some(seen))
}

// The name in a tag that the scanner found whole, `skip` bytes after its beginning.
fn tag_name(tag: &[u8], skip: usize) -> &[u8] {
    let tag = tag.get(skip..).unwrap_or_default();
    let end = memchr(b'>', tag).unwrap_or(tag.len());
    let tag = tag.get(..end).unwrap_or(tag);
    let end = tag.iter().position(|&byte| is_white_space(byte));
    tag.get(..end.unwrap_or(tag.len())).unwrap_or(tag)
}
