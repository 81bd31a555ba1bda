//! Reads whole elements, as the framer finds them, strictly and without building a tree.

use simdutf8::basic::from_utf8;
use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;
use quick_xml::name::NamespaceResolver;

use super::XmlError::{self, NotWellFormed, Restricted, UnsupportedEncoding};
use super::XmlLimits;
use super::chars::{find_illegal, is_white_space};
use super::tag::{self, Ns, Tag, at_most};
use super::unescape::{self, Run};
use super::work::looked_at;
use super::wrapping::Wrapping;

const ELEMENT: &str = "bytes of an element";
const TEXT: &str = "bytes of text";

/// Reads the elements of one stream; what the stream header declared holds for all of them.
#[derive(Debug)]
pub struct Reader {
    limits: XmlLimits,
    resolver: NamespaceResolver,
    // The scope of the stream header: 1, or 0 while there is none.
    stream_level: u16,
    // The names of the elements that are open, as ranges of the element being read.
    open: Vec<(usize, usize)>,
    // Memory for a text that has to be copied.
    copy: Vec<u8>,
    // The tags of an element that was read before.
    known: Wrapping,
}

/// Goes through one element from its start tag to its end tag.
#[derive(Debug)]
pub struct Cursor<'r, 'a> {
    reader: &'r mut Reader,
    element: &'a str,
    position: usize,
    state: State,
    text: Texts,
}

// The character data that was found so far.
#[derive(Debug)]
enum Texts {
    None,
    Run(Range<usize>),
    // Several runs, or a CDATA section.
    More,
}

#[derive(Debug)]
enum State {
    Before,
    Inside,
    // The tag given out last closed itself, so its end is still owed.
    Empty,
    Done,
    Failed(XmlError),
}

/// What a cursor finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    /// A start tag. A tag that closes itself is a start and an end.
    Start(Tag<'a>),
    /// Character data: a run of text or one CDATA section. Several can follow one another.
    Text(Cow<'a, str>),
    /// The end of the innermost open element.
    End,
}

// An item whose text is not read yet.
enum Raw<'a> {
    Start(Tag<'a>),
    Text(Run, &'a str),
    End,
}

impl Reader {
    /// A reader that knows of no stream header yet.
    #[must_use]
    pub fn new(limits: XmlLimits) -> Self {
        Self {
            limits,
            resolver: NamespaceResolver::default(),
            stream_level: 0,
            open: Vec::new(),
            copy: Vec::new(),
            known: Wrapping::default(),
        }
    }

    /// Reads a stream header. Its namespaces are in force from now on, and those of an earlier header are not.
    pub fn open<'a>(&mut self, tag: &'a [u8]) -> Result<Tag<'a>, XmlError> {
        self.stream_level = 0;
        self.resolver.set_level(0);
        self.known.forget();
        at_most(tag.len(), self.limits.stanza, "bytes of the stream header")?;
        let text = check(tag)?;
        let Some((content, false, "")) = split_tag(text)? else {
            return Err(NotWellFormed("the stream header"));
        };
        let (tag, _) = tag::read(content, &self.limits, &mut self.resolver)?;
        self.stream_level = self.resolver.level();
        Ok(tag)
    }

    /// The content namespace: that of an element without a prefix, if it declares none (RFC 6120 §4.8.2).
    #[must_use]
    pub fn content_namespace(&mut self) -> Ns {
        self.resolver.set_level(self.stream_level);
        tag::default_namespace(&self.resolver)
    }

    /// Gives up memory that waits for another element.
    pub fn release(&mut self) {
        self.copy = Vec::new();
    }

    /// The tags that were [remembered](Cursor::remember), for the framer.
    #[must_use]
    pub fn known(&self) -> &Wrapping {
        &self.known
    }

    /// The text of one whole element, if its tags are those that were [remembered](Cursor::remember). All characters of the
    /// text are checked here.
    pub fn known_text<'a>(&'a mut self, element: &'a [u8]) -> Result<Option<&'a str>, XmlError> {
        let Some((raw, length)) = self.known.split(element) else {
            return Ok(None);
        };
        if length != element.len() {
            return Ok(None);
        }
        at_most(length, self.limits.stanza, ELEMENT)?;
        at_most(raw.len(), self.limits.text, TEXT)?;
        match Run::Text.read(raw, &mut self.copy) {
            Ok(text) => check(text).map(Some),
            // A wrong character is the first thing that a cursor would find.
            Err(error) => check(raw).and(Err(error)),
        }
    }

    /// Begins to read one whole element, all of whose characters are checked here.
    pub fn element<'a>(&mut self, element: &'a [u8]) -> Result<Cursor<'_, 'a>, XmlError> {
        at_most(element.len(), self.limits.stanza, ELEMENT)?;
        let element = check(element)?;
        // The cursor before this one may have been dropped half-way.
        self.resolver.set_level(self.stream_level);
        self.open.clear();
        Ok(Cursor {
            reader: self,
            element,
            position: 0,
            state: State::Before,
            text: Texts::None,
        })
    }
}

impl<'a> Cursor<'_, 'a> {
    /// The next item. The first is the start of the element itself; `None` comes after its end, and only when
    /// everything in it was found well-formed and nothing follows it. An error comes again at every call.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator of results goes on after an error"
    )]
    pub fn next(&mut self) -> Result<Option<Item<'a>>, XmlError> {
        let result = self.advance().and_then(|raw| {
            Ok(match raw {
                None => None,
                Some(Raw::Start(tag)) => Some(Item::Start(tag)),
                Some(Raw::Text(run, raw)) => Some(Item::Text(if run.changes(raw.as_bytes()) {
                    let mut copy = Vec::with_capacity(raw.len());
                    run.push(raw.as_bytes(), &mut copy)?;
                    Cow::Owned(unescape::string(copy)?)
                } else {
                    run.check(raw.as_bytes())?;
                    Cow::Borrowed(raw)
                })),
                Some(Raw::End) => Some(Item::End),
            })
        });
        self.keep_failure(result)
    }

    /// After a start: goes on to behind its end, and checks all the same.
    pub fn skip(&mut self) -> Result<(), XmlError> {
        let depth = self.reader.open.len();
        while self.reader.open.len() >= depth && self.next()?.is_some() {}
        Ok(())
    }

    /// After a start: its character data, without that of elements inside it, up to behind its end. Borrowed if it is
    /// one run without a reference.
    pub fn text(&mut self) -> Result<Cow<'a, str>, XmlError> {
        let result = self.collect_text();
        self.keep_failure(result)
    }

    // A copy has room at once for all that can follow, and further runs go straight into it: the framer may hold the
    // element as well, and a peer that writes many runs must not be held a third of it for.
    fn collect_text(&mut self) -> Result<Cow<'a, str>, XmlError> {
        let mut only = "";
        let mut copy = Vec::new();
        loop {
            let room = self.element.len().saturating_sub(self.position);
            match self.advance()? {
                Some(Raw::Start(_)) => self.skip()?,
                Some(Raw::Text(run, raw)) => {
                    let raw_bytes = raw.as_bytes();
                    if only.is_empty() && copy.is_empty() && !run.changes(raw_bytes) {
                        run.check(raw_bytes)?;
                        only = raw;
                        continue;
                    }
                    if copy.is_empty() {
                        copy.reserve_exact(only.len().saturating_add(room));
                        copy.extend_from_slice(only.as_bytes());
                    }
                    run.push(raw_bytes, &mut copy)?;
                }
                Some(Raw::End) | None if copy.is_empty() => return Ok(Cow::Borrowed(only)),
                Some(Raw::End) | None => return unescape::string(copy).map(Cow::Owned),
            }
        }
    }

    fn keep_failure<T>(&mut self, result: Result<T, XmlError>) -> Result<T, XmlError> {
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    /// After the end of an element: remembers its tags, if its text was one run. The caller knows what to make of another
    /// one of the same tags, which then needs no cursor ([`Reader::known_text`]).
    pub fn remember(self) {
        if let (State::Done, Texts::Run(text)) = (self.state, self.text) {
            self.reader.known.remember(self.element.as_bytes(), text);
        }
    }

    fn advance(&mut self) -> Result<Option<Raw<'a>>, XmlError> {
        match &self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Done => return Ok(None),
            State::Empty => return self.close().map(Some),
            State::Before | State::Inside => {}
        }
        let rest = self.element.get(self.position..).unwrap_or_default();
        let bytes = rest.as_bytes();
        let item = match bytes {
            [b'<', b'/', ..] => self.end_tag(rest)?,
            [b'<', b'!', ..] => self.cdata(rest)?,
            [b'<', b'?', ..] => return Err(Restricted("a processing instruction")),
            [b'<', ..] => self.start_tag(rest)?,
            [] => return Err(NotWellFormed("an element without an end")),
            _ if matches!(self.state, State::Before) => {
                return Err(NotWellFormed("text before an element"));
            }
            _ => {
                let end = memchr(b'<', bytes).unwrap_or(bytes.len());
                looked_at(end);
                let text = rest.get(..end).unwrap_or(rest);
                self.check_text(text)?;
                self.text = match self.text {
                    Texts::None => Texts::Run(self.position..self.position.saturating_add(end)),
                    Texts::Run(_) | Texts::More => Texts::More,
                };
                self.pass(end);
                Raw::Text(Run::Text, text)
            }
        };
        Ok(Some(item))
    }

    fn start_tag(&mut self, rest: &'a str) -> Result<Raw<'a>, XmlError> {
        let Some((content, empty, after)) = split_tag(rest)? else {
            return Err(NotWellFormed("a tag without an end"));
        };
        let depth = self.reader.open.len();
        at_most(
            depth.saturating_add(1),
            self.reader.limits.depth,
            "elements inside one another",
        )?;
        let (tag, name) = tag::read(content, &self.reader.limits, &mut self.reader.resolver)?;
        // A peer that relays stanzas must not be made to take a part of one for the end of the stream or for the
        // server's word (CVE-2022-20917).
        if tag.ns == Ns::Streams && depth > 0 {
            return Err(NotWellFormed("an element of the stream inside a stanza"));
        }
        let start = self.position.saturating_add(1);
        self.reader
            .open
            .push((start, start.saturating_add(name.len())));
        self.position = self.element.len().saturating_sub(after.len());
        self.state = if empty { State::Empty } else { State::Inside };
        Ok(Raw::Start(tag))
    }

    fn end_tag(&mut self, rest: &'a str) -> Result<Raw<'a>, XmlError> {
        let end = memchr(b'>', rest.as_bytes()).ok_or(NotWellFormed("a tag without an end"))?;
        let content = rest.get(2..end).unwrap_or_default();
        let expected = match self.reader.open.last() {
            Some(&(start, end)) => self.element.get(start..end),
            None => None,
        };
        // Only white space may follow the name.
        match expected.and_then(|name| content.strip_prefix(name)) {
            Some(space) if space.bytes().all(is_white_space) => {}
            _ => return Err(NotWellFormed("an end tag that closes no element")),
        }
        looked_at(end);
        self.pass(end.saturating_add(1));
        self.close()
    }

    fn cdata(&mut self, rest: &'a str) -> Result<Raw<'a>, XmlError> {
        let Some(section) = rest.strip_prefix("<![CDATA[") else {
            return Err(Restricted("a comment or a document type"));
        };
        if matches!(self.state, State::Before) {
            return Err(NotWellFormed("text before an element"));
        }
        let Some((text, after)) = section.split_once("]]>") else {
            return Err(NotWellFormed("a CDATA section without an end"));
        };
        self.check_text(text)?;
        looked_at(text.len());
        self.position = self.element.len().saturating_sub(after.len());
        self.text = Texts::More;
        Ok(Raw::Text(Run::Cdata, text))
    }

    fn check_text(&self, text: &str) -> Result<(), XmlError> {
        at_most(text.len(), self.reader.limits.text, TEXT)
    }

    fn close(&mut self) -> Result<Raw<'a>, XmlError> {
        self.state = State::Inside;
        self.reader.open.pop();
        self.reader.resolver.pop();
        if self.reader.open.is_empty() {
            if self.position != self.element.len() {
                return Err(NotWellFormed("data after an element"));
            }
            self.state = State::Done;
        }
        Ok(Raw::End)
    }

    fn pass(&mut self, bytes: usize) {
        self.position = self.position.saturating_add(bytes);
    }
}

fn check(bytes: &[u8]) -> Result<&str, XmlError> {
    looked_at(bytes.len());
    // RFC 6120 §4.9.3.22 counts broken UTF-8 as an encoding that is not supported.
    let text = from_utf8(bytes).map_err(|_| UnsupportedEncoding)?;
    match find_illegal(text) {
        None => Ok(text),
        Some(_) => Err(NotWellFormed("a character that XML forbids")),
    }
}

// Splits text that begins with a tag: what is in it, whether it closes itself, and what follows. `None` if it does not
// begin with one or that has no end.
fn split_tag(text: &str) -> Result<Option<(&str, bool, &str)>, XmlError> {
    let Some(tag) = text.strip_prefix('<') else {
        return Ok(None);
    };
    let mut rest = tag.as_bytes();
    let end = loop {
        let Some((&byte, after)) = rest.split_first() else {
            return Ok(None);
        };
        rest = match byte {
            b'>' => break tag.len().saturating_sub(rest.len()),
            b'<' => return Err(NotWellFormed("`<` inside a tag")),
            b'"' | b'\'' => match memchr(byte, after) {
                Some(at) => after.get(at.saturating_add(1)..).unwrap_or_default(),
                None => return Ok(None),
            },
            _ => after,
        };
    };
    looked_at(end);
    let Some((content, after)) = tag.split_at_checked(end) else {
        return Ok(None);
    };
    let after = after.get(1..).unwrap_or_default();
    Ok(Some(match content.strip_suffix('/') {
        Some(content) => (content, true, after),
        None => (content, false, after),
    }))
}
