//! The tags around the text of an element, which in a stream of messages are the same bytes again and again.

use std::ops::Range;

use memchr::memchr;

use super::work::looked_at;

/// More than the tags of any peer take, and little enough to keep for each connection.
const LIMIT: usize = 512;
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
    value: Option<usize>,
    /// Where the text stood.
    text: usize,
}

/// Where an element of known tags differs from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a, T: ?Sized> {
    /// The value of the attribute: ASCII that means what is written. Empty if there is no such attribute.
    pub value: &'a T,
    /// The text, of which nothing is known but where it ends.
    pub text: &'a T,
}

impl Wrapping {
    /// Takes the tags of an element whose only text stands at `text`, in place of those that were known.
    pub(super) fn remember(
        &mut self,
        element: &[u8],
        value: Option<Range<usize>>,
        text: Range<usize>,
    ) {
        self.forget();
        let cut = value.clone().unwrap_or(0..0);
        let pieces = [0..cut.start, cut.end..text.start, text.end..element.len()];
        let pieces = pieces.map(|piece| element.get(piece).unwrap_or_default());
        let [first, second, behind] = pieces.map(<[u8]>::len);
        let before = first.saturating_add(second);
        if before.saturating_add(behind) <= LIMIT {
            self.tags = pieces.concat();
            self.value = value.map(|value| value.start);
            self.text = before;
        }
    }

    /// What was known holds no longer.
    pub(super) fn forget(&mut self) {
        self.tags.clear();
        self.text = 0;
    }

    /// If the bytes begin with an element of these tags: what differs, and the bytes of all of it.
    pub(super) fn split<'a>(&self, bytes: &'a [u8]) -> Option<(Known<'a, [u8]>, usize)> {
        let (before, behind) = self.tags.split_at_checked(self.text)?;
        if before.is_empty() {
            return None;
        }
        // Other tags differ before their element ends.
        let (value, inside) = match self.value {
            None => (&[][..], bytes.strip_prefix(before)?),
            Some(at) => {
                let (start, rest) = before.split_at_checked(at)?;
                let (value, inside) = split_value(bytes.strip_prefix(start)?, *rest.first()?)?;
                (value, inside.strip_prefix(rest)?)
            }
        };
        looked_at(before.len().saturating_add(value.len()));
        let end = memchr(b'<', inside);
        looked_at(end.unwrap_or(inside.len()));
        let (text, rest) = inside.split_at_checked(end?)?;
        rest.strip_prefix(behind)?;
        looked_at(behind.len());
        let differing = value.len().saturating_add(text.len());
        let length = self.tags.len().saturating_add(differing);
        Some((Known { value, text }, length))
    }
}

/// A value that means what is written, and what follows it, the quote first.
fn split_value(bytes: &[u8], quote: u8) -> Option<(&[u8], &[u8])> {
    let ends =
        |&byte: &u8| byte == quote || !matches!(byte, b' '..=0x7f) || matches!(byte, b'<' | b'&');
    let end = bytes
        .iter()
        .take(VALUE_LIMIT.saturating_add(1))
        .position(ends)?;
    let (value, rest) = bytes.split_at_checked(end)?;
    rest.starts_with(&[quote]).then_some((value, rest))
}
