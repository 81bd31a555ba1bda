//! Deadlines, in virtual time.

use std::time::Duration;

use ccs_proto::{ClientConfig, ClientEvent, ConnectionError, ServerConfig, StreamCondition};
use ccs_tests::pair::{Pair, client_config, message, upstream};

const MILLISECOND: Duration = Duration::from_millis(1);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A server that never says anything by itself.
fn quiet_server() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.keep_alive = Duration::MAX;
    config
}

/// A client that never says anything by itself.
fn no_pings() -> ClientConfig {
    let mut config = client_config();
    config.ping_interval = Duration::MAX;
    config
}

fn pings(pair: &Pair) -> usize {
    pair.upwards.text().matches("<ping").count()
}

#[test]
fn a_silent_peer_is_pinged_and_its_answer_is_a_sign_of_life() {
    let mut pair = Pair::bound_with(client_config(), quiet_server());
    pair.advance(seconds(60) - MILLISECOND);
    assert_eq!(pings(&pair), 0);
    pair.advance(MILLISECOND);
    assert_eq!(pings(&pair), 1);
    let answer = "<iq type=\"result\" id=\"ping-1\"/>";
    assert!(pair.downwards.text().ends_with(answer));
    pair.advance(seconds(3600));
    assert_eq!(pings(&pair), 61);
    assert!(pair.client.is_bound() && pair.server.is_open());
}

#[test]
fn a_connection_that_speaks_both_ways_is_not_pinged() {
    let mut pair = Pair::bound_with(client_config(), quiet_server());
    for n in 0..10 {
        pair.advance(seconds(59));
        pair.server.send(upstream(&n.to_string())).unwrap();
        pair.drive();
        for token in pair.ack_tokens() {
            pair.client.ack(token).unwrap();
        }
        pair.drive();
    }
    assert_eq!(pings(&pair), 0);
}

#[test]
fn an_endpoint_that_keeps_alive_still_hears_from_a_silent_client() {
    let mut server = quiet_server();
    server.keep_alive = seconds(10);
    server.dead_after = Some(seconds(100));
    let mut pair = Pair::bound_with(client_config(), server);
    pair.advance(seconds(3600));
    assert!(pair.server.is_open(), "{:?}", pair.server.end());
    assert!(pings(&pair) >= 59);
}

#[test]
fn a_dead_peer_is_given_up_after_the_missed_pings() {
    let mut pair = Pair::bound_with(client_config(), quiet_server());
    pair.send("m-1");
    pair.downwards.open = false;
    pair.advance(seconds(180) - MILLISECOND);
    assert_eq!(pings(&pair), 2);
    assert!(!pair.client.is_closed());
    pair.advance(MILLISECOND);
    let after = seconds(180);
    assert_eq!(
        pair.client.end(),
        Some(Err(ConnectionError::PeerSilent { after }))
    );
    assert_eq!(pair.client.take_unanswered(), [message("m-1")]);
}

#[test]
fn a_client_answers_pings_and_refuses_other_requests() {
    let mut pair = Pair::bound();
    let mark = pair.upwards.mark();
    pair.client_reads("<iq type=\"get\" id=\"a\"><ping xmlns=\"urn:xmpp:ping\"/></iq>");
    pair.client_reads("<iq type=\"get\" id=\"b\"><query xmlns=\"jabber:iq:roster\"/></iq>");
    pair.drive();
    let said = pair.upwards.since(mark);
    assert!(
        said.starts_with("<iq type=\"result\" id=\"a\"/><iq type=\"error\" id=\"b\">"),
        "{said}"
    );
    assert!(said.contains("<service-unavailable"), "{said}");
}

#[test]
fn a_server_sends_one_space_after_its_own_silence_and_nothing_else() {
    let mut pair = Pair::bound_with(no_pings(), ServerConfig::default());
    pair.advance(seconds(30));
    pair.server.send(upstream("u-1")).unwrap();
    pair.drive();
    let mark = pair.downwards.mark();
    // The client speaks meanwhile, which is no reason to stay silent.
    pair.advance(seconds(20));
    for token in pair.ack_tokens() {
        pair.client.ack(token).unwrap();
    }
    pair.advance(seconds(40) - MILLISECOND);
    assert_eq!(pair.downwards.since(mark), "");
    pair.advance(MILLISECOND);
    assert_eq!(pair.downwards.since(mark), " ");
    pair.advance(seconds(60));
    assert_eq!(pair.downwards.since(mark), "  ");
}

#[test]
fn a_server_gives_a_silent_client_up_only_if_it_is_told_to() {
    let mut pair = Pair::bound_with(no_pings(), quiet_server());
    pair.advance(seconds(10 * 3600));
    assert!(pair.server.is_open());

    let mut config = quiet_server();
    config.dead_after = Some(seconds(600));
    let mut pair = Pair::bound_with(no_pings(), config);
    pair.advance(seconds(600));
    let after = seconds(600);
    assert_eq!(
        pair.server.end(),
        Some(Err(ConnectionError::PeerSilent { after }))
    );
}

#[test]
fn a_message_without_an_answer_costs_the_connection() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.advance(seconds(100));
    pair.send("m-2");
    let tokens = pair.answer_tokens();
    pair.advance(seconds(200) - MILLISECOND);
    assert!(!pair.client.is_closed());
    pair.advance(MILLISECOND);
    let end = Some(Err(ConnectionError::AnswerTimeout {
        message_id: "m-1".into(),
        after: seconds(300),
    }));
    assert_eq!(pair.client.end(), end);
    assert_eq!(
        pair.client.take_unanswered(),
        [message("m-1"), message("m-2")]
    );
    assert_eq!(tokens.len(), 2);
}

#[test]
fn an_answer_moves_the_answer_timeout_to_the_next_message() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.advance(seconds(100));
    pair.send("m-2");
    let mut tokens = pair.answer_tokens();
    pair.server.ack(tokens.remove(0), None).unwrap();
    pair.advance(seconds(300) - MILLISECOND);
    assert!(!pair.client.is_closed());
    pair.advance(MILLISECOND);
    assert!(pair.client.is_closed());
}

/// A pair whose client's inbox is full and not emptied.
fn overfull() -> Pair {
    let mut config = client_config();
    config.inbox_messages = 3;
    config.ack_overdue = Duration::MAX;
    let mut pair = Pair::bound_with(config, ServerConfig::default());
    pair.client_polls = false;
    for n in 0..3 {
        pair.server.send(upstream(&n.to_string())).unwrap();
    }
    pair.drive();
    assert!(!pair.client.wants_input());
    pair
}

fn is_policy_violation(pair: &Pair) -> bool {
    matches!(
        pair.client.end(),
        Some(Err(ConnectionError::Protocol {
            condition: StreamCondition::PolicyViolation,
            ..
        }))
    )
}

#[test]
fn an_inbox_that_stays_overfull_ends_the_connection_by_name() {
    let mut pair = overfull();
    pair.advance(seconds(30) - MILLISECOND);
    assert!(!pair.client.is_closed());
    pair.advance(MILLISECOND);
    assert!(is_policy_violation(&pair));
    assert!(
        pair.upwards
            .text()
            .contains("<stream:error><policy-violation")
    );
    pair.client_polls = true;
    pair.collect();
    let log = pair.client_log();
    assert_eq!(log[..3], ["upstream 0", "upstream 1", "upstream 2"]);
    assert!(log[3].starts_with("failed"), "{log:?}");
    assert_eq!(pair.server.take_unacked().len(), 3, "and they come again");
}

#[test]
fn an_inbox_that_is_emptied_in_time_ends_nothing() {
    let mut pair = overfull();
    pair.advance(seconds(29));
    let taken = pair.client.poll_event();
    assert!(matches!(taken, Some(ClientEvent::Upstream { .. })));
    pair.advance(seconds(120));
    assert!(!pair.client.is_closed());
}

#[test]
fn an_overfull_inbox_and_a_transport_that_takes_no_bytes_end_without_a_busy_loop() {
    let mut pair = overfull();
    pair.upwards.open = false;
    pair.advance(seconds(35) - MILLISECOND);
    assert!(!pair.client.is_closed());
    pair.advance(MILLISECOND);
    assert!(is_policy_violation(&pair));
}

#[test]
fn calling_early_does_nothing_and_calling_late_harms_nobody() {
    let mut pair = Pair::bound();
    let mark = (pair.upwards.mark(), pair.downwards.mark());
    for _ in 0..10 {
        pair.client.handle_timeout(pair.now);
        pair.server.handle_timeout(pair.now);
        pair.drive();
    }
    assert_eq!((pair.upwards.mark(), pair.downwards.mark()), mark);
    // However late the call comes, the peer is asked first, and has its time to answer.
    pair.now = pair.now + seconds(3600);
    pair.client.handle_timeout(pair.now);
    assert!(!pair.client.is_closed());
    pair.drive();
    let pings = pair.upwards.since(mark.0).matches("urn:xmpp:ping").count();
    assert_eq!(pings, 1);
    pair.advance(seconds(59));
    assert!(!pair.client.is_closed());
}

#[test]
fn an_idle_pair_lives_for_a_day() {
    let mut pair = Pair::bound();
    pair.advance(seconds(24 * 3600));
    pair.send("m-1");
    pair.ack_downstreams();
    assert_eq!(pair.client_log(), ["accepted m-1"]);
}
