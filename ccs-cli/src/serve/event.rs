//! What is printed: one JSON object a line, described in `docs/commands.md`.

use std::path::PathBuf;

use ccs_tokio::proto::hub::{Command, Copy};
use ccs_tokio::proto::message::{Downstream, Target};
use ccs_tokio::proto::{ConnectionId, Habit};
use ccs_tokio::{Data, Notification, SenderId, Upstream};
use serde::Serialize;
use serde_json::value::RawValue;

use super::counts::Counts;

/// A line. Members that are absent are left out.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Listening {
        addr: String,
        port: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        ca: Option<PathBuf>,
        /// With one sender it is named by itself, so that a script need not take a list apart.
        #[serde(flatten)]
        senders: Senders,
        #[serde(skip_serializing_if = "Option::is_none")]
        key_file: Option<PathBuf>,
    },
    Login {
        connection: u64,
        addr: String,
        sender: String,
        jid: String,
    },
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        connection: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        addr: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sender: Option<String>,
        reason: String,
    },
    Downstream {
        connection: u64,
        #[serde(flatten)]
        message: Box<Shown>,
    },
    Ack {
        connection: u64,
        message_id: String,
        to: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        canonical: Option<String>,
    },
    Nack {
        connection: u64,
        message_id: String,
        to: String,
        error: String,
        description: String,
    },
    Invalid {
        connection: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        reason: String,
    },
    SentAgain {
        connection: u64,
        message_id: String,
    },
    Delivered(ForDevice),
    Stored(ForDevice),
    Discarded {
        #[serde(flatten)]
        copy: ForDevice,
        reason: &'static str,
    },
    DeletedMessages {
        device: String,
        messages: u64,
    },
    ReceiptSent {
        connection: u64,
        message_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    },
    ReceiptAcked {
        connection: u64,
        message_id: String,
    },
    UpstreamWaiting(FromDevice),
    UpstreamSent(FromDevice),
    UpstreamAcked(FromDevice),
    UpstreamOverdue {
        connection: u64,
        from: String,
        message_id: String,
    },
    UpstreamExpired(FromDevice),
    Ignored {
        connection: u64,
        what: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
    },
    Fault {
        connection: u64,
        what: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
    },
    Device {
        device: String,
        state: &'static str,
    },
    Draining {
        connection: u64,
    },
    Closed {
        connection: u64,
        unacked: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Counts(Counts),
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
        error: String,
    },
}

/// Who may log in.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Senders {
    One { sender: String },
    Several { senders: Vec<String> },
}

impl<'a> FromIterator<&'a SenderId> for Senders {
    fn from_iter<I: IntoIterator<Item = &'a SenderId>>(all: I) -> Self {
        let mut senders: Vec<_> = all.into_iter().map(ToString::to_string).collect();
        match (senders.pop(), senders.is_empty()) {
            (Some(sender), true) => Self::One { sender },
            (last, _) => {
                senders.extend(last);
                Self::Several { senders }
            }
        }
    }
}

impl Event {
    /// What to say of an answer once it is given.
    pub fn answer(command: &Command) -> Option<Self> {
        match command {
            Command::Ack {
                message_id,
                target,
                token,
                canonical,
                ..
            } => Some(Self::Ack {
                connection: token.connection().0,
                message_id: message_id.to_string(),
                to: target.to_string(),
                canonical: canonical.as_ref().map(ToString::to_string),
            }),
            Command::Nack {
                message_id,
                target,
                token,
                code,
                description,
            } => Some(Self::Nack {
                connection: token.connection().0,
                message_id: message_id.to_string(),
                to: target.to_string(),
                error: code.as_str().to_owned(),
                description: description.clone(),
            }),
            _ => None,
        }
    }

    /// Something that was passed over.
    pub fn ignored(connection: u64, habit: &Habit) -> Self {
        let (what, message_id) = named(habit);
        Self::Ignored {
            connection,
            what,
            message_id,
        }
    }

    /// Something that was refused, since nothing is tolerated.
    pub fn fault(connection: u64, habit: &Habit) -> Self {
        let (what, message_id) = named(habit);
        Self::Fault {
            connection,
            what,
            message_id,
        }
    }
}

/// What a habit is called in the events, and the message that it is about.
fn named(habit: &Habit) -> (&'static str, Option<String>) {
    let (what, message_id) = match habit {
        Habit::Nack { message_id } => ("nack", Some(message_id)),
        Habit::LateReceiptAck { message_id } => ("late_receipt_ack", Some(message_id)),
        Habit::InexactAck { message_id } => ("inexact_ack", Some(message_id)),
        Habit::NumericMessageId { message_id } => ("numeric_message_id", Some(message_id)),
        Habit::TextTimeToLive { message_id } => ("text_time_to_live", Some(message_id)),
        Habit::BeyondWindow { message_id } => ("beyond_window", Some(message_id)),
        Habit::StrayText => ("stray_text", None),
        Habit::AfterClose => ("after_close", None),
        _ => ("other", None),
    };
    (what, message_id.map(ToString::to_string))
}

/// A message on its way to a device.
#[derive(Debug, Clone, Serialize)]
pub struct ForDevice {
    connection: u64,
    message_id: String,
    device: String,
}

impl From<Copy> for ForDevice {
    fn from(copy: Copy) -> Self {
        Self {
            // Nothing is kept over a restart, so there always is one.
            connection: copy.connection.map_or(0, |id| id.0),
            message_id: copy.message_id.to_string(),
            device: copy.device.token.to_string(),
        }
    }
}

/// A message on its way from a device.
#[derive(Debug, Clone, Serialize)]
pub struct FromDevice {
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<u64>,
    from: String,
    message_id: String,
}

impl FromDevice {
    pub fn new(connection: Option<ConnectionId>, message: &Upstream) -> Self {
        Self {
            connection: connection.map(|id| id.0),
            from: message.from().to_string(),
            message_id: message.message_id().to_string(),
        }
    }
}

/// The fields of a downstream message.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collapse_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_live: Option<u64>,
    delay_while_idle: bool,
    delivery_receipt_requested: bool,
    dry_run: bool,
}

impl Shown {
    pub fn new(message_id: &str, message: &Downstream) -> Self {
        let target = message.target();
        let is_condition = matches!(target, Target::Condition(_));
        Self {
            message_id: message_id.to_owned(),
            to: (!is_condition).then(|| target.to_string()),
            condition: is_condition.then(|| target.to_string()),
            data: message.payload().and_then(one_line),
            notification: message.shown().map(members),
            collapse_key: message.collapses_by().map(str::to_owned),
            priority: message.urgency().map(|priority| priority.as_str()),
            time_to_live: message.kept_for().map(|kept| kept.as_secs()),
            delay_while_idle: message.waits_while_idle(),
            delivery_receipt_requested: message.wants_receipt(),
            dry_run: message.is_dry_run(),
        }
    }
}

/// A payload as it came, but for the white space between its members: a line must not end in the middle.
fn one_line(data: &Data) -> Option<Box<RawValue>> {
    let mut compact = String::with_capacity(data.as_json().len());
    let mut in_string = false;
    let mut escaped = false;
    for character in data.as_json().chars() {
        if !in_string && character.is_ascii_whitespace() {
            continue;
        }
        in_string ^= character == '"' && !escaped;
        escaped = in_string && character == '\\' && !escaped;
        compact.push(character);
    }
    RawValue::from_string(compact).ok()
}

fn members(notification: &Notification) -> serde_json::Map<String, serde_json::Value> {
    const KEYS: [&str; 12] = [
        "title",
        "body",
        "sound",
        "badge",
        "click_action",
        "subtitle",
        "body_loc_key",
        "title_loc_key",
        "android_channel_id",
        "icon",
        "tag",
        "color",
    ];
    let strings = KEYS.iter().filter_map(|key| {
        let value = notification.get(key)?;
        Some(((*key).to_owned(), value.into()))
    });
    let lists = ["body_loc_args", "title_loc_args"]
        .into_iter()
        .filter_map(|key| {
            let values = notification.list(key)?;
            let values: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
            Some((key.to_owned(), values.into()))
        });
    strings.chain(lists).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_its_event_and_is_one_line() {
        let data = Data::from_json("{\n \"a b\\\" \" : 1.50,\r\n\"c\":\t[ true ] }").unwrap();
        let message = Downstream::to("T").with_data(data);
        let event = Event::Downstream {
            connection: 1,
            message: Box::new(Shown::new("m", &message)),
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"event":"downstream","connection":1,"message_id":"m","to":"T","data":{"a b\" ":1.50,"c":[true]},"delay_while_idle":false,"delivery_receipt_requested":false,"dry_run":false}"#
        );
    }
}
