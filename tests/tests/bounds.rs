//! What must not grow without end, be lost from the books, or be taken for the peer's fault.
#![allow(missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccs_proto::{
    AckError, AnswerError, ClientEvent, ConnectionError, ConnectionId, Habit, Nonce, ServerConfig,
    ServerConnection, ServerEvent, Tap, Time,
};
use ccs_tests::pair::{Pair, client_config, message, receipt, upstream};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn stanza(json: &str) -> String {
    format!("<message><gcm xmlns=\"google:mobile:data\">{json}</gcm></message>")
}

#[test]
fn a_peer_that_ignores_the_window_fills_no_book_without_end() {
    let mut config = client_config();
    config.inbox_messages = 10;
    let mut pair = Pair::bound_with(config, ServerConfig::default());
    let mut taken = 0;
    while pair.client.wants_input() {
        let next = stanza(&format!("{{\"from\":\"T\",\"message_id\":\"u-{taken}\"}}"));
        pair.client.receive(pair.now, next.as_bytes()).unwrap();
        // Taken, and the token dropped: not acked.
        assert!(matches!(
            pair.client.poll_event(),
            Some(ClientEvent::Upstream { .. })
        ));
        taken += 1;
        assert!(taken <= 20, "twice the inbox");
    }
    assert_eq!(pair.client.unacked(), 20);
    pair.advance(seconds(30));
    assert!(matches!(
        pair.client.end(),
        Some(Err(ConnectionError::Protocol { .. }))
    ));
}

#[test]
fn acks_are_read_behind_a_window_that_is_just_full() {
    let mut server = ServerConfig::default();
    server.window = 3;
    server.upstream_window = 1;
    let mut config = client_config();
    config.window = 3;
    let mut pair = Pair::bound_with(config, server);
    for n in 0..3 {
        pair.send(&format!("m-{n}"));
    }
    pair.server.send(upstream("u-1")).unwrap();
    pair.drive();
    for token in pair.ack_tokens() {
        pair.client.ack(token).unwrap();
    }
    pair.drive();
    assert_eq!(pair.server.unanswered(), 3, "nothing was answered yet");
    assert_eq!(
        pair.server.capacity(),
        1,
        "and the ack was read all the same"
    );
}

#[test]
fn silence_while_nothing_is_read_is_not_the_peers() {
    let mut server = ServerConfig::default();
    server.window = 1;
    server.dead_after = Some(seconds(100));
    server.keep_alive = seconds(10);
    let mut config = client_config();
    config.ping_interval = seconds(30);
    let mut pair = Pair::bound_with(config, server);
    pair.upwards.chunk = 100;
    for n in 0..4 {
        pair.accept(&format!("m-{n}"));
    }
    pair.drive();
    let mut tokens = pair.answer_tokens();
    assert_eq!(tokens.len(), 2, "beyond the window nothing is read");
    pair.advance(seconds(250));
    assert!(pair.server.is_open(), "{:?}", pair.server.end());
    while !tokens.is_empty() {
        for token in tokens.drain(..) {
            pair.server.ack(token, None).unwrap();
        }
        pair.drive();
        tokens = pair.answer_tokens();
    }
    pair.advance(seconds(250));
    assert!(pair.server.is_open(), "it pings, so it lives");
}

#[test]
fn what_can_not_be_answered_any_more_stays_in_the_books() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.server.send(upstream("u-1")).unwrap();
    pair.drive();
    let ack = pair.ack_tokens().remove(0);
    let answer = pair.answer_tokens().remove(0);
    pair.client.transport_failed(pair.now, "pulled");
    pair.server.transport_failed(pair.now, "pulled");
    assert_eq!(pair.client.ack(ack), Err(AckError::Closed));
    assert_eq!(pair.server.ack(answer, None), Err(AnswerError::Closed));
    assert_eq!(pair.client.finish().unacked, 1);
    assert_eq!(pair.server.finish().unanswered.len(), 1);
}

#[test]
fn a_failed_transport_ends_a_connection_that_was_failing_already() {
    let mut pair = Pair::bound();
    let first = pair.client.receive(pair.now, b"<a></b>").unwrap_err();
    assert!(
        !pair.client.is_closed(),
        "the stream error is still to be written"
    );
    pair.client.transport_failed(pair.now, "pulled");
    assert_eq!(pair.client.end(), Some(Err(first)));
}

#[test]
fn the_late_ack_of_a_forgotten_receipt_is_known_in_either_form() {
    let mut config = ServerConfig::default();
    config.upstream_window = 2;
    let mut pair = Pair::bound_with(client_config(), config);
    for n in 0..4 {
        pair.server
            .send_receipt(receipt(&format!("m-{n}")))
            .unwrap();
        pair.drive();
    }
    let mark = pair.downwards.mark();
    for id in ["m-0", "dr2:m-1"] {
        let ack = format!(
            "{{\"to\":\"gcm.googleapis.com\",\"message_id\":\"{id}\",\"message_type\":\"ack\"}}"
        );
        pair.server_reads(&stanza(&ack));
        let last = pair.server_events.pop();
        assert!(
            matches!(
                last,
                Some(ServerEvent::Ignored(Habit::LateReceiptAck { .. }))
            ),
            "{last:?}"
        );
    }
    assert_eq!(pair.downwards.since(mark), "", "no 406");
}

#[test]
fn the_tap_shows_no_secret_that_is_said_in_the_wrong_place() {
    let seen = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&seen);
    let mut config = ServerConfig::default();
    config.tap = Some(Tap::new(move |_, _, stanza| {
        log.lock().unwrap().push_str(stanza);
    }));
    for misplaced in [
        "<auth mechanism='PLAIN'>SECRET</auth>",
        "<auth xmlns='urn:example' mechanism='PLAIN'>SECRET</auth>",
        "<iq type='set'><query xmlns='jabber:iq:auth'><password>SECRET</password></query></iq>",
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>SECRET</response>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X-OAUTH2'>SECRET</auth>",
    ] {
        let mut server = ServerConnection::new(
            Arc::new(config.clone()),
            ConnectionId(1),
            Nonce([1; 20]),
            Time::ZERO,
        );
        let header = "<stream:stream to='x' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>";
        server.receive(Time::ZERO, header.as_bytes()).unwrap();
        let _ = server.receive(Time::ZERO, misplaced.as_bytes());
    }
    let mut pair = Pair::bound_with(client_config(), config);
    pair.server_reads(
        "<iq type='set' id='1'><query xmlns='jabber:iq:auth'><password>SECRET</password></query></iq>",
    );
    let seen = seen.lock().unwrap();
    assert!(seen.contains("<stream:stream"), "it shows what it may");
    assert!(!seen.contains("SECRET"), "{seen}");
}

#[test]
fn a_place_taken_before_a_drain_is_checked_when_it_is_used() {
    let mut pair = Pair::bound();
    let place = pair.client.reserve().unwrap().keep();
    pair.server.drain(pair.now);
    pair.drive();
    let permit = pair.client.resume(place).unwrap();
    let back = permit.send(message("m-1")).unwrap_err();
    assert!(back.to_string().contains("drains"), "{back}");
    assert!(pair.client.take_unsent().is_empty());
}
