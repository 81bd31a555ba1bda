//! What an app server says, read: each field, each refusal.

use super::*;

fn refused(body: &str) -> (NackCode, String) {
    match FromAppServer::parse(&Text::from(body), Tolerance::Habits).map_err(|refusal| *refusal) {
        Err(Refusal::Nack {
            code, description, ..
        }) => (code, description),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn without_an_id_it_is_a_stanza_error() {
    for (body, text) in [
        (
            r#"{"random":"text"}"#,
            "InvalidJson: JSON_PARSING_ERROR : Missing Required Field: message_id\n",
        ),
        (
            r#"{"message_id":{},"to":"T"}"#,
            "InvalidJson: JSON_PARSING_ERROR : message_id in the body has the wrong type",
        ),
        (
            r#"{"message_id":"","to":"T"}"#,
            "InvalidJson: JSON_PARSING_ERROR : Missing Required Field: message_id\n",
        ),
        (
            r#"{"message_id":null,"to":"T"}"#,
            "InvalidJson: JSON_PARSING_ERROR : Missing Required Field: message_id\n",
        ),
    ] {
        let refusal = FromAppServer::parse(&Text::from(body), Tolerance::Habits).unwrap_err();
        assert_eq!(
            *refusal,
            Refusal::StanzaError {
                text: text.to_owned()
            }
        );
    }
    for body in [
        "",
        "[]",
        "{",
        r#"{"message_id":"a","message_id":"b","to":"T"}"#,
    ] {
        let refusal = FromAppServer::parse(&Text::from(body), Tolerance::Habits).unwrap_err();
        assert!(matches!(*refusal, Refusal::StanzaError { .. }), "{body}");
    }
}

#[test]
fn with_an_id_a_nack_says_which_field_is_wrong() {
    let invalid = NackCode::InvalidJson;
    for (member, description) in [
        (
            r#""to":"T","time_to_live":"abc""#,
            r#"InvalidJson: JSON_TYPE_ERROR : Field "time_to_live" must be a JSON java.lang.Number: abc"#,
        ),
        (
            r#""to":"T","time_to_live":-1"#,
            "InvalidJson : INVALID_TTL : Invalid value (-1) for \"time_to_live\": must be between 0 and \"2419200\"\n",
        ),
        (
            r#""to":"T","delay_while_idle":"yes""#,
            r#"InvalidJson: JSON_TYPE_ERROR : Field "delay_while_idle" must be a JSON java.lang.Boolean: yes"#,
        ),
        (
            r#""to":1"#,
            r#"InvalidJson: JSON_TYPE_ERROR : Field "to" must be a JSON java.lang.String: 1"#,
        ),
        (
            r#""to":"T","data":[]"#,
            r#"InvalidJson: JSON_TYPE_ERROR : Field "data" must be a JSON java.lang.Object: []"#,
        ),
        (
            r#""registration_ids":["T"]"#,
            r#"InvalidJson: MissingRegistration: "to" or "condition" is required"#,
        ),
        (
            r#""to":"T","condition":"'a' in topics""#,
            r#"InvalidJson: "to" and "condition" exclude each other"#,
        ),
        (
            r#""to":"T","data":{"gcm.x":"1"}"#,
            r#"InvalidJson: data has the key "gcm.x", which is reserved; rename it"#,
        ),
        (
            r#""to":"T","time_to_live":2419201"#,
            "InvalidJson : INVALID_TTL : Invalid value (2419201) for \"time_to_live\": must be between 0 and \"2419200\"\n",
        ),
        (
            r#""to":"T","time_to_live":1.5"#,
            "InvalidJson : INVALID_TTL : Invalid value (1.5) for \"time_to_live\": must be between 0 and \"2419200\"\n",
        ),
        (
            r#""to":"T","message_type":["ack"]"#,
            "InvalidJson: unknown message_type",
        ),
    ] {
        let body = format!(r#"{{"message_id":"m",{member}}}"#);
        assert_eq!(refused(&body), (invalid.clone(), description.to_owned()));
    }
    let ack = r#"{"message_type":"ack","message_id":"m"}"#;
    assert_eq!(refused(ack).0, NackCode::BadAck);
    let long = format!(r#"{{"message_id":"{}","to":"T"}}"#, "x".repeat(257));
    assert_eq!(refused(&long).0, invalid);
}

#[test]
fn what_real_clients_send_is_taken() {
    let body = r#"{"message_id":42,"to":"T","time_to_live":"600","data":{"a":true},"x":1}"#;
    let Ok(FromAppServer::Downstream {
        message_id,
        message,
    }) = FromAppServer::parse(&Text::from(body), Tolerance::Habits)
    else {
        panic!("refused");
    };
    assert_eq!(message_id.as_str(), "42");
    assert_eq!(message.kept_for().unwrap().as_secs(), 600);
    assert_eq!(message.payload().unwrap().get("a").as_deref(), Some("true"));
}

#[test]
fn what_is_tolerated_is_refused_by_name_where_nothing_is() {
    let message_id = || MessageId::from("42");
    for (body, code, habit) in [
        (
            r#"{"message_id":42,"to":"T"}"#,
            NackCode::InvalidJson,
            Habit::NumericMessageId {
                message_id: message_id(),
            },
        ),
        (
            r#"{"message_id":42,"to":"T","message_type":"ack"}"#,
            NackCode::BadAck,
            Habit::NumericMessageId {
                message_id: message_id(),
            },
        ),
        (
            r#"{"message_id":"42","to":"T","time_to_live":"600"}"#,
            NackCode::InvalidJson,
            Habit::TextTimeToLive {
                message_id: message_id(),
            },
        ),
        (
            r#"{"message_id":"42","to":"T","message_type":"nack"}"#,
            NackCode::BadAck,
            Habit::Nack {
                message_id: message_id(),
            },
        ),
    ] {
        let body = Text::from(body);
        assert!(FromAppServer::parse(&body, Tolerance::Habits).is_ok());
        let refusal = FromAppServer::parse(&body, Tolerance::Nothing).unwrap_err();
        let Refusal::Nack {
            code: found,
            habit: named,
            ..
        } = *refusal
        else {
            panic!("{body}: {refusal:?}");
        };
        assert_eq!((found, named), (code, Some(habit)), "{body}");
    }
    // What nobody tolerates is no habit.
    let wrong = Text::from(r#"{"message_id":"m","to":"T","time_to_live":"abc"}"#);
    for tolerance in [Tolerance::Habits, Tolerance::Nothing] {
        let refusal = FromAppServer::parse(&wrong, tolerance).unwrap_err();
        assert!(matches!(*refusal, Refusal::Nack { habit: None, .. }));
    }
}
