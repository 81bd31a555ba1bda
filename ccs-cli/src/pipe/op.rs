//! What the application says: one JSON object a line.

use std::collections::BTreeMap;

use ccs_tokio::Downstream;
use serde_json::value::RawValue;

use crate::message_line;

#[derive(Debug)]
pub enum Op {
    Send(Box<Downstream>),
    Ack {
        upstream: String,
    },
    Reject {
        upstream: String,
        reason: Option<String>,
    },
    Drain,
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

impl Op {
    /// Reads a line.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut members: Members<'_> =
            serde_json::from_str(line).map_err(|error| format!("no JSON object: {error}"))?;
        let op = text(&mut members, "op")?.ok_or("\"op\" is missing")?;
        let read = match op.as_str() {
            "send" => return send(members),
            "ack" => Self::Ack {
                upstream: handle(&mut members)?,
            },
            "reject" => Self::Reject {
                upstream: handle(&mut members)?,
                reason: text(&mut members, "reason")?,
            },
            "drain" => Self::Drain,
            other => {
                return Err(format!(
                    "op {other:?} is not known; send, ack, reject and drain are"
                ));
            }
        };
        match members.keys().next() {
            Some(left) => Err(format!("op {op:?} has no field {left:?}")),
            None => Ok(read),
        }
    }
}

/// The other members are the message's own. `id` is a short name of `message_id`.
fn send(mut members: Members<'_>) -> Result<Op, String> {
    if let Some(id) = members.remove("id")
        && members.insert("message_id".to_owned(), id).is_some()
    {
        return Err("\"id\" and \"message_id\" are one field; give one of them".to_owned());
    }
    let line = serde_json::to_string(&members).map_err(|error| error.to_string())?;
    let message = message_line::parse(&line)?;
    Ok(Op::Send(Box::new(message)))
}

fn handle(members: &mut Members<'_>) -> Result<String, String> {
    text(members, "upstream")?.ok_or_else(|| "\"upstream\" is missing".to_owned())
}

fn text(members: &mut Members<'_>, name: &str) -> Result<Option<String>, String> {
    let Some(value) = members.remove(name) else {
        return Ok(None);
    };
    let text = serde_json::from_str(value.get());
    text.map(Some)
        .map_err(|_| format!("{name:?} is not a string"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_op_is_read() {
        let Op::Send(message) =
            Op::parse(r#"{"op":"send","id":"m","to":"T","data":{"b":"1","a":"2"}}"#).unwrap()
        else {
            panic!();
        };
        assert_eq!(message.message_id().unwrap().as_str(), "m");
        assert_eq!(message.payload().unwrap().as_json(), r#"{"b":"1","a":"2"}"#);
        let ack = Op::parse(r#"{"op":"ack","upstream":"h"}"#).unwrap();
        assert!(matches!(ack, Op::Ack { upstream } if upstream == "h"));
        let reject = Op::parse(r#"{"op":"reject","upstream":"h","reason":"r"}"#).unwrap();
        assert!(matches!(reject, Op::Reject { reason: Some(reason), .. } if reason == "r"));
        let reject = Op::parse(r#"{"upstream":"h","op":"reject"}"#).unwrap();
        assert!(matches!(reject, Op::Reject { reason: None, .. }));
        assert!(matches!(Op::parse(r#"{"op":"drain"}"#), Ok(Op::Drain)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let told = |line| Op::parse(line).unwrap_err();
        assert!(told("[]").starts_with("no JSON object"));
        assert_eq!(told("{}"), r#""op" is missing"#);
        assert_eq!(told(r#"{"op":1}"#), r#""op" is not a string"#);
        assert!(told(r#"{"op":"fly"}"#).starts_with(r#"op "fly" is not known"#));
        assert_eq!(told(r#"{"op":"ack"}"#), r#""upstream" is missing"#);
        assert_eq!(
            told(r#"{"op":"ack","upstream":null}"#),
            r#""upstream" is not a string"#
        );
        assert_eq!(
            told(r#"{"op":"drain","now":true}"#),
            r#"op "drain" has no field "now""#
        );
        assert_eq!(
            told(r#"{"op":"send","to":"T","ttl":1}"#),
            r#"a message has no field "ttl""#
        );
        assert!(told(r#"{"op":"send","to":"T","id":"a","message_id":"a"}"#).contains("one field"));
    }
}
