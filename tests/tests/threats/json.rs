//! JSON bodies that are deep, double or of the wrong type.

use ccs_proto::message::BodyError;
use ccs_proto::{ClientEvent, Ignored, ServerConfig};
use ccs_tests::pair::{Pair, client_config};

use super::attacked::gcm;

/// A body with so many levels, its own included, in a member that nobody reads.
fn deep(levels: usize, open: &str, close: &str) -> String {
    let (open, close) = (open.repeat(levels - 1), close.repeat(levels - 1));
    format!(r#"{{"message_id":"1","to":"T","from":"T","x":{open}0{close}}}"#)
}

/// How the server answers a body: nothing, or the reason in the words that were sent.
fn refusal(pair: &mut Pair, body: &str) -> Option<String> {
    let mark = pair.downwards.mark();
    pair.server_reads(&gcm(body));
    pair.drive();
    let said = pair.downwards.since(mark).to_owned();
    if !pair.downstreams().is_empty() {
        assert_eq!(said, "");
        return None;
    }
    assert!(pair.server.is_open(), "a bad body ends no stream");
    Some(said)
}

#[test]
fn j1_a_body_is_refused_beyond_its_levels_wherever_they_lie() {
    for (limit, levels) in [(32, 32), (5, 5)] {
        let (mut client, mut server) = (client_config(), ServerConfig::default());
        client.limits.json_depth = limit;
        server.limits.json_depth = limit;
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            let per = open.matches(['[', '{']).count();
            let body = |levels: usize| deep((levels - 1) / per + 1, open, close);
            let mut pair = Pair::bound_with(client.clone(), server.clone());
            for good in [levels - per, levels] {
                let good = body(good).replace("\"1\"", &format!("\"{good}\""));
                assert_eq!(refusal(&mut pair, &good), None, "{good}");
            }
            let over = body(levels + per);
            let said = refusal(&mut pair, &over).expect("it is over the limit");
            let words = format!("the body has more than {limit} levels");
            assert!(
                said.contains("<error code=\"400\"") && said.contains(&words),
                "{said}"
            );

            pair.client_reads(&gcm(&over));
            let Some(ClientEvent::Ignored(Ignored::Unreadable { error, .. })) =
                pair.client_events.pop()
            else {
                panic!("it is over the limit");
            };
            assert_eq!(error, BodyError::TooDeep { limit });
        }
    }
}

#[test]
fn j1_a_depth_bomb_is_refused_without_recursion() {
    for open in ["[", "{\"a\":"] {
        for close in [true, false] {
            let levels = 60_000 / open.len();
            let close = if close {
                "]".repeat(levels)
            } else {
                String::new()
            };
            let body = format!(
                "{{\"message_id\":\"1\",\"x\":{}{close}}}",
                open.repeat(levels)
            );
            let body = &body[..body.len().min(65_000)];
            let said = refusal(&mut Pair::bound(), body).expect("it is a bomb");
            assert!(said.contains("more than 32 levels"), "{said:.200}");
        }
    }
}

#[test]
fn j1_what_stands_twice_or_has_the_wrong_type_is_refused_and_ends_nothing() {
    for (body, words) in [
        (
            r#"{"message_id":"1","message_id":"2","to":"T"}"#,
            "duplicate field",
        ),
        (r#"{"message_id":"1","to":"T","to":"U"}"#, "duplicate field"),
        (
            r#"{"message_id":"1","\u0074o":"T","to":"U"}"#,
            "duplicate field",
        ),
        (r#"{"to":"T"}"#, "Missing Required Field: message_id"),
        (r#"{"message_id":null,"to":"T"}"#, "message_id"),
        (r#"{"message_id":["1"],"to":"T"}"#, "wrong type"),
        (r#"{"message_id":true,"to":"T"}"#, "wrong type"),
        (
            r#"{"message_id":"","to":"T"}"#,
            "Missing Required Field: message_id",
        ),
        (
            r#"{"message_id":"1","message_type":["ack"]}"#,
            "INVALID_JSON",
        ),
        (r#"{"message_id":"1","message_type":7}"#, "INVALID_JSON"),
        (r#"{"message_id":"1","to":["T"]}"#, "INVALID_JSON"),
        (
            r#"{"message_id":"1","to":"T","time_to_live":1e999}"#,
            "INVALID_JSON",
        ),
        (
            r#"{"message_id":"1","to":"T","time_to_live":-1}"#,
            "INVALID_JSON",
        ),
        (r#"{"message_id":"1","to":"T","data":"x"}"#, "INVALID_JSON"),
        (r#"["message_id"]"#, "it is no object"),
        ("", "it is no object"),
        (r#"{"message_id":"1","to":"T"} x"#, "trailing characters"),
        (r#"{"message_id":"1","to":"T""#, "EOF"),
    ] {
        let said = refusal(&mut Pair::bound(), body);
        let said = said.unwrap_or_else(|| panic!("{body} is taken"));
        assert!(said.contains(words), "{body}: {said}");
    }
}

#[test]
fn j1_a_number_is_an_id_and_a_long_id_is_none() {
    let mut pair = Pair::bound();
    let huge = "9".repeat(256);
    for id in ["7", "-1", "1.50", &huge] {
        pair.server_reads(&gcm(&format!(r#"{{"message_id":{id},"to":"T"}}"#)));
        assert_eq!(pair.downstreams().remove(0).0.as_str(), id);
    }
    let said = refusal(&mut pair, &format!(r#"{{"message_id":{huge}9,"to":"T"}}"#)).unwrap();
    assert!(said.contains("INVALID_JSON"), "{said}");
}

#[test]
fn j1_what_an_app_server_is_sent_twice_over_settles_and_delivers_nothing() {
    for body in [
        r#"{"message_type":"ack","message_id":"m-1","message_id":"m-1"}"#,
        r#"{"message_type":["ack"],"message_id":"m-1"}"#,
        r#"{"message_type":"ack","message_id":["m-1"]}"#,
        r#"{"from":"T","from":"U","message_id":"u"}"#,
        r#"{"from":"T","message_id":"u","data":[]}"#,
    ] {
        let mut pair = Pair::bound();
        pair.send("m-1");
        pair.client_reads(&gcm(body));
        let last = pair.client_events.pop();
        assert!(
            matches!(last, Some(ClientEvent::Ignored(Ignored::Unreadable { .. }))),
            "{body}: {last:?}"
        );
        assert_eq!((pair.client.in_flight(), pair.client.unacked()), (1, 0));
    }
}
