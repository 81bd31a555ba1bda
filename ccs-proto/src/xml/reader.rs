//! Reads whole elements, as the framer finds them, and checks all of their characters.

use quick_xml::name::NamespaceResolver;
use simdutf8::basic::from_utf8;

use super::XmlError::{self, NotWellFormed, UnsupportedEncoding};
use super::XmlLimits;
use super::chars::find_illegal;
use super::cursor::Cursor;
use super::tag::{self, Ns, Tag, at_most};
use super::unescape::{ROOM, Run};
use super::work::looked_at;
use super::wrapping::{Known, Wrapping};

const ELEMENT: &str = "bytes of an element";
pub(super) const TEXT: &str = "bytes of text";

/// Reads the elements of one stream; what the stream header declared holds for all of them.
#[derive(Debug)]
pub struct Reader {
    pub(super) limits: XmlLimits,
    pub(super) resolver: NamespaceResolver,
    // The scope of the stream header: 1, or 0 while there is none.
    stream_level: u16,
    // The names of the elements that are open, as ranges of the element being read.
    pub(super) open: Vec<(usize, usize)>,
    // Memory for a text that has to be copied.
    copy: Vec<u8>,
    // The tags of an element that was read before.
    pub(super) wrapping: Wrapping,
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
            wrapping: Wrapping::default(),
        }
    }

    /// Reads a stream header. Its namespaces are in force from now on, and those of an earlier header are not.
    pub fn open<'a>(&mut self, tag: &'a [u8]) -> Result<Tag<'a>, XmlError> {
        self.stream_level = 0;
        self.resolver.set_level(0);
        self.wrapping.forget();
        at_most(tag.len(), self.limits.stanza, "bytes of the stream header")?;
        let text = check(tag)?;
        let Some((content, false, "")) = tag::split(text)? else {
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

    /// Gives up memory that waits for another element, at the end of what can be read now. Most connections idle there. Where
    /// an element `has_begun` the next read is near, and what most texts need is kept for it.
    pub fn release(&mut self, has_begun: bool) {
        if !has_begun || self.copy.capacity() > ROOM {
            self.copy = Vec::new();
        }
    }

    /// The tags that were [remembered](Cursor::remember), for the framer.
    #[must_use]
    pub fn wrapping(&self) -> &Wrapping {
        &self.wrapping
    }

    /// What differs in one whole element, if its tags are those that were [remembered](Cursor::remember).
    pub fn known<'a>(&self, element: &'a [u8]) -> Option<Known<'a, [u8]>> {
        let (known, length) = self.wrapping.split(element)?;
        let fits = length == element.len()
            && length <= self.limits.stanza
            && known.value.len() <= self.limits.attribute_value;
        fits.then_some(known)
    }

    /// What is meant by what differs in an element of known tags. Control characters there are none in it; the other
    /// characters are checked here.
    pub fn differing<'a>(&'a mut self, known: Known<'a, [u8]>) -> Result<Known<'a, str>, XmlError> {
        // The value is ASCII.
        let value = utf8(known.value)?;
        let text = at_most(known.text.len(), self.limits.text, TEXT)
            .and_then(|()| Run::Text.read(known.text, &mut self.copy))
            .and_then(utf8);
        match text {
            Ok(text) => Ok(Known { value, text }),
            // A wrong character is the first thing that a cursor would find.
            Err(error) => check(known.text).and(Err(error)),
        }
    }

    /// Begins to read one whole element, all of whose characters are checked here.
    pub fn element<'a>(&mut self, element: &'a [u8]) -> Result<Cursor<'_, 'a>, XmlError> {
        at_most(element.len(), self.limits.stanza, ELEMENT)?;
        let element = check(element)?;
        // The cursor before this one may have been dropped half-way.
        self.resolver.set_level(self.stream_level);
        self.open.clear();
        Ok(Cursor::new(self, element))
    }
}

// RFC 6120 §4.9.3.22 counts broken UTF-8 as an encoding that is not supported.
fn utf8(bytes: &[u8]) -> Result<&str, XmlError> {
    looked_at(bytes.len());
    from_utf8(bytes).map_err(|_| UnsupportedEncoding)
}

fn check(bytes: &[u8]) -> Result<&str, XmlError> {
    let text = utf8(bytes)?;
    match find_illegal(text) {
        None => Ok(text),
        Some(_) => Err(NotWellFormed("a character that XML forbids")),
    }
}
