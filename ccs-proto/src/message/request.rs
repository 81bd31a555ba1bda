//! What an app server sends: messages and acks, and what an endpoint has against them (`docs/protocol.md` §3, §4.2, §5,
//! §12).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{self, BodyError, MAX_DEPTH, Member};
use super::data::{Data, value_text};
use super::downstream::Downstream;
use super::ids::{MessageId, RegistrationToken};
use super::limits::MAX_TIME_TO_LIVE;
use super::limits::MAX_TOKEN;
use super::nack_code::NackCode;
use super::notification::Notification;
use super::options::Priority;
use super::target::{Condition, Target};
use crate::habit::{Habit, Tolerance};
use crate::text::Text;

/// A body that came from an app server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FromAppServer {
    /// A message to devices.
    Downstream {
        /// Its id.
        message_id: MessageId,
        /// The message.
        message: Downstream,
    },
    /// An upstream message or receipt was handled.
    Ack {
        /// Its id.
        message_id: MessageId,
        /// Where it came from.
        to: RegistrationToken,
    },
    /// What an app server never needs to send, and some send all the same.
    Nack {
        /// The id that it names.
        message_id: MessageId,
    },
}

/// How a body is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// As a stanza error 400: it cannot be said which message it is about (`docs/protocol.md` §12 #14).
    StanzaError {
        /// Words for people.
        text: String,
    },
    /// With a nack.
    Nack {
        /// The message.
        message_id: MessageId,
        /// What it was addressed to, if that could be read.
        from: Option<Text>,
        /// The code.
        code: NackCode,
        /// Words for people.
        description: String,
        /// What of it would have been tolerated.
        habit: Option<Habit>,
    },
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    message_type: Member<'a>,
    #[serde(borrow)]
    message_id: Member<'a>,
    #[serde(borrow)]
    to: Member<'a>,
    #[serde(borrow)]
    condition: Member<'a>,
    #[serde(borrow)]
    collapse_key: Member<'a>,
    #[serde(borrow)]
    priority: Member<'a>,
    #[serde(borrow)]
    content_available: Member<'a>,
    #[serde(borrow)]
    mutable_content: Member<'a>,
    #[serde(borrow)]
    delay_while_idle: Member<'a>,
    #[serde(borrow)]
    time_to_live: Member<'a>,
    #[serde(borrow)]
    delivery_receipt_requested: Member<'a>,
    #[serde(borrow)]
    dry_run: Member<'a>,
    #[serde(borrow)]
    data: Member<'a>,
    #[serde(borrow)]
    notification: Member<'a>,
}

impl FromAppServer {
    /// Reads and checks a body.
    ///
    /// # Errors
    /// How to refuse it.
    pub fn parse(body: &Text, tolerance: Tolerance) -> Result<Self, Box<Refusal>> {
        Self::parse_within(body, tolerance, MAX_DEPTH)
    }

    /// The same with so many levels instead of [`MAX_DEPTH`].
    pub(crate) fn parse_within(
        body: &Text,
        tolerance: Tolerance,
        depth: usize,
    ) -> Result<Self, Box<Refusal>> {
        let members: Members<'_> = body::read(body, depth).map_err(|error| bad_request(&error))?;
        let message_id = body::text(body, "message_id", members.message_id)
            .and_then(|id| {
                if id.is_empty() {
                    Err(BodyError::Missing("message_id"))
                } else {
                    Ok(id)
                }
            })
            .map_err(|error| bad_request(&error))?;
        let message_id = MessageId::from(message_id);
        if tolerance == Tolerance::Nothing
            && let Some(refusal) = members.fault(body, &message_id)
        {
            return Err(Box::new(refusal));
        }
        // Only a string is one of the types; anything else is no downstream message either.
        match members.message_type.map(RawValue::get) {
            None => members.downstream(body, message_id),
            Some("\"ack\"") => members.ack(body, message_id),
            Some("\"nack\"") => Ok(Self::Nack { message_id }),
            Some(_) => Err(Box::new(Refusal::Nack {
                message_id,
                from: members.addressee(body),
                code: NackCode::InvalidJson,
                description: "InvalidJson: unknown message_type".to_owned(),
                habit: None,
            })),
        }
    }
}

fn bad_request(error: &BodyError) -> Box<Refusal> {
    // Google's words where they are known (fixture E16); they ended in a line feed (`docs/protocol.md` §12 #32).
    let what = match error {
        BodyError::Missing(field) => format!("Missing Required Field: {field}\n"),
        other => other.to_string(),
    };
    Box::new(Refusal::StanzaError {
        text: format!("InvalidJson: JSON_PARSING_ERROR : {what}"),
    })
}

/// Why a message is refused, before it is said which.
struct Wrong(String);

impl Wrong {
    fn type_of(field: &str, java: &str, value: &RawValue) -> Self {
        let value = value_text(value);
        Self(format!(
            "InvalidJson: JSON_TYPE_ERROR : Field \"{field}\" must be a JSON java.lang.{java}: {value}"
        ))
    }
}

/// Bytes of a description, which repeats values of the peer's: the nack must stay smaller than what it answers.
const MAX_DESCRIPTION: usize = 512;

impl Members<'_> {
    /// What a nack names as its `from`: a `to` that could be a target at all.
    fn addressee(&self, body: &Text) -> Option<Text> {
        body::lenient(body, self.to).filter(|to| to.len() <= MAX_TOKEN)
    }

    /// What is wrong with the body and tolerated from real app servers.
    fn fault(&self, body: &Text, message_id: &MessageId) -> Option<Refusal> {
        let kind = self.message_type.map(RawValue::get);
        let id = self.message_id.filter(|raw| !raw.get().starts_with('"'));
        let ttl = self.time_to_live.filter(|raw| is_number_in_quotes(raw));
        let message_id = message_id.clone();
        let (Wrong(description), habit) = if kind == Some("\"nack\"") {
            let never = "an app server never sends a nack; not acking is enough".to_owned();
            let message_id = message_id.compact();
            (Wrong(never), Habit::Nack { message_id })
        } else if let Some(raw) = id {
            let message_id = message_id.compact();
            let wrong = Wrong::type_of("message_id", "String", raw);
            (wrong, Habit::NumericMessageId { message_id })
        } else if let (Some(raw), None) = (ttl, kind) {
            let message_id = message_id.compact();
            let wrong = Wrong::type_of("time_to_live", "Number", raw);
            (wrong, Habit::TextTimeToLive { message_id })
        } else {
            return None;
        };
        Some(Refusal::Nack {
            message_id,
            from: self.addressee(body),
            code: match kind {
                None => NackCode::InvalidJson,
                Some(_) => NackCode::BadAck,
            },
            description,
            habit: Some(habit),
        })
    }

    /// An ack that does not say to whom is malformed (`docs/protocol.md` §12 #18).
    fn ack(&self, body: &Text, message_id: MessageId) -> Result<FromAppServer, Box<Refusal>> {
        match body::lenient(body, self.to) {
            Some(to) => Ok(FromAppServer::Ack {
                message_id,
                to: RegistrationToken::from(to),
            }),
            None => Err(Box::new(Refusal::Nack {
                message_id,
                from: None,
                code: NackCode::BadAck,
                description: "an ack needs \"to\", the \"from\" of the message".to_owned(),
                habit: None,
            })),
        }
    }

    fn downstream(
        &self,
        body: &Text,
        message_id: MessageId,
    ) -> Result<FromAppServer, Box<Refusal>> {
        let built = self.build(body).and_then(|message| {
            message
                .check(&message_id)
                .map_err(|invalid| Wrong(format!("InvalidJson: {invalid}")))?;
            Ok(message)
        });
        match built {
            Ok(message) => Ok(FromAppServer::Downstream {
                message_id,
                message,
            }),
            Err(Wrong(mut description)) => {
                description.truncate(description.floor_char_boundary(MAX_DESCRIPTION));
                Err(Box::new(Refusal::Nack {
                    message_id,
                    from: self.addressee(body),
                    code: NackCode::InvalidJson,
                    description,
                    habit: None,
                }))
            }
        }
    }

    fn build(&self, body: &Text) -> Result<Downstream, Wrong> {
        let mut message = Downstream::new(self.target(body)?);
        let options = &mut message.options;
        options.collapse_key = string(body, "collapse_key", self.collapse_key)?;
        options.priority = self.priority(body)?;
        options.content_available = boolean("content_available", self.content_available)?;
        options.mutable_content = boolean("mutable_content", self.mutable_content)?;
        options.delay_while_idle = boolean("delay_while_idle", self.delay_while_idle)?;
        options.time_to_live = self.time_to_live()?;
        options.receipt_requested = boolean(
            "delivery_receipt_requested",
            self.delivery_receipt_requested,
        )?;
        options.dry_run = boolean("dry_run", self.dry_run)?;
        if let Some(raw) = self.data {
            if !raw.get().starts_with('{') {
                return Err(Wrong::type_of("data", "Object", raw));
            }
            message = message.with_data(Data::from_part(body.slice_of(raw.get())));
        }
        if let Some(raw) = self.notification {
            let notification = Notification::parse(raw.get())
                .map_err(|field| Wrong::type_of(field, "Object", raw))?;
            message = message.notification(notification);
        }
        Ok(message)
    }

    /// `registration_ids`, of the HTTP interface, is no target here (`docs/protocol.md` §12 #40).
    fn target(&self, body: &Text) -> Result<Target, Wrong> {
        let to = string(body, "to", self.to)?;
        let condition = string(body, "condition", self.condition)?;
        let target = match (to, condition) {
            (Some(to), None) => Target::from_to(to),
            (None, Some(condition)) => Condition::new(condition).map(Target::Condition),
            (None, None) => {
                return Err(Wrong(
                    "InvalidJson: MissingRegistration: \"to\" or \"condition\" is required"
                        .to_owned(),
                ));
            }
            (Some(_), Some(_)) => {
                return Err(Wrong(
                    "InvalidJson: \"to\" and \"condition\" exclude each other".to_owned(),
                ));
            }
        };
        target.map_err(|invalid| Wrong(format!("InvalidJson: {invalid}")))
    }

    fn priority(&self, body: &Text) -> Result<Option<Priority>, Wrong> {
        match string(body, "priority", self.priority)?.as_deref() {
            None => Ok(None),
            Some("normal") => Ok(Some(Priority::Normal)),
            Some("high") => Ok(Some(Priority::High)),
            Some(other) => Err(Wrong(format!(
                "InvalidJson: Field \"priority\" must be \"normal\" or \"high\": {other}"
            ))),
        }
    }

    /// Google's own example has it as a string (fixture E45, `docs/protocol.md` §12 #22).
    fn time_to_live(&self) -> Result<Option<u64>, Wrong> {
        let Some(raw) = self.time_to_live else {
            return Ok(None);
        };
        let json = raw.get();
        let digits = json.trim_matches('"');
        if !is_number(digits) {
            return Err(Wrong::type_of("time_to_live", "Number", raw));
        }
        match digits.parse::<u64>() {
            Ok(seconds) if seconds <= MAX_TIME_TO_LIVE => Ok(Some(seconds)),
            // Google's words of 2013 (fixture E28).
            _ => Err(Wrong(format!(
                "InvalidJson : INVALID_TTL : Invalid value ({digits}) for \"time_to_live\": must be between 0 and \"{MAX_TIME_TO_LIVE}\"\n"
            ))),
        }
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn is_number_in_quotes(raw: &RawValue) -> bool {
    raw.get().starts_with('"') && is_number(raw.get().trim_matches('"'))
}

fn string(body: &Text, field: &str, member: Member<'_>) -> Result<Option<Text>, Wrong> {
    let Some(raw) = member else {
        return Ok(None);
    };
    if !raw.get().starts_with('"') {
        return Err(Wrong::type_of(field, "String", raw));
    }
    body::text(body, "", member)
        .map(Some)
        .map_err(|_| Wrong::type_of(field, "String", raw))
}

fn boolean(field: &str, member: Member<'_>) -> Result<Option<bool>, Wrong> {
    match member.map(|raw| (raw, raw.get())) {
        None => Ok(None),
        Some((_, "true")) => Ok(Some(true)),
        Some((_, "false")) => Ok(Some(false)),
        Some((raw, _)) => Err(Wrong::type_of(field, "Boolean", raw)),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
