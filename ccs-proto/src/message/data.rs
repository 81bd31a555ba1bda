//! The payload that an application gives a message.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeOwned, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::body::{MAX_DEPTH, is_too_deep};
use super::json::{push_json, push_string, read_string, string_len};
use crate::text::Text;

/// Key and value pairs, kept as the JSON object that goes over the wire.
///
/// Values should be strings; others are carried as they are and read as their JSON text, as real clients send them
/// (fixture E53). Member order and the text of numbers are kept. Cheap to clone.
///
/// ```
/// use ccs_proto::message::Data;
///
/// let data = Data::new().with("action", "ECHO").with("text", "a < b");
/// assert_eq!(data.as_json(), r#"{"action":"ECHO","text":"a \u003c b"}"#);
/// assert_eq!(data.get("text").as_deref(), Some("a < b"));
/// assert_eq!(data.size(), 6 + 4 + 4 + 5);
/// ```
#[derive(Clone)]
pub struct Data {
    json: Text,
    /// What was built here is looked at once, however often it is sent.
    known: Known,
}

/// What is known of the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It was written here, so XML needs no reference in it, and none of its keys is reserved.
    Clean {
        /// See [`Data::size`].
        size: usize,
    },
    /// It was received, or one of its keys is reserved.
    Nothing,
}

impl Known {
    /// The same with one more key, and a value of so many bytes.
    fn and(self, key: &str, value: usize) -> Self {
        match self {
            Self::Clean { size } if !is_reserved(key) => Self::Clean {
                size: size.saturating_add(key.len()).saturating_add(value),
            },
            _ => Self::Nothing,
        }
    }
}

/// JSON that is no payload.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("data must be a JSON object: {0}")]
pub struct InvalidData(String);

impl Data {
    /// No pairs.
    #[must_use]
    pub fn new() -> Self {
        Self {
            json: Text::from("{}"),
            known: Known::Clean { size: 0 },
        }
    }

    /// One more pair, at the end.
    #[must_use]
    pub fn with(self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let known = self.known.and(key.as_ref(), value.as_ref().len());
        let mut json = self.as_json().as_bytes().to_vec();
        // The text is an object, so its last character that is no white space is `}`.
        while json.pop().is_some_and(|byte| byte != b'}') {}
        if !self.is_empty() {
            json.push(b',');
        }
        push_string(&mut json, key.as_ref());
        json.push(b':');
        push_string(&mut json, value.as_ref());
        json.push(b'}');
        Self::written(string(json), known)
    }

    /// A JSON object as it is.
    ///
    /// # Errors
    /// The text is no JSON, no object, or too deep for a body, which is one level more than its payload.
    pub fn from_json(json: &str) -> Result<Self, InvalidData> {
        let invalid = |why: serde_json::Error| InvalidData(why.to_string());
        if is_too_deep(json, MAX_DEPTH.saturating_sub(1)) {
            return Err(InvalidData("it has too many levels".to_owned()));
        }
        let mut known = Known::Clean { size: 0 };
        let add = |key: &RawValue, value: &RawValue| {
            // What is no string counts as it is written.
            let json = value.get();
            let value = string_len(json).unwrap_or_else(|| for_xml(json).len());
            known = known.and(&value_text(key), value);
        };
        let mut reader = serde_json::Deserializer::from_str(json);
        reader
            .deserialize_map(Pairs(add))
            .and_then(|()| reader.end())
            .map_err(invalid)?;
        Ok(Self::written(for_xml(json.trim_ascii()), known))
    }

    /// What serde makes of a value, which must come out as an object.
    ///
    /// # Errors
    /// The value cannot be written as JSON, or is no object.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, InvalidData> {
        let json = serde_json::to_string(value).map_err(|why| InvalidData(why.to_string()))?;
        Self::from_json(&json)
    }

    /// A part of a body that was read already: valid JSON, and an object. It stays as it came, without a copy; what XML
    /// would have to escape is escaped when it is sent on.
    pub(super) fn from_part(part: Text) -> Self {
        Self {
            json: part,
            known: Known::Nothing,
        }
    }

    fn written(json: String, known: Known) -> Self {
        Self {
            json: Text::from(json),
            known,
        }
    }

    /// The JSON text. Of a payload that was built here it never needs an XML reference; one that was received is as it
    /// came.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.json.as_str()
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.json.held_bytes()
    }

    /// The value of a key; the first one, should there be several. What is no string is read as its JSON text.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        let mut found = None;
        self.for_each(|name, value| {
            if found.is_none() && value_text(name) == key {
                found = Some(value);
            }
        });
        found.map(value_text)
    }

    /// All pairs in order. What is no string is read as its JSON text.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let mut pairs = Vec::new();
        self.for_each(|key, value| pairs.push((value_text(key), value_text(value))));
        pairs.into_iter()
    }

    /// The payload as a type of the application's.
    ///
    /// # Errors
    /// serde's, if it does not fit.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_json())
    }

    /// What counts for the limit of 4,096: the UTF-8 bytes of all keys and values (`docs/protocol.md` §12 #42).
    #[must_use]
    pub fn size(&self) -> usize {
        if let Known::Clean { size } = self.known {
            return size;
        }
        let mut size = 0_usize;
        self.for_each(|key, value| {
            let pair = text_len(key).saturating_add(text_len(value));
            size = size.saturating_add(pair);
        });
        size
    }

    /// The first key that is the service's own (`docs/protocol.md` §3.2).
    pub(super) fn reserved_key(&self) -> Option<String> {
        let mut reserved = None;
        if self.known == Known::Nothing && may_hold_reserved(self.as_json()) {
            self.for_each(|key, _| {
                let key = value_text(key);
                if reserved.is_none() && is_reserved(&key) {
                    reserved = Some(key.into_owned());
                }
            });
        }
        reserved
    }

    /// The JSON text as it is sent: XML needs no reference in it.
    pub(super) fn for_wire(&self) -> Cow<'_, str> {
        match self.known {
            Known::Clean { .. } => Cow::Borrowed(self.as_json()),
            Known::Nothing => Cow::Owned(for_xml(self.as_json())),
        }
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let mut is_empty = true;
        self.for_each(|_, _| is_empty = false);
        is_empty
    }

    /// Goes through the pairs as they are written.
    fn for_each<'a>(&'a self, pair: impl FnMut(&'a RawValue, &'a RawValue)) {
        let mut reader = serde_json::Deserializer::from_str(self.as_json());
        // The text is a valid object by construction.
        let _ = reader.deserialize_map(Pairs(pair));
    }
}

impl Default for Data {
    fn default() -> Self {
        Self::new()
    }
}

/// Equal in the JSON text.
impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl Eq for Data {}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Data {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut json = vec![b'{'];
        let mut known = Known::Clean { size: 0 };
        for (key, value) in pairs {
            if json.len() > 1 {
                json.push(b',');
            }
            known = known.and(key.as_ref(), value.as_ref().len());
            push_string(&mut json, key.as_ref());
            json.push(b':');
            push_string(&mut json, value.as_ref());
        }
        json.push(b'}');
        Self::written(string(json), known)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

/// JSON text in which XML needs no reference.
fn for_xml(json: &str) -> String {
    let mut written = Vec::with_capacity(json.len());
    push_json(&mut written, json);
    string(written)
}

// Put together from strings, so it is one.
fn string(written: Vec<u8>) -> String {
    String::from_utf8(written).unwrap_or_default()
}

fn is_reserved(key: &str) -> bool {
    matches!(key, "from" | "message_type") || key.starts_with("google") || key.starts_with("gcm")
}

/// Whether a reserved key may be among the keys of an object: a part of one stands somewhere in the text, or an escape of
/// a letter that they are made of. Without an early exit this becomes vector code, and few texts need a closer look.
fn may_hold_reserved(json: &str) -> bool {
    let windows = json.as_bytes().array_windows();
    windows.fold(false, |any, &[first, second, third, _, fifth]| {
        let quote = first == b'"';
        let from = quote & (second == b'f') & (third == b'r') & (fifth == b'm');
        let google = quote & (second == b'g') & (third == b'o') & (fifth == b'g');
        let gcm = quote & (second == b'g') & (third == b'c');
        let message_type = (first == b'g') & (second == b'e') & (third == b'_');
        let escape = (first == b'\\') & (second == b'u') & (b'5'..=b'7').contains(&fifth);
        any | from | google | gcm | message_type | escape
    })
}

/// A string as it is, anything else as its JSON text.
pub(super) fn value_text(raw: &RawValue) -> Cow<'_, str> {
    let json = raw.get();
    if json.starts_with('"') {
        read_string(json).unwrap_or(Cow::Borrowed(json))
    } else {
        Cow::Borrowed(json)
    }
}

/// The bytes of [`value_text`].
fn text_len(raw: &RawValue) -> usize {
    let json = raw.get();
    string_len(json).unwrap_or(json.len())
}

struct Pairs<F>(F);

impl<'de, F: FnMut(&'de RawValue, &'de RawValue)> Visitor<'de> for Pairs<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        // Keys are raw as well: one that is no Unicode, half a surrogate pair, must not hide the others.
        while let Some((key, value)) = map.next_entry()? {
            (self.0)(key, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_no_strings_read_as_their_json_text() {
        let json = r#"{"node-xcs":true,"n":1.50,"o":{"a":"\u00e9"},"s":"\u00e9","z":null}"#;
        let data = Data::from_json(json).unwrap();
        assert_eq!(data.as_json(), json);
        assert_eq!(data.get("node-xcs").as_deref(), Some("true"));
        assert_eq!(data.get("n").as_deref(), Some("1.50"));
        assert_eq!(data.get("o").as_deref(), Some(r#"{"a":"\u00e9"}"#));
        assert_eq!(data.get("s").as_deref(), Some("\u{e9}"));
        assert_eq!(data.get("missing"), None);
        assert_eq!(
            data.size(),
            (8 + 4) + (1 + 4) + (1 + 14) + (1 + 2) + (1 + 4)
        );
    }

    #[test]
    fn a_payload_counts_the_same_however_it_came() {
        for json in [
            r#"{}"#,
            r#"{"a":"1","\u0062":"\u00e9<\n"}"#,
            r#"{"a":1.50,"b":[{"<":"&"}, "\u0001"],"c":null}"#,
            r#"{"\ud800":"\ud800<"}"#,
            "{\r\n\"a\" : \"1\"\t}",
            r#"{"from":"1"}"#,
        ] {
            let data = Data::from_json(json).unwrap();
            let received = Data::from_part(data.as_json().into());
            assert_eq!(data.size(), received.size(), "{json}");
            let more = (data.with("k", "v<"), received.with("k", "v<"));
            assert_eq!(more.0.size(), more.1.size(), "{json}");
        }
        let listed: Data = [("a", "1<"), ("b", "")].into_iter().collect();
        assert_eq!(listed.size(), 4);
    }

    #[test]
    fn only_an_object_is_a_payload() {
        for json in ["", "[]", "1", "\"a\"", "{", "{} {}", "null"] {
            assert!(Data::from_json(json).is_err(), "{json}");
        }
        assert_eq!(Data::from_json(" { } ").unwrap().as_json(), "{ }");
        assert_eq!(
            Data::from_json("{ }\n").unwrap().with("a", "b").as_json(),
            r#"{ "a":"b"}"#
        );
    }

    #[test]
    fn a_payload_is_built_pair_by_pair_or_at_once() {
        let one_by_one = Data::new().with("a", "1").with("b", "\u{0}]]>");
        let at_once: Data = [("a", "1"), ("b", "\u{0}]]>")].into_iter().collect();
        assert_eq!(one_by_one, at_once);
        assert_eq!(at_once.as_json(), r#"{"a":"1","b":"\u0000]]\u003e"}"#);
        let map: std::collections::BTreeMap<String, String> = at_once.to().unwrap();
        assert_eq!(map.get("b").unwrap(), "\u{0}]]>");
        assert_eq!(Data::from_serialize(&map).unwrap(), at_once);
    }

    #[test]
    fn what_came_as_it_is_goes_out_as_xml_wants_it() {
        let received = Data::from_part(r#"{"a":"<&>"}"#.into());
        let escaped = r#"{"a":"\u003c\u0026\u003e"}"#;
        assert_eq!(received.for_wire(), escaped);
        assert_eq!(Data::new().with("a", "<&>").for_wire(), escaped);
        assert_eq!(
            received.with("b", "<").for_wire(),
            r#"{"a":"\u003c\u0026\u003e","b":"\u003c"}"#
        );
    }

    #[test]
    fn a_reserved_key_is_found_however_it_is_written() {
        for key in ["from", "message_type", "google", "google.x", "gcm", "gcmx"] {
            let escapes = key.char_indices().map(|(at, letter)| {
                let rest = &key[at + 1..];
                format!("{}\\u{:04X}{rest}", &key[..at], u32::from(letter))
            });
            for written in escapes.chain([key.to_owned()]) {
                let data = Data::from_part(format!(r#"{{"{written}":1}}"#).into());
                assert_eq!(data.reserved_key().as_deref(), Some(key), "{written}");
            }
        }
        let free = r#"{"form":"from","a":"message_type \u0066","k":{"gcm":1},"n":null}"#;
        assert_eq!(Data::from_part(free.into()).reserved_key(), None);
    }
}
