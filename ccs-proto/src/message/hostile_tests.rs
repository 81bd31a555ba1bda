//! What a hostile or foreign peer can put into a body, and what must not come of it.

use bytes::BytesMut;

use super::*;
use crate::habit::Tolerance;
use crate::text::Text;

fn downstream(body: &str) -> Result<Downstream, Box<Refusal>> {
    match FromAppServer::parse(&Text::from(body), Tolerance::Habits) {
        Ok(FromAppServer::Downstream { message, .. }) => Ok(message),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    }
}

#[test]
fn an_array_is_no_body() {
    let array = r#"[null,"m","T",null,null,null,null,null,null,null,null,null,null,null]"#;
    let refusal = downstream(array).unwrap_err();
    assert!(matches!(*refusal, Refusal::StanzaError { .. }));
    let array = r#"["ack","m","T",null,null,null,null,null,null,null]"#;
    assert!(FromEndpoint::parse(&Text::from(array)).is_err());
}

#[test]
fn a_payload_that_was_received_can_be_sent_on() {
    let body =
        Text::from("{\"from\":\"T\",\"message_id\":\"1\",\"data\":{\"a\":\"x < y && z\u{ffff}\"}}");
    let Ok(FromEndpoint::Upstream(received)) = FromEndpoint::parse(&body) else {
        panic!("no upstream");
    };
    let data = received.data().unwrap().clone();
    assert_eq!(data.get("a").unwrap(), "x < y && z\u{ffff}");
    let echo = Downstream::to("T").with_data(data).encode("m").unwrap();
    let stanza = String::from_utf8(echo.stanza().to_vec()).unwrap();
    assert!(
        stanza.contains(r#"{"a":"x \u003c y \u0026\u0026 z\uffff"}"#),
        "{stanza}"
    );
}

#[test]
fn half_a_surrogate_pair_in_a_key_hides_nothing() {
    let data = Data::from_json(r#"{"\ud800":"a","k":"v"}"#).unwrap();
    assert_eq!(data.get("k").as_deref(), Some("v"));
    assert!(!data.is_empty() && data.size() > 3);
    let more = data.with("l", "w");
    assert!(Data::from_json(more.as_json()).is_ok(), "{more:?}");
    let reserved = r#"{"message_id":"m","to":"T","data":{"\ud800":"","from":"x"}}"#;
    let refusal = downstream(reserved).unwrap_err();
    assert!(matches!(*refusal, Refusal::Nack { .. }));
    let large = format!(
        r#"{{"message_id":"m","to":"T","data":{{"\ud800":"","k":"{}"}}}}"#,
        "x".repeat(5000)
    );
    let refusal = downstream(&large).unwrap_err();
    assert!(matches!(*refusal, Refusal::Nack { .. }));
}

#[test]
fn what_is_sent_keeps_the_bounds_of_what_is_read() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    // Two more levels: the payload and the body around it.
    let deepest = Data::from_json(&nested(MAX_DEPTH - 2)).unwrap();
    let body = format!(
        r#"{{"message_id":"m","to":"T","data":{}}}"#,
        deepest.as_json()
    );
    assert!(downstream(&body).is_ok());
    assert!(Data::from_json(&nested(MAX_DEPTH - 1)).is_err());
    let blank = Data::from_json(&format!("{{{}}}", " ".repeat(70_000))).unwrap();
    let sent = Downstream::to("T").with_data(blank).encode("m");
    assert!(
        matches!(
            sent,
            Err(InvalidMessage::TooLarge {
                field: "message",
                ..
            })
        ),
        "{sent:?}"
    );
}

#[test]
fn a_nack_does_not_repeat_a_long_value() {
    let long = "x".repeat(50_000);
    for member in [
        format!(r#""to":"T","data":"{long}""#),
        format!(r#""to":"T","priority":"{long}""#),
        format!(r#""to":"T","dry_run":"{long}""#),
        format!(r#""to":"{long}""#),
        format!(r#""to":"/topics/ {long}""#),
    ] {
        let Refusal::Nack {
            message_id,
            from,
            code,
            description,
            ..
        } = *downstream(&format!(r#"{{"message_id":"m",{member}}}"#)).unwrap_err()
        else {
            panic!("{member:.40} is taken");
        };
        let mut nack = BytesMut::new();
        envelope::push_nack(
            &mut nack,
            from.as_deref(),
            message_id.as_str(),
            &code,
            &description,
        );
        assert!(nack.len() < 8192, "{member:.40}: {}", nack.len());
    }
}

#[test]
fn a_nack_without_a_code_still_settles_its_message() {
    let body = Text::from(r#"{"message_type":"nack","message_id":"m","from":"T"}"#);
    let Ok(FromEndpoint::Nack(nack)) = FromEndpoint::parse(&body) else {
        panic!("no nack");
    };
    assert_eq!(nack.message_id, "m".into());
    assert!(matches!(nack.code, NackCode::Other(_)));
}
