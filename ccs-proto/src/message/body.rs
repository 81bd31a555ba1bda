//! The JSON body of a stanza, before it is known what it says.

use std::borrow::Cow;

use memchr::memchr2_iter;
use serde_json::value::RawValue;
use thiserror::Error;

use super::json::read_string;
use crate::text::Text;

/// Arrays and objects inside one another, at most, unless [`Limits`](crate::Limits) say otherwise. serde_json skips over
/// raw values without a bound of its own.
pub const MAX_DEPTH: usize = 32;

/// A body that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is no JSON object, or one of its members stands there twice.
    #[error("the body is no JSON object: {0}")]
    NotJson(String),
    /// More arrays and objects inside one another than are read.
    #[error("the body has more than {limit} levels")]
    TooDeep {
        /// How many may be.
        limit: usize,
    },
    /// A member that has to be there is not.
    #[error("the body has no {0}")]
    Missing(&'static str),
    /// A member has another type than it has to have.
    #[error("{0} in the body has the wrong type")]
    WrongType(&'static str),
}

/// A member as it stands in the body.
pub(super) type Member<'a> = Option<&'a RawValue>;

/// Reads a struct of members. Unknown ones are passed over, a known one that stands there twice is an error.
pub(super) fn read<'a, T: serde::Deserialize<'a>>(
    body: &'a str,
    depth: usize,
) -> Result<T, BodyError> {
    // serde would fill a struct from an array as well.
    if !body.trim_start().starts_with('{') {
        return Err(BodyError::NotJson("it is no object".to_owned()));
    }
    if is_too_deep(body, depth) {
        return Err(BodyError::TooDeep { limit: depth });
    }
    serde_json::from_str(body).map_err(|error| BodyError::NotJson(error.to_string()))
}

/// A string, or a number as its text, as which ids are taken too (`docs/protocol.md` §12 #51).
pub(super) fn text(
    body: &Text,
    field: &'static str,
    member: Member<'_>,
) -> Result<Text, BodyError> {
    let raw = member.ok_or(BodyError::Missing(field))?.get();
    let first = raw.bytes().next().unwrap_or_default();
    if first == b'"' {
        read_string(raw)
            .map(|text| share(body, text))
            .ok_or(BodyError::WrongType(field))
    } else if first == b'-' || first.is_ascii_digit() {
        Ok(body.slice_of(raw))
    } else {
        Err(BodyError::WrongType(field))
    }
}

/// The same of a member that may be missing or anything: it is for people, or for nobody.
pub(super) fn lenient(body: &Text, member: Member<'_>) -> Option<Text> {
    text(body, "", member).ok()
}

/// A count, as a number or as a string of digits.
pub(super) fn count(member: Member<'_>) -> Option<u64> {
    let raw = member?.get();
    raw.trim_matches('"').parse().ok()
}

/// Part of the body where it can be, without a copy.
fn share(body: &Text, text: Cow<'_, str>) -> Text {
    match text {
        Cow::Borrowed(part) => body.slice_of(part),
        Cow::Owned(text) => Text::from(text),
    }
}

/// Whether arrays and objects lie too deep inside one another. Most bodies do not even have that many of them, and the
/// search for the first few is cheap.
pub(super) fn is_too_deep(body: &str, limit: usize) -> bool {
    let bytes = body.as_bytes();
    memchr2_iter(b'{', b'[', bytes).nth(limit).is_some() && depth(bytes) > limit
}

/// The greatest depth of JSON text; of text that is none, some number.
fn depth(bytes: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    let mut in_string = false;
    let mut escaped = false;
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_bounded_and_strings_do_not_count() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert!(!is_too_deep(&nested(MAX_DEPTH), MAX_DEPTH));
        assert!(is_too_deep(&nested(MAX_DEPTH + 1), MAX_DEPTH));
        assert!(
            is_too_deep(&nested(100_000), MAX_DEPTH),
            "without recursion"
        );
        let wide = format!("[{}]", vec!["{}"; 1000].join(","));
        assert!(!is_too_deep(&wide, MAX_DEPTH));
        let quoted = format!(r#"{{"a":"\"{}"}}"#, nested(100));
        assert!(!is_too_deep(&quoted, MAX_DEPTH));
    }
}
