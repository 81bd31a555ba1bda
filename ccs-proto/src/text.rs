//! Text that many values share: ids and payloads of one stanza point into one allocation.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A body that may be kept alive whole for the sake of an id in it, in a book of ten thousand.
const COMPACT_BYTES: usize = 512;
/// The same in a book of what waits for an answer, which is as long as a window or two. Most bodies are smaller.
const COMPACT_WAITING_BYTES: usize = 2048;

/// An immutable piece of text, cheap to clone, which may be a part of a larger shared text.
///
/// The JSON body of a stanza is allocated once; its ids, its `data` and the body itself are `Text`s over that one
/// allocation, and none of them keeps a read buffer alive. Reads as `&str`.
///
/// ```
/// use ccs_proto::Text;
///
/// let id = Text::from("m-1");
/// assert_eq!(id, "m-1");
/// assert!(id.starts_with("m-"));
/// ```
#[derive(Clone)]
pub struct Text {
    whole: Arc<str>,
    // Always on character boundaries of `whole`, so that `get` in `as_str` cannot fail.
    part: Range<usize>,
}

impl Text {
    /// The text as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.whole.get(self.part.clone()).unwrap_or_default()
    }

    /// The bytes that this text keeps, which may be more than its own.
    pub(crate) fn held_bytes(&self) -> usize {
        self.whole.len()
    }

    /// The same text for a book that outlives the message it came in: what is small goes on sharing, and of what is
    /// large only this part is kept.
    pub(crate) fn compact(&self) -> Self {
        self.compact_above(COMPACT_BYTES)
    }

    /// The same for the book of what waits for an answer.
    pub(crate) fn compact_waiting(&self) -> Self {
        self.compact_above(COMPACT_WAITING_BYTES)
    }

    fn compact_above(&self, bytes: usize) -> Self {
        if self.whole.len() <= bytes {
            self.clone()
        } else {
            Self::from(self.as_str())
        }
    }

    /// The part of this text that `part` is a subslice of, without copying; a copy where it is a slice of something
    /// else.
    #[must_use]
    pub fn slice_of(&self, part: &str) -> Self {
        let whole = self.whole.as_ptr() as usize;
        let start = (part.as_ptr() as usize).wrapping_sub(whole);
        let end = start.saturating_add(part.len());
        match self.whole.get(start..end) {
            Some(found) if std::ptr::eq(found, part) => Self {
                whole: Arc::clone(&self.whole),
                part: start..end,
            },
            _ => Self::from(part),
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self {
            part: 0..text.len(),
            whole: Arc::from(text),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self {
            part: 0..text.len(),
            whole: Arc::from(text),
        }
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

// `Borrow` asks that `Eq`, `Ord` and `Hash` agree with `str`'s; they are all taken from it below.
impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_of_a_text_shares_its_allocation() {
        let body = Text::from("{\"from\":\"phone-1\"}");
        let from = body.slice_of(&body[9..16]);
        assert_eq!(from, "phone-1");
        assert!(Arc::ptr_eq(&body.whole, &from.whole));
        assert_eq!(from.slice_of(&from[..5]), "phone");
    }

    #[test]
    fn a_compact_part_keeps_no_large_body_alive() {
        type Compact = fn(&Text) -> Text;
        let check = |compact: Compact, limit: usize| {
            for (size, shares) in [(limit, true), (limit + 1, false)] {
                let body = Text::from("x".repeat(size));
                let part = body.slice_of(&body[1..3]);
                let compact = compact(&part);
                assert_eq!(compact, part);
                assert_eq!(Arc::ptr_eq(&body.whole, &compact.whole), shares);
            }
        };
        check(Text::compact, COMPACT_BYTES);
        check(Text::compact_waiting, COMPACT_WAITING_BYTES);
    }

    #[test]
    fn a_slice_of_something_else_is_a_copy() {
        let body = Text::from("abc");
        let other = String::from("abc");
        let copy = body.slice_of(&other);
        assert_eq!(copy, "abc");
        assert!(!Arc::ptr_eq(&body.whole, &copy.whole));
    }
}
