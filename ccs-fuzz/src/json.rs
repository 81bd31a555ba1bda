//! A JSON body: what is accepted is JSON of bounded depth with the values that another reader finds, what is built from it
//! can be sent on and read again, and a refusal repeats no long text.

use ccs_proto::Text;
use ccs_proto::internals::{Cursor, Item, Reader};
use ccs_proto::message::{
    Condition, Data, Downstream, FromAppServer, FromEndpoint, MAX_DEPTH, MessageId, Notification,
    Refusal, Upstream, limits,
};
use ccs_proto::{Tolerance, XmlLimits};
use serde_json::Value;

use crate::input::Input;

/// The first byte of a case: what its text is taken for, and whether the endpoint is strict.
pub fn run(case: &[u8]) {
    let mut input = Input(case);
    let head = input.byte();
    let text = String::from_utf8_lossy(input.0);
    match head & 7 {
        0..=2 => from_app_server(&text, tolerance(head & 8 != 0)),
        3 | 4 => from_endpoint(&text),
        5 => data(&text),
        6 => notification(&text),
        _ => condition(&text),
    }
}

fn tolerance(strict: bool) -> Tolerance {
    if strict {
        Tolerance::Nothing
    } else {
        Tolerance::Habits
    }
}

fn from_app_server(text: &str, tolerance: Tolerance) {
    let body = Text::from(text);
    let id = match FromAppServer::parse(&body, tolerance) {
        Ok(FromAppServer::Downstream {
            message_id,
            message,
        }) => {
            sent_on(&message_id, &message);
            message_id
        }
        Ok(FromAppServer::Ack { message_id, .. } | FromAppServer::Nack { message_id }) => {
            message_id
        }
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => {
            if let Refusal::Nack {
                from, description, ..
            } = *refusal
            {
                assert!(
                    description.len() <= 512,
                    "{} bytes of words",
                    description.len()
                );
                assert!(from.is_none_or(|from| from.len() <= limits::MAX_TOKEN));
            }
            return;
        }
    };
    assert!(!id.as_str().is_empty());
    if let Some(object) = read_by_another(text) {
        same_text(&object, "message_id", Some(id.as_str()));
    }
}

/// The message can be sent as it was read, and read again it is sent as the same bytes.
fn sent_on(id: &MessageId, message: &Downstream) {
    let Ok(once) = message.clone().encode(id.clone()) else {
        let blank = message.payload().map_or(0, |data| data.as_json().len());
        assert!(
            blank > limits::MAX_DATA,
            "a message that was accepted can be sent"
        );
        return;
    };
    let body = body_of(&once.stanza());
    let again = match FromAppServer::parse(&Text::from(body), Tolerance::Nothing) {
        Ok(FromAppServer::Downstream {
            message_id,
            message,
        }) if message_id == *id => message.encode(message_id),
        other => panic!("sent on it is {other:?}"),
    };
    let again = again.unwrap_or_else(|error| panic!("sent on: {error}"));
    assert_eq!(
        again.stanza(),
        once.stanza(),
        "sent on it is another message"
    );
    assert_eq!(again.message().target(), message.target());
}

fn body_of(stanza: &[u8]) -> String {
    let mut reader = Reader::new(XmlLimits {
        stanza: 1 << 20,
        ..XmlLimits::default()
    });
    let found = reader
        .element(stanza)
        .and_then(|mut cursor| gcm(&mut cursor));
    found.unwrap_or_else(|error| panic!("{}: {error}", stanza.escape_ascii()))
}

fn gcm(cursor: &mut Cursor<'_, '_>) -> Result<String, ccs_proto::internals::XmlError> {
    loop {
        match cursor.next()? {
            Some(Item::Start(tag)) if tag.name == "gcm" => return Ok(cursor.text()?.into_owned()),
            Some(_) => {}
            None => return Ok(String::new()),
        }
    }
}

fn from_endpoint(text: &str) {
    let body = Text::from(text);
    let Ok(read) = FromEndpoint::parse(&body) else {
        return;
    };
    let object = read_by_another(text);
    let same = |name, value: Option<&str>| {
        if let Some(object) = &object {
            same_text(object, name, value);
        }
    };
    match read {
        FromEndpoint::Upstream(message) => {
            same("message_id", Some(message.message_id().as_str()));
            same("from", Some(message.from().as_str()));
            same("category", message.category());
            relayed(&message);
        }
        FromEndpoint::Ack(ack) => {
            same("message_id", Some(ack.message_id.as_str()));
            same("from", ack.from.as_deref());
        }
        FromEndpoint::Nack(nack) => {
            same("message_id", Some(nack.message_id.as_str()));
            same("error_description", nack.description.as_deref());
            assert!(!nack.to_string().is_empty());
        }
        FromEndpoint::Receipt(receipt) => {
            same("message_id", Some(receipt.message_id().as_str()));
            same("from", Some(receipt.from()));
        }
        FromEndpoint::Other { message_type } => same("message_type", Some(&message_type)),
        _ => {}
    }
}

/// An endpoint that passes on what it was given says the same.
fn relayed(message: &Upstream) {
    let mut copy = Upstream::new(message.from().clone(), message.message_id().clone());
    if let Some(category) = message.category() {
        copy = copy.with_category(category);
    }
    if let Some(seconds) = message.time_to_live() {
        copy = copy.with_time_to_live(seconds);
    }
    if let Some(data) = message.data() {
        let pairs: Vec<_> = data.iter().collect();
        assert_eq!(data.is_empty(), pairs.is_empty());
        copy = copy.with_data(data.clone());
    }
    match FromEndpoint::parse(copy.body()) {
        Ok(FromEndpoint::Upstream(read)) => {
            assert_eq!(read.message_id(), message.message_id());
            assert_eq!(read.from(), message.from());
            assert_eq!(read.category(), message.category());
            assert_eq!(read.time_to_live(), message.time_to_live());
            // What is no string is read as its JSON text, in which `<` is written otherwise.
            let sent = message.data().map(|data| Data::from_json(data.as_json()));
            if let (Some(read), Some(Ok(sent))) = (read.data(), sent) {
                assert!(read.iter().eq(sent.iter()), "data is relayed as it is");
            }
        }
        other => panic!("relayed it is {other:?}"),
    }
}

/// What serde_json's own reader makes of the body, which knows numbers and Unicode better than we need to: it refuses
/// numbers that no machine has and halves of characters.
fn read_by_another(text: &str) -> Option<serde_json::Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => {
            let levels = 1 + object.values().map(depth).max().unwrap_or(0);
            assert!(levels <= MAX_DEPTH, "{levels} levels");
            Some(object)
        }
        Ok(_) => panic!("accepted, and no object: {text:?}"),
        Err(error) => {
            let said = error.to_string();
            let known = ["number out of range", "surrogate", "hex escape"];
            assert!(
                known.iter().any(|words| said.contains(words)),
                "accepted, and no JSON: {text:?}: {said}"
            );
            None
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Where the other reader finds a string, ours is that string; where it finds nothing, ours is nothing.
fn same_text(object: &serde_json::Map<String, Value>, name: &str, ours: Option<&str>) {
    match object.get(name) {
        Some(Value::String(theirs)) => assert_eq!(ours, Some(theirs.as_str()), "{name}"),
        Some(Value::Null) | None => assert_eq!(ours, None, "{name}"),
        Some(Value::Number(_)) => {}
        Some(_) => assert_eq!(ours, None, "{name}"),
    }
}

fn data(text: &str) {
    let Ok(data) = Data::from_json(text) else {
        return;
    };
    let pairs: Vec<(String, String)> = data
        .iter()
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    let size: usize = pairs
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert_eq!(data.size(), size);
    if let Some((key, value)) = pairs.first() {
        assert_eq!(data.get(key).as_deref(), Some(value.as_str()));
    }
    let json = data.as_json();
    assert!(
        !json.contains(['<', '>', '&', '\u{fffe}', '\u{ffff}']),
        "{json:?} needs a reference"
    );
    let more = data.with("k<", text);
    let read = Data::from_json(more.as_json());
    assert_eq!(read.as_ref(), Ok(&more), "one pair more");
    let added = more.iter().last();
    assert_eq!(more.iter().count(), pairs.len() + 1);
    assert!(added.is_some_and(|(key, value)| key == "k<" && value == text));
}

fn notification(text: &str) {
    let Ok(shown) = Notification::from_json(text) else {
        return;
    };
    let id = MessageId::from("m");
    let message = Downstream::to("T").notification(shown);
    if message.clone().encode(id.clone()).is_ok() {
        sent_on(&id, &message);
    }
}

/// A condition says the opposite of its negation, whoever subscribes.
fn condition(text: &str) {
    let Ok(condition) = Condition::new(text) else {
        return;
    };
    let Ok(negated) = Condition::new(format!("!({text})")) else {
        // It lies as deep as it may.
        return;
    };
    let everybody: fn(&str) -> bool = |_| true;
    let nobody: fn(&str) -> bool = |_| false;
    let some: fn(&str) -> bool = |topic| topic.len() % 2 == 0;
    for subscribes in [everybody, nobody, some] {
        assert_ne!(
            condition.matches(subscribes),
            negated.matches(subscribes),
            "{text}"
        );
    }
}
