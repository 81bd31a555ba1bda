//! A message to a device as a line of JSON.

use std::collections::BTreeMap;

use ccs_tokio::proto::Text;
use ccs_tokio::proto::Tolerance;
use ccs_tokio::proto::message::{FromAppServer, Refusal};
use ccs_tokio::{Downstream, Notification};
use serde_json::value::RawValue;

/// What a line may say (`docs/protocol.md` §3.2). An endpoint passes over other fields; here they are mistakes.
const FIELDS: [&str; 13] = [
    "to",
    "condition",
    "message_id",
    "collapse_key",
    "priority",
    "content_available",
    "mutable_content",
    "delay_while_idle",
    "time_to_live",
    "delivery_receipt_requested",
    "dry_run",
    "data",
    "notification",
];

/// Reads a line, by the same rules as the endpoint reads it, but for the id, which may be missing.
pub fn parse(line: &str) -> Result<Downstream, String> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(line).map_err(|error| format!("no JSON object: {error}"))?;
    if let Some(unknown) = members.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(format!("a message has no field {unknown:?}"));
    }
    if let Some(shown) = members.get("notification") {
        Notification::from_json(shown.get()).map_err(|error| error.to_string())?;
    }
    let named = members.contains_key("message_id");
    let body = match line.trim_start().strip_prefix('{') {
        // An id for the reading, which is taken away below. The rest of the line stays as it is.
        Some(rest) if !named => {
            let comma = if members.is_empty() { "" } else { "," };
            Text::from(format!("{{\"message_id\":\"-\"{comma}{rest}"))
        }
        _ => Text::from(line),
    };
    match FromAppServer::parse(&body, Tolerance::Habits) {
        Ok(FromAppServer::Downstream {
            message_id,
            message,
        }) => Ok(if named {
            message.id(message_id)
        } else {
            message.without_id()
        }),
        Ok(_) => Err("no message to a device".to_owned()),
        Err(refusal) => Err(match *refusal {
            Refusal::StanzaError { text } => text.trim().to_owned(),
            Refusal::Nack { description, .. } => description,
            other => format!("{other:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use ccs_tokio::MessageId;

    use super::*;

    #[test]
    fn a_line_is_a_message_with_or_without_an_id() {
        let message = parse(r#"{"to":"T","data":{"b":"1","a":"2"}}"#).unwrap();
        assert_eq!(message.message_id(), None);
        assert_eq!(message.payload().unwrap().as_json(), r#"{"b":"1","a":"2"}"#);
        let message = parse(r#" {"to":"T","message_id":"m"}"#).unwrap();
        assert_eq!(message.message_id(), Some(&MessageId::from("m")));
    }

    #[test]
    fn what_is_no_message_is_told() {
        let told = |line| parse(line).unwrap_err();
        assert!(told("nonsense").starts_with("no JSON object"));
        assert!(told("[]").starts_with("no JSON object"));
        assert!(told("{}").contains("MissingRegistration"));
        assert_eq!(
            told(r#"{"to":"T","ttl":3}"#),
            r#"a message has no field "ttl""#
        );
        assert_eq!(
            told(r#"{"to":"T","notification":{"titel":"x"}}"#),
            r#"a notification has no key "titel""#
        );
        assert!(told(r#"{"to":"T","message_type":"ack"}"#).contains("message_type"));
    }
}
