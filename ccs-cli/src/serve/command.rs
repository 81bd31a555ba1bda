//! What stdin asks for: one JSON object a line.

use ccs_tokio::proto::hub::Reach;
use ccs_tokio::proto::message::{InvalidSenderId, limits};
use ccs_tokio::{Data, RegistrationToken, SenderId, Upstream};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What an app is called that does not say it.
pub const CATEGORY: &str = "com.example.app";
/// Seconds that a message is kept that does not say it: four weeks. A PHP app server reads no message without the field.
pub const TIME_TO_LIVE: u64 = 2_419_200;

#[derive(Debug)]
pub enum Command {
    /// A device sends, to the sender that there is if none is named.
    Upstream(Option<SenderId>, Upstream),
    Reach(RegistrationToken, Reach),
    /// One connection, or all.
    Drain(Option<u64>),
    Drop(Option<u64>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    op: String,
    from: Option<String>,
    sender: Option<String>,
    category: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    message_id: Option<String>,
    time_to_live: Option<u64>,
    device: Option<String>,
    connection: Option<u64>,
}

impl Command {
    /// Reads a line. `next_id` makes the id of a message that has none.
    pub fn parse(line: &str, next_id: impl FnOnce() -> String) -> Result<Self, String> {
        let mut line: Line<'_> = serde_json::from_str(line).map_err(|why| why.to_string())?;
        let command = match line.op.as_str() {
            "upstream" => Self::Upstream(sender(&mut line)?, upstream(&mut line, next_id)?),
            "online" => Self::Reach(token("device", line.device.take())?, Reach::Online),
            "offline" => Self::Reach(token("device", line.device.take())?, Reach::Offline),
            "drain" => Self::Drain(line.connection.take()),
            "drop" => Self::Drop(line.connection.take()),
            other => {
                return Err(format!(
                    "op {other:?} is not known; upstream, online, offline, drain and drop are"
                ));
            }
        };
        match line.left_over() {
            Some(field) => Err(format!("op {:?} has no field {field:?}", line.op)),
            None => Ok(command),
        }
    }
}

impl Line<'_> {
    /// A field that was not used: rather an error than a message that is not what was meant.
    fn left_over(&self) -> Option<&'static str> {
        let given = [
            ("from", self.from.is_some()),
            ("sender", self.sender.is_some()),
            ("category", self.category.is_some()),
            ("data", self.data.is_some()),
            ("message_id", self.message_id.is_some()),
            ("time_to_live", self.time_to_live.is_some()),
            ("device", self.device.is_some()),
            ("connection", self.connection.is_some()),
        ];
        let left = given.into_iter().find(|(_, given)| *given)?;
        Some(left.0)
    }
}

fn sender(line: &mut Line<'_>) -> Result<Option<SenderId>, String> {
    let sender = line.sender.take().map(|sender| sender.parse());
    sender
        .transpose()
        .map_err(|why: InvalidSenderId| why.to_string())
}

fn upstream(line: &mut Line<'_>, next_id: impl FnOnce() -> String) -> Result<Upstream, String> {
    let from = token("from", line.from.take())?;
    let data = match line.data.take() {
        Some(raw) => Data::from_json(raw.get()).map_err(|why| why.to_string())?,
        None => Data::new(),
    };
    if data.size() > limits::MAX_DATA {
        let (size, limit) = (data.size(), limits::MAX_DATA);
        return Err(format!("data has {size} bytes and may have {limit}"));
    }
    let message_id = match line.message_id.take() {
        Some(id) => bounded("message_id", id, limits::MAX_MESSAGE_ID)?,
        None => next_id(),
    };
    let time_to_live = line.time_to_live.take().unwrap_or(TIME_TO_LIVE);
    if time_to_live > limits::MAX_TIME_TO_LIVE {
        let limit = limits::MAX_TIME_TO_LIVE;
        return Err(format!(
            "time_to_live is {time_to_live} s and may be {limit}"
        ));
    }
    let category = line.category.take();
    Ok(Upstream::new(from, message_id)
        .with_category(category.unwrap_or_else(|| CATEGORY.to_owned()))
        .with_data(data)
        .with_time_to_live(time_to_live))
}

fn token(field: &str, value: Option<String>) -> Result<RegistrationToken, String> {
    let value = value.ok_or_else(|| format!("{field:?} is missing"))?;
    bounded(field, value, limits::MAX_TOKEN).map(RegistrationToken::from)
}

fn bounded(field: &str, value: String, limit: usize) -> Result<String, String> {
    match value.len() {
        0 => Err(format!("{field:?} is empty")),
        size if size > limit => Err(format!("{field:?} has {size} bytes and may have {limit}")),
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line, || "made".to_owned())
    }

    #[test]
    fn an_upstream_message_has_what_old_app_servers_require() {
        let line = r#"{"op":"upstream","from":"phone-1","data":{"n":1}}"#;
        let Ok(Command::Upstream(None, message)) = parse(line) else {
            panic!("refused");
        };
        assert_eq!(
            message.body().as_str(),
            r#"{"data":{"n":1},"time_to_live":2419200,"from":"phone-1","message_id":"made","category":"com.example.app"}"#
        );
    }

    #[test]
    fn a_bad_line_is_told_what_is_wrong() {
        for (line, why) in [
            ("", "EOF"),
            ("{}", "missing field `op`"),
            (r#"{"op":"fly"}"#, "is not known"),
            (r#"{"op":"upstream"}"#, "\"from\" is missing"),
            (r#"{"op":"upstream","from":""}"#, "is empty"),
            (r#"{"op":"upstream","from":"p","data":[]}"#, "JSON object"),
            (r#"{"op":"upstream","from":"p","to":"x"}"#, "unknown field"),
            (
                r#"{"op":"upstream","from":"p","time_to_live":2419201}"#,
                "may be 2419200",
            ),
            (r#"{"op":"online"}"#, "\"device\" is missing"),
            (
                r#"{"op":"online","device":"d","from":"x"}"#,
                "has no field \"from\"",
            ),
            (r#"{"op":"drain","device":"d"}"#, "has no field \"device\""),
        ] {
            let found = parse(line).unwrap_err();
            assert!(found.contains(why), "{line}: {found}");
        }
    }
}
