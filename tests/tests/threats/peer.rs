//! Peers that answer what was not asked, count what was not sent, or send without regard to the window.

use std::time::Duration;

use ccs_proto::StreamCondition::PolicyViolation;
use ccs_proto::{AckError, AnswerError, ClientEvent, Ignored, ServerConfig, ServerEvent};
use ccs_tests::pair::{Pair, client_config, upstream};

use super::attacked::{At, Outcome, gcm};

fn answer(kind: &str, id: &str) -> String {
    gcm(&format!(
        r#"{{"message_type":"{kind}","message_id":"{id}","from":"T","error":"BAD_REGISTRATION"}}"#
    ))
}

fn ack(id: usize) -> String {
    gcm(&format!(
        r#"{{"message_type":"ack","message_id":"{id}","to":"T"}}"#
    ))
}

/// The client's answers to nothing, counted.
fn unknown_answers(pair: &mut Pair) -> usize {
    let taken = pair.client_events.drain(..);
    taken
        .filter(|event| matches!(event, ClientEvent::Ignored(Ignored::UnknownAnswer { .. })))
        .count()
}

#[test]
fn p1_an_answer_to_nothing_in_flight_here_changes_nothing_and_is_counted() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    for kind in ["ack", "nack"] {
        for id in ["m-0", "m-2", "", "M-1", "m-1 "] {
            pair.client_reads(&answer(kind, id));
            assert_eq!(unknown_answers(&mut pair), 1, "{kind} {id}");
        }
    }
    assert_eq!((pair.client.in_flight(), pair.client.capacity()), (1, 99));
}

#[test]
fn p1_only_the_first_answer_settles() {
    for first in ["ack", "nack"] {
        for second in ["ack", "nack"] {
            let mut pair = Pair::bound();
            pair.send("m-1");
            pair.client_reads(&answer(first, "m-1"));
            assert_eq!(pair.client_log().len(), 1);
            assert_eq!((pair.client.in_flight(), pair.client.capacity()), (0, 100));
            pair.client_reads(&answer(second, "m-1"));
            assert_eq!(unknown_answers(&mut pair), 1, "{second} after {first}");
            assert_eq!((pair.client.in_flight(), pair.client.capacity()), (0, 100));
        }
    }
}

#[test]
fn p1_what_another_connection_is_owed_is_settled_on_no_other() {
    let (mut here, mut there) = (Pair::bound(), Pair::bound());
    here.send("m-1");
    there.client_reads(&answer("ack", "m-1"));
    assert_eq!(unknown_answers(&mut there), 1);
    assert_eq!(here.client.in_flight(), 1);
    here.server.send(upstream("u-1")).unwrap();
    here.drive();
    there.server_reads(&gcm(
        r#"{"message_type":"ack","message_id":"u-1","to":"phone-1"}"#,
    ));
    assert_eq!(here.server.in_flight(), 1);
    // Tokens of this process know their connection, so they cannot even be tried elsewhere.
    let other = ccs_proto::ConnectionId(99);
    let mut other = ccs_proto::ClientConnection::new(
        client_config().into(),
        other,
        ccs_proto::TransportSecurity::VerifiedTls,
        here.now,
    );
    let token = here.ack_tokens().remove(0);
    assert!(matches!(other.ack(token), Err(AckError::Foreign(_))));
    let token = here.answer_tokens().remove(0);
    let mut other = ccs_proto::ServerConnection::new(
        ServerConfig::default().into(),
        ccs_proto::ConnectionId(98),
        ccs_proto::Nonce([1; 20]),
        here.now,
    );
    assert!(matches!(
        other.ack(token, None),
        Err(AnswerError::Foreign(_))
    ));
}

#[test]
fn p1_an_iq_result_that_was_not_asked_for_does_nothing() {
    let bind = |id: &str, kind: &str| {
        format!(
            "<iq type='{kind}' id='{id}' from='evil@x'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>evil@x/y</jid></bind></iq>"
        )
    };
    // Before it asks to be bound the client takes no result for one.
    let outcome = At::ClientLogin.given(bind("bind-1", "result"));
    outcome.is_fine();
    assert_eq!(outcome.said, "");
    let mut pair = Pair::bound();
    let mark = pair.upwards.mark();
    for id in ["bind-1", "bind-2", "ping-1", "x"] {
        for kind in ["result", "error"] {
            pair.client_reads(&bind(id, kind));
            pair.server_reads(&bind(id, kind));
        }
    }
    pair.drive();
    assert_eq!(pair.upwards.since(mark), "");
    assert!(pair.client_log().is_empty() && pair.server_log().is_empty());
    assert!(pair.client.is_bound() && pair.server.is_open());
}

/// Ten thousand messages of a peer that waits for no answer: as many are taken as the window holds, and none is lost.
#[test]
fn p2_an_app_server_that_ignores_the_window_is_read_no_further() {
    let mut config = ServerConfig::default();
    config.window = 10;
    let mut pair = Pair::bound_with(client_config(), config);
    pair.upwards.chunk = 4_096;
    for n in 0..10_000 {
        let flood = gcm(&format!(r#"{{"message_id":"{n}","to":"T"}}"#));
        pair.upwards.waiting.extend_from_slice(flood.as_bytes());
    }
    let mut taken = 0;
    loop {
        pair.drive();
        let tokens = pair.answer_tokens();
        if tokens.is_empty() {
            break;
        }
        let over = 4_096 / 80;
        assert!(tokens.len() <= 10 + over, "{} at once", tokens.len());
        taken += tokens.len();
        for token in tokens {
            pair.server.ack(token, None).unwrap();
        }
    }
    assert_eq!(taken, 10_000);
}

#[test]
fn p2_an_endpoint_that_overfills_the_inbox_is_told_so_after_30_s() {
    for (messages, bytes) in [(10, usize::MAX), (usize::MAX, 10_000)] {
        let mut config = client_config();
        config.inbox_messages = messages;
        config.inbox_bytes = bytes;
        assert_eq!(config.inbox_patience, Duration::from_secs(30));
        let mut pair = Pair::bound_with(config, ServerConfig::default());
        pair.client_polls = false;
        let mut fed = 0;
        while pair.client.wants_input() {
            let flood = gcm(&format!(
                r#"{{"from":"T","message_id":"{fed}","x":"{}"}}"#,
                "x".repeat(900)
            ));
            pair.client_reads(&flood);
            fed += 1;
            assert!(fed <= 11, "the bound holds");
        }
        pair.advance(Duration::from_millis(29_999));
        assert!(!pair.client.is_ending());
        pair.advance(Duration::from_millis(1));
        let said = pair.upwards.text();
        assert!(
            said.contains("<policy-violation") && said.contains("without regard to the window")
        );
    }
}

/// What the endpoint holds for an application that takes nothing is bounded in bytes as well.
#[test]
fn p2_the_endpoints_inbox_is_bounded_in_bytes() {
    let mut config = ServerConfig::default();
    config.window = usize::MAX;
    config.inbox_messages = usize::MAX;
    config.inbox_bytes = 100_000;
    let mut pair = Pair::bound_with(client_config(), config);
    pair.server_polls = false;
    let mut fed = 0;
    while pair.server.wants_input() {
        let text = "x".repeat(4_000);
        pair.server_reads(&gcm(&format!(
            r#"{{"message_id":"{fed}","to":"T","data":{{"a":"{text}"}}}}"#
        )));
        fed += 1;
        assert!(fed <= 25, "the bound holds");
    }
    pair.server_polls = true;
    pair.collect();
    assert_eq!(pair.downstreams().len(), fed);
    assert!(pair.server.wants_input());
}

#[test]
fn p3_acks_of_what_was_not_sent_are_answered_a_thousand_times_a_minute() {
    let mut attacked = At::ServerBound.open();
    let at_406 = |attacked: &mut super::attacked::Attacked, from: usize, to: usize| {
        for id in from..to {
            assert_eq!(attacked.feed([ack(id).as_bytes()]), None, "{id}");
        }
        attacked.said().matches("<error code=\"406\"").count()
    };
    assert_eq!(at_406(&mut attacked, 0, 999), 999, "just under");
    assert_eq!(at_406(&mut attacked, 999, 1_000), 1, "at it");
    // The next minute has its own.
    attacked.pair.now = attacked.pair.now + Duration::from_secs(60);
    assert_eq!(at_406(&mut attacked, 0, 1_000), 1_000);
    let error = attacked.feed([ack(1_000).as_bytes()]);
    let said = attacked.said();
    let words = "more than 1000 acks of messages not sent over this connection within a minute";
    Outcome { error, said }.is_told(&PolicyViolation, words);
    let refused = attacked.pair.server_events.iter();
    let refused = refused.filter(|event| matches!(event, ServerEvent::Refused { .. }));
    assert_eq!(refused.count(), 2_000);
}

#[test]
fn p3_a_storm_of_answers_costs_the_app_server_nothing() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    let mark = pair.upwards.mark();
    for n in 0..5_000 {
        pair.client_reads(&answer("ack", &format!("x-{n}")));
    }
    pair.drive();
    assert_eq!(unknown_answers(&mut pair), 5_000);
    assert_eq!(pair.upwards.since(mark), "", "nothing is answered");
    assert_eq!(pair.client.in_flight(), 1);
}
