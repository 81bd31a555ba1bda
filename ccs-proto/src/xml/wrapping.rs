//! The tags around the text of an element, which in a stream of messages are the same bytes again and again.

use std::ops::Range;

use memchr::memchr;

use super::work::looked_at;

/// More than the tags of any peer take, and little enough to keep for each connection.
const LIMIT: usize = 512;

/// The tags of an element that held one run of text, as they were written: those before it and those behind it.
///
/// An element of the same bytes in the same stream is the same element but for its text, so its tags need not be read again.
/// By default nothing is known.
#[derive(Debug, Default)]
pub struct Wrapping {
    tags: Vec<u8>,
    before: usize,
}

impl Wrapping {
    /// Takes the tags of an element whose only text stands at `text`, in place of those that were known.
    pub(super) fn remember(&mut self, element: &[u8], text: Range<usize>) {
        self.forget();
        let before = element.get(..text.start).unwrap_or_default();
        let behind = element.get(text.end..).unwrap_or_default();
        if before.len().saturating_add(behind.len()) <= LIMIT {
            self.tags.extend_from_slice(before);
            self.tags.extend_from_slice(behind);
            self.before = before.len();
        }
    }

    /// What was known holds no longer.
    pub(super) fn forget(&mut self) {
        self.tags.clear();
        self.before = 0;
    }

    /// If the bytes begin with an element of these tags: its text, and the bytes of all of it. Nothing but where the text
    /// ends is checked of the text.
    pub(super) fn split<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], usize)> {
        let (before, behind) = self.tags.split_at_checked(self.before)?;
        if before.is_empty() {
            return None;
        }
        // Other tags differ before their element ends.
        let inside = bytes.strip_prefix(before)?;
        looked_at(before.len());
        let end = memchr(b'<', inside);
        looked_at(end.unwrap_or(inside.len()));
        let (text, rest) = inside.split_at_checked(end?)?;
        let whole = self.tags.len().saturating_add(text.len());
        rest.strip_prefix(behind)?;
        looked_at(behind.len());
        Some((text, whole))
    }
}
