//! Goes through one element, strictly and without building a tree.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::XmlError::{self, NotWellFormed, Restricted};
use super::chars::is_white_space;
use super::reader::{Reader, TEXT};
use super::tag::{self, Ns, Tag, at_most};
use super::unescape::{self, Changes, Run};
use super::work::looked_at;

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

impl<'r, 'a> Cursor<'r, 'a> {
    /// At the beginning of an element whose characters were checked.
    pub(super) const fn new(reader: &'r mut Reader, element: &'a str) -> Self {
        Self {
            reader,
            element,
            position: 0,
            state: State::Before,
            text: Texts::None,
        }
    }

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
                Some(Raw::Text(run, raw)) => {
                    Some(Item::Text(match run.changes(raw.as_bytes())? {
                        Changes::None => Cow::Borrowed(raw),
                        changes => {
                            let mut copy = Vec::with_capacity(raw.len());
                            run.push(raw.as_bytes(), changes, &mut copy)?;
                            Cow::Owned(unescape::string(copy)?)
                        }
                    }))
                }
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
                    let changes = run.changes(raw.as_bytes())?;
                    if only.is_empty() && copy.is_empty() && changes == Changes::None {
                        only = raw;
                        continue;
                    }
                    if copy.is_empty() {
                        copy.reserve_exact(only.len().saturating_add(room));
                        copy.extend_from_slice(only.as_bytes());
                    }
                    run.push(raw.as_bytes(), changes, &mut copy)?;
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

    /// After the end of an element: remembers its tags, if its text was one run. In another one of the same tags the value of one
    /// attribute of `tag` may differ. The caller knows what to make of such an element, which then needs no cursor
    /// ([`Reader::known`]).
    pub fn remember(self, tag: &Tag<'_>, attribute: &str) {
        let (State::Done, Texts::Run(text)) = (self.state, self.text) else {
            return;
        };
        let value = match tag.attribute(attribute) {
            None => None,
            Some(value) => match part_of(self.element, value) {
                // One that was not written as it is meant is no part of the element.
                None => return,
                part => part,
            },
        };
        let element = self.element.as_bytes();
        self.reader.wrapping.remember(element, value, text);
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
        let Some((content, empty, after)) = tag::split(rest)? else {
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

// Where a part of a text stands in it. `None` of another text.
fn part_of(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    let range = start..start.wrapping_add(part.len());
    text.get(range.clone()).map(|_| range)
}
