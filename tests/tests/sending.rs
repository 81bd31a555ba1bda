//! Downstream: the window, answers, and what settles what.

use ccs_proto::message::{NackCode, RegistrationToken};
use ccs_proto::{
    Blocked, ClientConnection, ClientEvent, Ignored, NotAccepted, Outcome, ServerConfig,
    StreamCondition,
};
use ccs_tests::pair::{Pair, client_config, message};

fn pair_with_window(window: usize) -> Pair {
    let mut config = client_config();
    config.window = window;
    Pair::bound_with(config, ServerConfig::default())
}

/// A stanza error as an endpoint writes it.
fn stanza_error(code: u16, id: &str, body: &str) -> String {
    format!(
        "<message id=\"{id}\" type=\"error\" to=\"x\"><gcm xmlns=\"google:mobile:data\">{body}</gcm>\
         <error code=\"{code}\" type=\"modify\"><bad-request xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/>\
         </error></message>"
    )
}

fn answer(kind: &str, id: &str) -> String {
    format!(
        "<message><data:gcm xmlns:data=\"google:mobile:data\">{{\"message_type\":\"{kind}\",\
         \"message_id\":\"{id}\",\"from\":\"phone-1\",\"error\":\"BAD_REGISTRATION\"}}</data:gcm></message>"
    )
}

#[test]
fn a_message_is_in_flight_from_the_moment_its_bytes_are_handed_out() {
    let mut pair = Pair::bound();
    pair.upwards.open = false;
    pair.accept("m-1");
    pair.drive();
    assert_eq!(pair.client.in_flight(), 0);
    assert_eq!(pair.client.capacity(), 99, "but it has its place");
    pair.client_reads(&answer("ack", "m-1"));
    assert_eq!(pair.client.capacity(), 99, "and cannot be answered");
    pair.upwards.open = true;
    pair.drive();
    assert_eq!(pair.client.in_flight(), 1);
    assert_eq!(pair.server_log(), ["downstream m-1"]);
}

#[test]
fn a_window_fills_exactly_and_one_answer_frees_one_place() {
    let mut pair = Pair::bound();
    for n in 0..100 {
        pair.send(&format!("m-{n}"));
    }
    assert_eq!(pair.client.reserve().unwrap_err(), Blocked::WindowFull);
    let mut tokens = pair.answer_tokens();
    assert_eq!(tokens.len(), 100);
    pair.server.ack(tokens.remove(57), None).unwrap();
    pair.drive();
    assert_eq!(pair.client_log(), ["accepted m-57"]);
    assert_eq!(pair.client.capacity(), 1);
    pair.send("next");
    assert_eq!(pair.client.capacity(), 0);
}

#[test]
fn a_place_that_is_not_used_is_given_back() {
    let mut pair = pair_with_window(2);
    drop(pair.client.reserve().unwrap());
    assert_eq!(pair.client.capacity(), 2);
    let place = pair.client.reserve().unwrap().keep();
    assert_eq!(pair.client.capacity(), 1);
    pair.send("m-1");
    assert_eq!(pair.client.reserve().unwrap_err(), Blocked::WindowFull);
    drop(pair.client.resume(place).unwrap());
    assert_eq!(pair.client.capacity(), 1);
}

#[test]
fn a_kept_place_belongs_to_its_connection() {
    let mut config = client_config();
    config.window = 1;
    let mut other = ClientConnection::new(
        config.into(),
        ccs_proto::ConnectionId(9),
        ccs_proto::TransportSecurity::VerifiedTls,
        ccs_proto::Time::ZERO,
    );
    let place = other.reserve().unwrap().keep();
    let mut pair = Pair::bound();
    let place = pair.client.resume(place).unwrap_err();
    assert_eq!(pair.client.capacity(), 100);
    assert_eq!(other.capacity(), 0);
    drop(other.resume(place).unwrap());
    assert_eq!(other.capacity(), 1);
}

#[test]
fn an_id_under_way_is_refused_without_taking_a_place() {
    let mut pair = Pair::bound();
    pair.upwards.open = false;
    pair.accept("m-1");
    for sent in [false, true] {
        pair.upwards.open = sent;
        pair.drive();
        let permit = pair.client.reserve().unwrap();
        let returned = permit.send(message("m-1")).unwrap_err();
        assert_eq!(returned, NotAccepted::Duplicate(Box::new(message("m-1"))));
        assert_eq!(pair.client.capacity(), 99);
    }
    pair.ack_downstreams();
    pair.accept("m-1");
}

#[test]
fn a_message_can_be_cancelled_until_it_is_written() {
    let mut pair = Pair::bound();
    pair.send("sent");
    pair.accept("not sent");
    assert_eq!(pair.client.cancel(&"sent".into()), None);
    assert_eq!(
        pair.client.cancel(&"not sent".into()),
        Some(message("not sent"))
    );
    pair.drive();
    assert_eq!(pair.server_log(), ["downstream sent"]);
    assert_eq!(pair.client.capacity(), 99);
}

#[test]
fn each_message_is_settled_once_whatever_else_is_answered() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.send("m-2");
    let ignored = |id: &str| {
        let message_id = id.into();
        format!("ignored {:?}", Ignored::UnknownAnswer { message_id })
    };
    for (kind, id, said, capacity) in [
        ("ack", "m-1", "accepted m-1".to_owned(), 99),
        ("ack", "m-1", ignored("m-1"), 99),
        ("nack", "m-1", ignored("m-1"), 99),
        ("nack", "m-3", ignored("m-3"), 99),
        (
            "nack",
            "m-2",
            "refused m-2 BAD_REGISTRATION".to_owned(),
            100,
        ),
        ("ack", "m-2", ignored("m-2"), 100),
    ] {
        pair.client_reads(&answer(kind, id));
        assert_eq!(pair.client_log(), [said], "{kind} {id}");
        assert_eq!(pair.client.capacity(), capacity, "{kind} {id}");
    }
}

#[test]
fn answers_may_come_in_any_order() {
    let mut pair = Pair::bound();
    for id in ["m-1", "m-2", "m-3"] {
        pair.send(id);
    }
    for token in pair.answer_tokens().into_iter().rev() {
        pair.server.ack(token, None).unwrap();
    }
    pair.drive();
    assert_eq!(
        pair.client_log(),
        ["accepted m-3", "accepted m-2", "accepted m-1"]
    );
}

#[test]
fn a_stanza_error_settles_the_message_that_it_echoes_by_id_or_by_body() {
    for (id, body) in [
        ("m-2", "{}"),
        ("", r#"{"to":"phone-1","message_id":"m-2"}"#),
        ("other", r#"{"to":"phone-1","message_id":"m-2"}"#),
        ("m-2", r#"{"to":"phone-1","message_id":"gone"}"#),
    ] {
        let mut pair = Pair::bound();
        for id in ["m-1", "m-2", "m-3"] {
            pair.send(id);
        }
        pair.client_reads(&stanza_error(400, id, body));
        assert_eq!(pair.client_log(), ["rejected m-2 400"], "{id} {body}");
        assert_eq!(pair.client.in_flight(), 2);
        pair.client_reads(&stanza_error(400, id, body));
        assert_eq!(pair.client.in_flight(), 2, "once only");
    }
}

#[test]
fn a_stanza_error_about_an_ack_or_about_nothing_settles_nothing() {
    for (id, body) in [
        // An ack of the upstream message m-1 is no word about the downstream message m-1.
        (
            "",
            r#"{"to":"phone-1","message_id":"m-1","message_type":"ack"}"#,
        ),
        ("other", r#"{"to":"phone-1","message_id":"other"}"#),
        ("", "not JSON"),
        ("", ""),
    ] {
        let mut pair = Pair::bound();
        pair.send("m-1");
        pair.client_reads(&stanza_error(406, id, body));
        let [ClientEvent::Ignored(Ignored::StanzaError(error))] = &pair.client_events[..] else {
            panic!("{:?}", pair.client_events);
        };
        assert_eq!(error.code, Some(406));
        assert_eq!(pair.client.in_flight(), 1);
    }
}

#[test]
fn a_canonical_token_comes_with_the_ack() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    let canonical = RegistrationToken::from("phone-1-new");
    for token in pair.answer_tokens() {
        pair.server.ack(token, Some(&canonical)).unwrap();
    }
    pair.drive();
    let [
        ClientEvent::Answered {
            outcome: Outcome::Accepted(ack),
            ..
        },
    ] = &pair.client_events[..]
    else {
        panic!("{:?}", pair.client_events);
    };
    assert_eq!(ack.canonical, Some(canonical));
    assert_eq!(ack.from.as_deref(), Some("phone-1"));
}

#[test]
fn every_nack_code_arrives_as_it_was_sent() {
    let codes = [
        NackCode::InvalidJson,
        NackCode::BadRegistration,
        NackCode::DeviceUnregistered,
        NackCode::SenderIdMismatch,
        NackCode::BadAck,
        NackCode::AuthenticationFailed,
        NackCode::ServiceUnavailable,
        NackCode::InternalServerError,
        NackCode::DeviceMessageRateExceeded,
        NackCode::TopicsMessageRateExceeded,
        NackCode::InvalidApnsCredential,
        NackCode::QuotaExceeded,
        NackCode::InvalidTtl,
        NackCode::JsonTypeError,
        NackCode::Other("OF_TOMORROW".into()),
        // Last: nothing goes out after it.
        NackCode::ConnectionDraining,
    ];
    let mut pair = Pair::bound();
    for code in codes {
        pair.send("m-1");
        for token in pair.answer_tokens() {
            pair.server.nack(token, &code, "why <so> & not so").unwrap();
        }
        pair.drive();
        let Some(ClientEvent::Answered {
            outcome: Outcome::Refused(nack),
            ..
        }) = pair.client_events.pop()
        else {
            panic!("{code}");
        };
        assert_eq!(nack.code, code);
        assert_eq!(nack.description.as_deref(), Some("why <so> & not so"));
        assert_eq!(pair.client.in_flight(), 0);
    }
}

#[test]
fn a_repeated_id_is_refused_while_it_waits_and_after_its_ack_but_not_after_its_nack() {
    let refused = "refused m-1 INVALID_JSON: Message with the same id has been received before";
    let again = String::from_utf8(message("m-1").stanza().to_vec()).unwrap();
    let mut pair = Pair::bound();
    pair.server_reads(&again);
    let first = pair.answer_tokens().pop().unwrap();
    pair.server_reads(&again);
    assert_eq!(pair.server_log(), [refused], "it waits");
    pair.server
        .nack(first, &NackCode::ServiceUnavailable, "")
        .unwrap();
    pair.server_reads(&again);
    let second = pair
        .answer_tokens()
        .pop()
        .expect("a nacked id is free again");
    pair.server.ack(second, None).unwrap();
    pair.server_reads(&again);
    assert_eq!(pair.server_log(), [refused], "it was acked");
}

#[test]
fn a_server_stops_reading_beyond_its_window_and_goes_on_after_an_answer() {
    let mut config = client_config();
    config.window = 10;
    let mut server = ServerConfig::default();
    server.window = 3;
    let mut pair = Pair::bound_with(config, server);
    pair.upwards.chunk = 100;
    for n in 0..10 {
        pair.accept(&format!("m-{n}"));
    }
    pair.drive();
    let tokens = pair.answer_tokens();
    assert_eq!(
        tokens.len(),
        4,
        "one more than a client may send that keeps to 3"
    );
    for (n, token) in tokens.into_iter().enumerate() {
        pair.server.ack(token, None).unwrap();
        pair.drive();
        assert_eq!(pair.server.unanswered(), 4, "answer {n} lets one more in");
    }
}

#[test]
fn a_connection_over_the_limit_is_told_so() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.server.end_with(
        pair.now,
        StreamCondition::PolicyViolation,
        "too many connections",
    );
    pair.drive();
    assert_eq!(
        pair.client_log(),
        ["failed: the peer ended the stream: policy-violation (too many connections)"]
    );
    assert_eq!(pair.client.take_unanswered(), [message("m-1")]);
}
