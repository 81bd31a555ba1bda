//! A scenario as it is written down.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ccs_tokio::proto::message::NackCode;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::pattern::Pattern;
use crate::serve::command::Command;

/// Why a scenario cannot be played.
#[derive(Debug, Error)]
pub enum ScenarioError {
    #[error("{}: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: {error}", .path.display())]
    Toml {
        path: PathBuf,
        error: Box<toml::de::Error>,
    },
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(default)]
    pub seed: u64,
    #[serde(default, deserialize_with = "some_seconds")]
    pub end: Option<Duration>,
    #[serde(default)]
    pub rule: Vec<Rule>,
    #[serde(default)]
    pub redeliver: Vec<Redeliver>,
    /// In the order of time.
    #[serde(default)]
    pub at: Vec<At>,
}

/// What becomes of messages to some tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default)]
    pub to: Pattern,
    #[serde(default, deserialize_with = "seconds")]
    pub from: Duration,
    #[serde(default, deserialize_with = "some_seconds")]
    pub until: Option<Duration>,
    #[serde(default = "always", deserialize_with = "percent")]
    pub percent: u32,
    pub times: Option<u64>,
    pub above_per_second: Option<u64>,
    #[serde(default, deserialize_with = "span")]
    pub delay: (Duration, Duration),
    pub answer: Option<Answer>,
}

/// What is said to a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Answer {
    Ack,
    AckTwice,
    Drain,
    Silence,
    Cut,
    Nack(NackCode),
}

/// Messages that come again although they were acked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redeliver {
    #[serde(default)]
    pub from: Pattern,
    #[serde(default = "always", deserialize_with = "percent")]
    pub percent: u32,
    pub times: Option<u64>,
    #[serde(default, deserialize_with = "seconds")]
    pub after: Duration,
}

/// Something that happens at a time: a line of stdin.
#[derive(Debug, Deserialize)]
#[serde(try_from = "AtTable")]
pub struct At {
    pub time: Duration,
    pub line: String,
}

#[derive(Deserialize)]
struct AtTable {
    #[serde(deserialize_with = "seconds")]
    time: Duration,
    #[serde(flatten)]
    op: serde_json::Map<String, serde_json::Value>,
}

impl File {
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return Err(ScenarioError::Io { path, error }),
        };
        Self::parse(&text).map_err(|error| {
            let error = Box::new(error);
            ScenarioError::Toml { path, error }
        })
    }

    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut file: Self = toml::from_str(text)?;
        file.at.sort_by_key(|at| at.time);
        Ok(file)
    }
}

impl TryFrom<String> for Answer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match text.as_str() {
            "ack" => Self::Ack,
            "ack_twice" => Self::AckTwice,
            "drain" => Self::Drain,
            "silence" => Self::Silence,
            "cut" => Self::Cut,
            code if code.starts_with(|c: char| c.is_ascii_uppercase())
                && code.bytes().all(|c| c.is_ascii_uppercase() || c == b'_') =>
            {
                Self::Nack(NackCode::from(code))
            }
            other => {
                return Err(format!(
                    "answer {other:?} is not known; ack, ack_twice, drain, silence, cut and codes such as \
                     SERVICE_UNAVAILABLE are"
                ));
            }
        })
    }
}

impl TryFrom<AtTable> for At {
    type Error = String;

    fn try_from(table: AtTable) -> Result<Self, String> {
        let time = table.time;
        let line = serde_json::Value::Object(table.op).to_string();
        // What is wrong with it is said now, not when its time has come.
        Command::parse(&line, String::new)?;
        Ok(Self { time, line })
    }
}

fn always() -> u32 {
    100
}

fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let percent = u32::deserialize(from)?;
    if percent > 100 {
        return Err(D::Error::custom(format!("{percent} percent is too much")));
    }
    Ok(percent)
}

/// Whole seconds or a fraction.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Whole(u64),
    Fraction(f64),
}

impl Seconds {
    fn duration<E: serde::de::Error>(self) -> Result<Duration, E> {
        match self {
            Self::Whole(seconds) => Ok(Duration::from_secs(seconds)),
            Self::Fraction(seconds) => {
                Duration::try_from_secs_f64(seconds).map_err(|why| E::custom(why.to_string()))
            }
        }
    }
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Seconds::deserialize(from)?.duration()
}

fn some_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    seconds(from).map(Some)
}

/// One time, or the earliest and the latest.
#[derive(Deserialize)]
#[serde(untagged)]
enum Span {
    One(Seconds),
    Between(Seconds, Seconds),
}

fn span<'de, D: Deserializer<'de>>(from: D) -> Result<(Duration, Duration), D::Error> {
    match Span::deserialize(from)? {
        Span::One(seconds) => {
            let only = seconds.duration()?;
            Ok((only, only))
        }
        Span::Between(from, to) => {
            let (from, to) = (from.duration()?, to.duration()?);
            if to < from {
                return Err(D::Error::custom(
                    "the latest time comes before the earliest",
                ));
            }
            Ok((from, to))
        }
    }
}
