//! Finds where markup ends, one byte after another, and can stop and go on at any byte.

use memchr::memchr;

use super::XmlError::{self, NotWellFormed, Restricted, TooLarge};
use super::chars::{has_control, is_control, is_white_space, may_begin_name};
use super::work::looked_at;

// The longest declaration in use has 55 bytes.
const DECLARATION_LIMIT: usize = 256;
const CDATA: &[u8] = b"[CDATA[";
const CONTROL: XmlError = NotWellFormed("a control character");

/// What the scanner came to the end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Declaration,
    Header,
    Element,
    StreamEnd,
}

/// Where a unit begins, which decides what may begin there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the stream header. An XML declaration may still come, or the end of the stream before a restart.
    Prolog { declaration: bool, end: bool },
    /// Between the children of the stream.
    Stream,
}

#[derive(Debug)]
pub struct Scanner {
    place: Place,
    state: State,
    // Names of the elements that are open below the stream, as their hashes: the reader compares the names themselves,
    // but it only gets whole elements, and one with a wrong end tag would have no end.
    open: Vec<u64>,
    // Hash of the name that is being read.
    name: u64,
    depth_limit: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Text,
    Less,
    Bang(usize),
    Cdata { brackets: u8 },
    Question(usize),
    Declaration { length: usize, question: bool },
    StartName,
    StartTag,
    Value(u8),
    Slash,
    EndTagName,
    EndName,
    EndTag,
}

type Step<'b> = Result<(&'b [u8], Option<Unit>), XmlError>;

impl Scanner {
    pub const fn new(depth_limit: usize) -> Self {
        Self {
            place: Place::Stream,
            state: State::Text,
            open: Vec::new(),
            name: 0,
            depth_limit,
        }
    }

    /// Makes ready for a unit; the first byte to scan is its `<`.
    pub fn begin(&mut self, place: Place) {
        self.place = place;
        self.state = State::Text;
        self.open.clear();
    }

    /// Goes on with bytes it has not seen: the number of them up to the end of the unit, or `None` if it goes on
    /// after them. Every byte is looked at a constant number of times, however the input is cut.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<(usize, Unit)>, XmlError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (after, unit) = match self.state {
                State::Text => self.text(rest)?,
                State::StartName => self.name(rest, State::StartTag),
                State::EndName => self.name(rest, State::EndTag),
                State::StartTag => self.start_tag(rest)?,
                State::Value(quote) => self.value(rest, quote)?,
                State::EndTag => self.end_tag(rest)?,
                State::Cdata { brackets } => self.cdata(rest, brackets)?,
                _ => self.single(rest)?,
            };
            looked_at(rest.len().saturating_sub(after.len()));
            rest = after;
            if let Some(unit) = unit {
                return Ok(Some((bytes.len().saturating_sub(rest.len()), unit)));
            }
        }
        Ok(None)
    }

    fn text<'b>(&mut self, bytes: &'b [u8]) -> Step<'b> {
        // Only what lies before the next tag is checked, so that the first offence in the stream is the one reported.
        let end = match bytes.first() {
            // Between two tags there often is nothing.
            Some(b'<') => Some(0),
            _ => memchr(b'<', bytes),
        };
        let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        if has_control(text) {
            return Err(CONTROL);
        }
        if end.is_some() {
            self.state = State::Less;
        }
        Ok((rest.get(1..).unwrap_or_default(), None))
    }

    // The rest of a name, up to what cannot belong to it, which the next state judges.
    fn name<'b>(&mut self, bytes: &'b [u8], next: State) -> (&'b [u8], Option<Unit>) {
        let stop = |&byte: &u8| {
            matches!(byte, b'>' | b'/' | b'"' | b'\'' | b'<' | b'=')
                || is_white_space(byte)
                || is_control(byte)
        };
        let end = bytes.iter().position(stop);
        let (name, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        looked_at(name.len());
        self.name = name.iter().fold(self.name, hash);
        if end.is_some() {
            self.state = next;
        }
        (rest, None)
    }

    fn start_tag<'b>(&mut self, bytes: &'b [u8]) -> Step<'b> {
        let stop =
            |&byte: &u8| matches!(byte, b'>' | b'/' | b'"' | b'\'' | b'<') || is_control(byte);
        let Some((byte, rest)) = split_where(bytes, stop) else {
            return Ok((&[], None));
        };
        match byte {
            b'>' => {
                if matches!(self.place, Place::Prolog { .. }) {
                    return Ok((rest, Some(Unit::Header)));
                }
                self.open.push(self.name);
                self.state = State::Text;
            }
            b'/' => self.state = State::Slash,
            b'<' => return Err(NotWellFormed("a tag inside a tag")),
            quote @ (b'"' | b'\'') => self.state = State::Value(quote),
            _ => return Err(CONTROL),
        }
        Ok((rest, None))
    }

    fn value<'b>(&mut self, bytes: &'b [u8], quote: u8) -> Step<'b> {
        let stop = |&byte: &u8| byte == quote || byte == b'<' || is_control(byte);
        let Some((byte, rest)) = split_where(bytes, stop) else {
            return Ok((&[], None));
        };
        match byte {
            b'<' => Err(NotWellFormed("`<` in an attribute value")),
            byte if byte == quote => {
                self.state = State::StartTag;
                Ok((rest, None))
            }
            _ => Err(CONTROL),
        }
    }

    fn end_tag<'b>(&mut self, bytes: &'b [u8]) -> Step<'b> {
        let stop = |&byte: &u8| {
            matches!(byte, b'>' | b'/' | b'"' | b'\'' | b'<' | b'=') || is_control(byte)
        };
        let Some((byte, rest)) = split_where(bytes, stop) else {
            return Ok((&[], None));
        };
        match byte {
            b'>' => {
                let open = self.open.pop();
                if open.is_some_and(|name| name != self.name) {
                    return Err(NotWellFormed("an end tag of another element"));
                }
                let unit = open.map_or(Some(Unit::StreamEnd), |_| self.close());
                Ok((rest, unit))
            }
            b'/' | b'"' | b'\'' | b'<' | b'=' => {
                Err(NotWellFormed("more than a name in an end tag"))
            }
            _ => Err(CONTROL),
        }
    }

    fn cdata<'b>(&mut self, bytes: &'b [u8], brackets: u8) -> Step<'b> {
        let mut brackets = brackets;
        if brackets == 0 {
            let end = memchr(b']', bytes);
            let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if has_control(text) {
                return Err(CONTROL);
            }
            let Some((_, rest)) = rest.split_first() else {
                return Ok((rest, None));
            };
            self.state = State::Cdata { brackets: 1 };
            return Ok((rest, None));
        }
        let Some((&byte, rest)) = bytes.split_first() else {
            return Ok((bytes, None));
        };
        match byte {
            // A third bracket leaves two at the end: `]]]>` ends the section too.
            b']' => brackets = 2,
            b'>' if brackets == 2 => {
                self.state = State::Text;
                return Ok((rest, None));
            }
            byte if is_control(byte) => return Err(CONTROL),
            _ => brackets = 0,
        }
        self.state = State::Cdata { brackets };
        Ok((rest, None))
    }

    // The states that take one byte at a time because each byte may be the last good one.
    fn single<'b>(&mut self, bytes: &'b [u8]) -> Step<'b> {
        let Some((&byte, rest)) = bytes.split_first() else {
            return Ok((bytes, None));
        };
        let unit = match self.state {
            State::Less => {
                self.less(byte)?;
                None
            }
            State::Bang(matched) => {
                if CDATA.get(matched) != Some(&byte) {
                    return Err(Restricted("a comment or a document type"));
                }
                let matched = matched.saturating_add(1);
                self.state = if matched == CDATA.len() {
                    State::Cdata { brackets: 0 }
                } else {
                    State::Bang(matched)
                };
                None
            }
            State::Question(matched) => {
                let fits = match b"xml".get(matched) {
                    Some(&expected) => byte == expected,
                    None => is_white_space(byte),
                };
                if !fits {
                    return Err(Restricted("a processing instruction"));
                }
                self.state = if matched == 3 {
                    State::Declaration {
                        length: 6,
                        question: false,
                    }
                } else {
                    State::Question(matched.saturating_add(1))
                };
                None
            }
            State::Declaration { length, question } => self.declaration(byte, length, question)?,
            State::Slash => {
                if byte != b'>' {
                    return Err(NotWellFormed("`/` inside a tag"));
                }
                if matches!(self.place, Place::Prolog { .. }) {
                    return Err(NotWellFormed("the stream header closes itself"));
                }
                self.close()
            }
            State::EndTagName => {
                if !may_begin_name(byte) {
                    return Err(NotWellFormed("an end tag without a name"));
                }
                self.name = hash(NO_NAME, &byte);
                self.state = State::EndName;
                None
            }
            // These take more than one byte and never come here.
            State::Text
            | State::Cdata { .. }
            | State::StartName
            | State::StartTag
            | State::Value(_)
            | State::EndName
            | State::EndTag => None,
        };
        Ok((rest, unit))
    }

    fn less(&mut self, byte: u8) -> Result<(), XmlError> {
        self.state = match (byte, self.place) {
            (b'/', Place::Prolog { end: false, .. }) => {
                return Err(NotWellFormed("an end tag before the stream header"));
            }
            (b'/', _) => State::EndTagName,
            (b'!', Place::Stream) if !self.open.is_empty() => State::Bang(0),
            (b'!', _) => return Err(Restricted("a comment, a document type or a CDATA section")),
            (
                b'?',
                Place::Prolog {
                    declaration: true, ..
                },
            ) => State::Question(0),
            (b'?', _) => return Err(Restricted("a processing instruction")),
            (byte, _) if may_begin_name(byte) => {
                if self.place == Place::Stream && self.open.len() >= self.depth_limit {
                    return Err(TooLarge {
                        what: "elements inside one another",
                        limit: self.depth_limit,
                    });
                }
                self.name = hash(NO_NAME, &byte);
                State::StartName
            }
            _ => return Err(NotWellFormed("a tag without a name")),
        };
        Ok(())
    }

    fn declaration(
        &mut self,
        byte: u8,
        length: usize,
        question: bool,
    ) -> Result<Option<Unit>, XmlError> {
        let length = length.saturating_add(1);
        if length > DECLARATION_LIMIT {
            return Err(TooLarge {
                what: "bytes of an XML declaration",
                limit: DECLARATION_LIMIT,
            });
        }
        if question && byte == b'>' {
            return Ok(Some(Unit::Declaration));
        }
        if question || byte == b'<' || byte == b'>' || is_control(byte) || !byte.is_ascii() {
            return Err(NotWellFormed("the XML declaration"));
        }
        self.state = State::Declaration {
            length,
            question: byte == b'?',
        };
        Ok(None)
    }

    // An element is closed, and with the outermost one the unit.
    fn close(&mut self) -> Option<Unit> {
        self.state = State::Text;
        self.open.is_empty().then_some(Unit::Element)
    }
}

const NO_NAME: u64 = 0xcbf2_9ce4_8422_2325;

// FNV-1a. Two names of one hash are no danger: the reader finds them.
const fn hash(hash: u64, byte: &u8) -> u64 {
    (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3)
}

fn split_where(bytes: &[u8], stop: impl Fn(&u8) -> bool) -> Option<(u8, &[u8])> {
    let at = bytes.iter().position(stop)?;
    let (&byte, rest) = bytes.get(at..)?.split_first()?;
    Some((byte, rest))
}
