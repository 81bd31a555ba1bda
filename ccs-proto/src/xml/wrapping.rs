//! The tags around the text of an element, which in a stream of messages are the same bytes again and again.

use std::ops::Range;

use memchr::memchr;

use super::chars::has_control;
use super::work::looked_at;

/// More than the tags of any peer take, and little enough to keep for each connection.
const TAGS_LIMIT: usize = 512;
/// The longest id that is looked for.
const VALUE_LIMIT: usize = 256;

/// The tags of an element that held one run of text, as they were written: those before it and those behind it. One attribute
/// may differ from element to element, as the id of a stanza does.
///
/// An element of the same bytes in the same stream is the same element but for these two, so its tags need not be read again.
/// By default nothing is known.
#[derive(Debug, Default)]
pub struct Wrapping {
    /// Without the value of the attribute.
    tags: Vec<u8>,
    /// Where that stood.
    value_at: Option<usize>,
    /// Where the text stood.
    text_at: usize,
}

/// Where an element of known tags differs from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a, T: ?Sized> {
    /// The value of the attribute: ASCII that means what is written. Empty if there is no such attribute.
    pub value: &'a T,
    /// The text. As it is written, nothing is known of it but where it ends and that it holds no control character.
    pub text: &'a T,
}

impl Wrapping {
    /// Takes the tags of an element whose only text stands at `text`, in place of those that were known. `value` stands before it.
    pub(super) fn remember(
        &mut self,
        element: &[u8],
        value: Option<Range<usize>>,
        text: Range<usize>,
    ) {
        let cut = value.clone().unwrap_or(0..0);
        let (Some(first), Some(second), Some(behind)) = (
            element.get(..cut.start),
            element.get(cut.end..text.start),
            element.get(text.end..),
        ) else {
            return;
        };
        let before = first.len().saturating_add(second.len());
        if before.saturating_add(behind.len()) <= TAGS_LIMIT {
            self.tags = [first, second, behind].concat();
            self.value_at = value.map(|value| value.start);
            self.text_at = before;
        }
    }

    /// What was known holds no longer.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// If the bytes begin with an element of these tags: what differs, and the bytes of all of it. `None` as well of one with a
    /// control character.
    pub(super) fn split<'a>(&self, bytes: &'a [u8]) -> Option<(Known<'a, [u8]>, usize)> {
        let (before, behind) = self.tags.split_at_checked(self.text_at)?;
        if before.is_empty() {
            return None;
        }
        let (value, inside) = match self.value_at {
            None => (&[][..], strip(bytes, before)?),
            Some(at) => {
                let (start, rest) = before.split_at_checked(at)?;
                let (value, inside) = split_value(strip(bytes, start)?, *rest.first()?)?;
                (value, strip(inside, rest)?)
            }
        };
        let end = memchr(b'<', inside);
        looked_at(end.unwrap_or(inside.len()));
        let (text, rest) = inside.split_at_checked(end?)?;
        strip(rest, behind)?;
        if has_control(text) {
            return None;
        }
        let differing = value.len().saturating_add(text.len());
        let length = self.tags.len().saturating_add(differing);
        Some((Known { value, text }, length))
    }
}

/// What follows the known bytes. Where they differ from these, they do so before the element ends.
fn strip<'a>(bytes: &'a [u8], known: &[u8]) -> Option<&'a [u8]> {
    looked_at(known.len().min(bytes.len()));
    bytes.strip_prefix(known)
}

/// A value that means what is written, and what follows it: the quote, if it is one.
fn split_value(bytes: &[u8], quote: u8) -> Option<(&[u8], &[u8])> {
    let ends =
        |&byte: &u8| byte == quote || !matches!(byte, b' '..=0x7f) || matches!(byte, b'<' | b'&');
    let near = bytes.get(..=VALUE_LIMIT).unwrap_or(bytes);
    let end = near.iter().position(ends);
    looked_at(end.unwrap_or(near.len()));
    bytes.split_at_checked(end?)
}
