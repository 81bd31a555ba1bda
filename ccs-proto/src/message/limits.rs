//! What a message may weigh and name, checked before it is sent (`docs/protocol.md` §3.2, §3.3).
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use thiserror::Error;

use super::data::Data;
use super::ids::MessageId;
use super::target::{InvalidTarget, Target, check_token};

/// Bytes of `data` to a device, keys and values.
pub const MAX_DATA: usize = 4096;
/// Bytes of `data` to a topic or a condition.
pub const MAX_TOPIC_DATA: usize = 2048;
/// Bytes of a message id (`docs/protocol.md` §12 #51).
pub const MAX_MESSAGE_ID: usize = 256;
/// Bytes of a registration token, of which the real ones have about 160. Guards the stanza limit.
pub const MAX_TOKEN: usize = 4096;
/// Bytes of a notification, of which Apple's part took 2,048 and later 4,096.
pub const MAX_NOTIFICATION: usize = 4096;
/// Bytes of a collapse key. The protocol names no number; this guards the stanza limit.
pub const MAX_COLLAPSE_KEY: usize = 256;
/// Bytes of a whole stanza (`docs/protocol.md` §12 #37). White space in `data` counts here only.
pub const MAX_STANZA: usize = 64 * 1024;
/// Seconds that a message may be kept for a device: four weeks.
pub const MAX_TIME_TO_LIVE: u64 = 2_419_200;

/// What is wrong with a message. It was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// A field has more bytes than it may.
    #[error("{field} has {size} bytes and may have {limit}")]
    TooLarge {
        /// The field.
        field: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A field is empty.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// The time to live is over four weeks.
    #[error("time_to_live is {seconds} s and may be {MAX_TIME_TO_LIVE}")]
    TimeToLive {
        /// The value in seconds.
        seconds: u64,
    },
    /// `data` has a key that is the service's own: `from`, `message_type`, or anything that starts with `google` or
    /// `gcm`.
    #[error("data has the key {key:?}, which is reserved; rename it")]
    ReservedKey {
        /// The key.
        key: String,
    },
    /// The target is wrong.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
}

pub(super) fn check_id(id: &MessageId) -> Result<(), InvalidMessage> {
    check_bytes("message_id", id.as_str(), MAX_MESSAGE_ID)
}

pub(super) fn check_target(target: &Target) -> Result<(), InvalidMessage> {
    match target {
        Target::Token(token) => {
            check_token(token)?;
            check_bytes("to", token.as_str(), MAX_TOKEN)
        }
        Target::Topic(topic) => check_bytes("to", topic.as_str(), MAX_TOKEN),
        Target::Condition(condition) => check_bytes("condition", condition.as_str(), MAX_TOKEN),
    }
}

pub(super) fn check_bytes(
    field: &'static str,
    value: &str,
    limit: usize,
) -> Result<(), InvalidMessage> {
    if value.is_empty() {
        return Err(InvalidMessage::Empty(field));
    }
    check_size(field, value.len(), limit)
}

pub(super) fn check_size(
    field: &'static str,
    size: usize,
    limit: usize,
) -> Result<(), InvalidMessage> {
    if size > limit {
        return Err(InvalidMessage::TooLarge { field, size, limit });
    }
    Ok(())
}

pub(super) fn check_time_to_live(seconds: u64) -> Result<(), InvalidMessage> {
    if seconds > MAX_TIME_TO_LIVE {
        return Err(InvalidMessage::TimeToLive { seconds });
    }
    Ok(())
}

/// Keys and size of a payload.
pub(super) fn check_data(data: &Data, target: &Target) -> Result<(), InvalidMessage> {
    let limit = match target {
        Target::Token(_) => MAX_DATA,
        Target::Topic(_) | Target::Condition(_) => MAX_TOPIC_DATA,
    };
    if let Some(key) = data.reserved_key() {
        return Err(InvalidMessage::ReservedKey { key });
    }
    // No text has more bytes than the JSON that it is written as, so most need not be decoded to be counted.
    if data.as_json().len() > limit {
        check_size("data", data.size(), limit)?;
    }
    Ok(())
}
