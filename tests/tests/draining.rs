//! Draining: nothing new is sent, everything under way is finished, and the endpoint closes.

use std::time::Duration;

use ccs_proto::message::NackCode;
use ccs_proto::{Blocked, ConnectionError, NotSent, ServerConfig, ServerEvent};
use ccs_tests::pair::{Pair, client_config, message, upstream};

const CONTROL: &str = "<message><data:gcm xmlns:data=\"google:mobile:data\">\
     {\"message_type\":\"control\",\"control_type\":\"CONNECTION_DRAINING\"}</data:gcm></message>";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A pair with `n` messages in flight and one more that is accepted and not written, told to drain.
fn draining_with(n: usize) -> Pair {
    let mut config = client_config();
    config.window = 101;
    let mut pair = Pair::bound_with(config, ServerConfig::default());
    for id in 0..n {
        pair.send(&format!("m-{id}"));
    }
    pair.server.drain(pair.now);
    pair.upwards.open = false;
    pair.accept("unsent");
    pair.drive();
    pair.upwards.open = true;
    pair.drive();
    pair
}

#[test]
fn a_drain_finishes_what_is_in_flight_and_sends_nothing_new() {
    for n in [0, 1, 99] {
        let mut pair = draining_with(n);
        assert_eq!(pair.client_log(), ["draining"]);
        assert_eq!(pair.client.reserve().unwrap_err(), Blocked::Draining);
        assert_eq!(pair.client.capacity(), 0);
        assert_eq!(pair.client.take_unsent(), [message("unsent")]);
        assert_eq!(pair.client.in_flight(), n);
        assert_eq!(pair.server.unanswered(), n, "the unsent one was not sent");
        pair.ack_downstreams();
        assert_eq!(pair.client_log().len(), n);
        pair.advance(seconds(1));
        assert_eq!(pair.client_log(), ["closed"]);
        assert_eq!(pair.server_log(), ["closed"]);
    }
}

#[test]
fn a_whole_window_in_flight_survives_a_drain() {
    let mut pair = Pair::bound();
    for id in 0..100 {
        pair.send(&format!("m-{id}"));
    }
    pair.server.drain(pair.now);
    pair.drive();
    pair.advance(seconds(30));
    assert_eq!(pair.client_log(), ["draining"], "nobody has given up");
    pair.ack_downstreams();
    let log = pair.client_log();
    assert_eq!(log.len(), 100);
    assert!(log.iter().all(|words| words.starts_with("accepted")));
    pair.advance(Duration::ZERO);
    assert_eq!(pair.server_log(), ["closed"], "at once, the linger is over");
}

#[test]
fn acks_go_on_both_ways_while_it_drains() {
    let mut pair = Pair::bound();
    pair.server.send(upstream("u-1")).unwrap();
    pair.send("m-1");
    pair.server.drain(pair.now);
    pair.server.send(upstream("u-2")).unwrap();
    pair.drive();
    for token in pair.ack_tokens() {
        pair.client.ack(token).unwrap();
    }
    pair.ack_downstreams();
    assert_eq!(pair.client_log(), ["draining", "accepted m-1"]);
    assert_eq!(pair.server_log(), ["acked u-1", "acked u-2"]);
}

#[test]
fn the_server_waits_for_acks_and_closes_by_itself_when_the_last_is_there() {
    let mut pair = Pair::bound();
    pair.server.send(upstream("u-1")).unwrap();
    pair.drive();
    pair.server.drain(pair.now);
    pair.advance(seconds(40));
    assert!(!pair.server.is_closed());
    for token in pair.ack_tokens() {
        pair.client.ack(token).unwrap();
    }
    pair.advance(Duration::ZERO);
    assert_eq!(pair.client.end(), Some(Ok(())));
    assert_eq!(pair.server.end(), Some(Ok(())));
}

#[test]
fn a_drain_that_nobody_finishes_ends_after_its_time() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    let tokens = pair.answer_tokens();
    pair.server.drain(pair.now);
    pair.advance(Duration::from_millis(59_999));
    assert!(!pair.server.is_closed());
    pair.advance(Duration::from_millis(1));
    assert_eq!(pair.server.end(), Some(Ok(())));
    assert_eq!(
        pair.client.take_unanswered(),
        [message("m-1")],
        "unknown, not lost"
    );
    assert_eq!(tokens.len(), 1);
}

#[test]
fn a_message_that_crosses_the_drain_is_refused_by_its_code() {
    let mut pair = Pair::bound();
    pair.server.drain(pair.now);
    pair.accept("m-1");
    pair.drive();
    assert_eq!(
        pair.client_log(),
        ["draining", "refused m-1 CONNECTION_DRAINING"]
    );
    assert_eq!(pair.server_log(), ["refused m-1 CONNECTION_DRAINING"]);
}

#[test]
fn a_draining_nack_alone_drains_as_well() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.send("m-2");
    let mut tokens = pair.answer_tokens();
    let first = tokens.remove(0);
    pair.server
        .nack(first, &NackCode::ConnectionDraining, "")
        .unwrap();
    pair.drive();
    assert_eq!(
        pair.client_log(),
        ["draining", "refused m-1 CONNECTION_DRAINING"]
    );
    assert_eq!(pair.client.reserve().unwrap_err(), Blocked::Draining);
    pair.server.ack(tokens.remove(0), None).unwrap();
    pair.client_reads(CONTROL);
    pair.drive();
    assert_eq!(pair.client_log(), ["accepted m-2"], "and is reported once");
}

#[test]
fn a_client_gives_a_drained_connection_up_when_the_server_never_closes() {
    let mut pair = Pair::bound();
    pair.client_reads(CONTROL);
    pair.advance(seconds(15 * 60) - Duration::from_millis(1));
    assert!(!pair.client.is_closed());
    pair.advance(Duration::from_millis(1));
    let after = seconds(15 * 60);
    assert_eq!(
        pair.client.end(),
        Some(Err(ConnectionError::DrainTimeout { after }))
    );
}

#[test]
fn draining_twice_says_it_once() {
    let mut pair = Pair::bound();
    let mark = pair.downwards.mark();
    pair.server.drain(pair.now);
    pair.server.drain(pair.now);
    pair.drive();
    assert_eq!(
        pair.downwards
            .since(mark)
            .matches("CONNECTION_DRAINING")
            .count(),
        1
    );
}

#[test]
fn upstream_messages_that_a_drain_leaves_come_back() {
    let mut pair = Pair::bound();
    pair.server.send(upstream("u-1")).unwrap();
    pair.drive();
    drop(pair.ack_tokens());
    pair.server.drain(pair.now);
    assert_eq!(pair.server.take_unacked(), [], "its ack may still come");
    pair.advance(seconds(60));
    assert!(matches!(
        pair.server.send(upstream("u-2")),
        Err(NotSent::Closed(_))
    ));
    assert!(matches!(
        pair.server_events[..],
        [ServerEvent::AckOverdue { .. }, ServerEvent::Closed(Ok(()))]
    ));
    assert_eq!(pair.server.take_unacked(), [upstream("u-1")]);
}
