//! Whom a message is for: a device, a topic, or a condition over topics (`docs/protocol.md` §3.2).

use std::fmt;

use thiserror::Error;

use super::ids::RegistrationToken;
use crate::text::Text;

/// Prefix of a topic where a device's token would stand.
const TOPIC_PREFIX: &str = "/topics/";
/// Topics in one condition, at most (`docs/protocol.md` §12 #43).
const TOPICS: usize = 5;
/// Parentheses and negations inside one another, at most. Five topics need no more, and reading stays shallow.
const DEPTH: usize = 16;

/// Exactly one of what a message can be addressed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A device, or a device group by its notification key.
    Token(RegistrationToken),
    /// All devices that subscribed to a topic.
    Topic(Topic),
    /// All devices whose topics fulfil a condition.
    Condition(Condition),
}

impl Target {
    pub(super) fn text(&self) -> &Text {
        match self {
            Self::Token(token) => token.text(),
            Self::Topic(Topic(text)) | Self::Condition(Condition(text)) => text,
        }
    }

    /// What a message's `to` means: a topic behind the prefix `/topics/`, else a token.
    ///
    /// # Errors
    /// It begins like a topic and is none.
    pub fn from_to(to: impl Into<Text>) -> Result<Self, InvalidTarget> {
        let to = to.into();
        if to.starts_with(TOPIC_PREFIX) {
            Topic::new(to).map(Self::Topic)
        } else {
            Ok(Self::Token(RegistrationToken::from(to)))
        }
    }

    /// The address as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Token(token) => token.as_str(),
            Self::Topic(topic) => topic.as_str(),
            Self::Condition(condition) => condition.as_str(),
        }
    }
}

/// Whether what is to stand in a message's `to` is what it is taken for there: a topic if it begins like one, else a token.
pub(super) fn check_token(token: &RegistrationToken) -> Result<(), InvalidTarget> {
    if token.as_str().starts_with(TOPIC_PREFIX) {
        Topic::new(token.text().clone())?;
    }
    Ok(())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something is no topic or condition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// A topic's name is one or more of `a-z A-Z 0-9 - _ . ~ %`.
    #[error("{0:?} is no topic: letters, digits and - _ . ~ % are allowed in its name")]
    Topic(String),
    /// A condition does not follow the grammar.
    #[error("the condition is wrong at byte {at}: {why}")]
    Condition {
        /// Where.
        at: usize,
        /// What is missing or too much there.
        why: &'static str,
    },
}

/// A topic by name: one or more of `a-z A-Z 0-9 - _ . ~ %`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Text);

impl Topic {
    /// A topic, given with or without `/topics/` before its name.
    ///
    /// # Errors
    /// The name is empty or holds another character.
    pub fn new(name: impl Into<Text>) -> Result<Self, InvalidTarget> {
        let given = name.into();
        let name = given.strip_prefix(TOPIC_PREFIX).unwrap_or(&given);
        if !is_topic_name(name) {
            return Err(InvalidTarget::Topic(given.as_str().to_owned()));
        }
        Ok(Self(if name.len() == given.len() {
            Text::from(format!("{TOPIC_PREFIX}{name}"))
        } else {
            given
        }))
    }

    /// The topic as it is addressed, with `/topics/` before its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name alone.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.strip_prefix(TOPIC_PREFIX).unwrap_or_default()
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_topic_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

/// A condition over at most five topics: `'a' in topics && ('b' in topics || !('c' in topics))`. The words `in topics`
/// may be in any case.
///
/// ```
/// use ccs_proto::message::Condition;
///
/// let news: Condition = "'news' in topics && !('muted' in topics)".parse()?;
/// assert!(news.matches(|topic| topic == "news"));
/// assert!(!news.matches(|_| true));
/// assert!("'news' in".parse::<Condition>().is_err());
/// # Ok::<(), ccs_proto::message::InvalidTarget>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition(Text);

impl Condition {
    /// A condition that follows the grammar.
    ///
    /// # Errors
    /// Where it does not.
    pub fn new(text: impl Into<Text>) -> Result<Self, InvalidTarget> {
        let text = text.into();
        Parser::new(&text, &|_| true).whole()?;
        Ok(Self(text))
    }

    /// The condition as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it holds for a device that `subscribes` to those topics.
    #[must_use]
    pub fn matches(&self, subscribes: impl Fn(&str) -> bool) -> bool {
        // It was read before.
        Parser::new(&self.0, &subscribes).whole().unwrap_or(false)
    }
}

impl std::str::FromStr for Condition {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        Self::new(text)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads and evaluates in one pass: `or := and ("||" and)*`, `and := term ("&&" term)*`,
/// `term := "!" term | "(" or ")" | 'name' in topics`.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    topics: usize,
    subscribes: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, subscribes: &'a dyn Fn(&str) -> bool) -> Self {
        Self {
            text,
            at: 0,
            topics: 0,
            subscribes,
        }
    }

    fn whole(mut self) -> Result<bool, InvalidTarget> {
        let value = self.or(0)?;
        if self.rest().is_empty() {
            Ok(value)
        } else {
            Err(self.wrong("&& or || expected"))
        }
    }

    fn or(&mut self, depth: usize) -> Result<bool, InvalidTarget> {
        let mut value = self.and(depth)?;
        while self.take("||") {
            value |= self.and(depth)?;
        }
        Ok(value)
    }

    fn and(&mut self, depth: usize) -> Result<bool, InvalidTarget> {
        let mut value = self.term(depth)?;
        while self.take("&&") {
            value &= self.term(depth)?;
        }
        Ok(value)
    }

    fn term(&mut self, depth: usize) -> Result<bool, InvalidTarget> {
        if depth >= DEPTH {
            return Err(self.wrong("too many parentheses inside one another"));
        }
        let deeper = depth.saturating_add(1);
        if self.take("!") {
            return Ok(!self.term(deeper)?);
        }
        if self.take("(") {
            let value = self.or(deeper)?;
            return if self.take(")") {
                Ok(value)
            } else {
                Err(self.wrong(") expected"))
            };
        }
        self.topic()
    }

    fn topic(&mut self) -> Result<bool, InvalidTarget> {
        if !self.take("'") {
            return Err(self.wrong("a topic in quotes expected, as in 'news' in topics"));
        }
        let (name, _) = self
            .rest()
            .split_once('\'')
            .filter(|(name, _)| is_topic_name(name))
            .ok_or_else(|| self.wrong("a topic name and ' expected"))?;
        self.topics = self.topics.saturating_add(1);
        if self.topics > TOPICS {
            return Err(self.wrong("more than 5 topics"));
        }
        self.at = self.at.saturating_add(name.len()).saturating_add(1);
        for word in ["in", "topics"] {
            if !self.take_word(word) {
                return Err(self.wrong("in topics expected"));
            }
        }
        Ok((self.subscribes)(name))
    }

    /// What was not read yet, without white space before it.
    fn rest(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.at = self.text.len().saturating_sub(trimmed.len());
        trimmed
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at = self.at.saturating_add(token.len());
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let found = rest
            .get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word));
        let ends = rest
            .as_bytes()
            .get(word.len())
            .is_none_or(|next| !next.is_ascii_alphanumeric());
        if found && ends {
            self.at = self.at.saturating_add(word.len());
        }
        found && ends
    }

    fn wrong(&self, why: &'static str) -> InvalidTarget {
        InvalidTarget::Condition { at: self.at, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_with_or_without_its_prefix() {
        assert_eq!(
            Topic::new("news").unwrap(),
            Topic::new("/topics/news").unwrap()
        );
        assert_eq!(Topic::new("a-_.~%Z9").unwrap().as_str(), "/topics/a-_.~%Z9");
        assert_eq!(Topic::new("news").unwrap().name(), "news");
        for name in ["", "/topics/", "a b", "a/b", "caf\u{e9}", "/topic/x"] {
            assert!(Topic::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn conditions_follow_the_grammar() {
        let a_and_b = |text: &str| {
            Condition::new(text).map(|condition| condition.matches(|topic| "AB".contains(topic)))
        };
        for (text, value) in [
            ("'A' in topics", true),
            ("'C' in topics", false),
            ("'A' in topics && ('B' in topics || 'C' in topics)", true),
            ("'A' IN Topics&&'C'in topics", false),
            ("'C' in topics || 'A' in topics && 'B' in topics", true),
            ("!('C' in topics)", true),
            ("!'A' in topics", false),
            ("('A' in topics)", true),
        ] {
            assert_eq!(a_and_b(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_wrong_condition_says_where() {
        let six = ["'x' in topics"; 6].join(" || ");
        let deep = format!("{}'x' in topics{}", "(".repeat(17), ")".repeat(17));
        for (text, at) in [
            ("", 0),
            ("A in topics", 0),
            ("'A", 1),
            ("'A b' in topics", 1),
            ("'A' in", 6),
            ("'A' in topicsx", 7),
            ("'A' in topics 'B' in topics", 14),
            ("('A' in topics", 14),
            ("'A' in topics &&", 16),
            ("'A' in topics & 'B' in topics", 14),
            (&six, 86),
            (&deep, 16),
        ] {
            match Condition::new(text) {
                Err(InvalidTarget::Condition { at: found, .. }) => assert_eq!(found, at, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
