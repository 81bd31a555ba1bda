//! What an endpoint with many connections asks of one: to send again, to change its windows, to say what is in doubt.

use std::time::Duration;

use ccs_proto::message::Upstream;
use ccs_proto::{ConnectionError, ServerConfig};
use ccs_tests::pair::{Pair, client_config, receipt, upstream};

/// A pair in which the client has the message `u` in flight once.
fn with_u() -> Pair {
    let mut pair = Pair::bound();
    pair.server.send(upstream("u")).unwrap();
    pair.drive();
    pair
}

fn send_again(pair: &mut Pair, from: &str, id: &str) -> bool {
    let sent = pair.server.send_again(&from.into(), &id.into());
    pair.drive();
    sent
}

#[test]
fn a_message_is_written_once_more_and_its_first_ack_settles_it() {
    let mut pair = with_u();
    assert!(send_again(&mut pair, "phone-1", "u"));
    let mut tokens = pair.ack_tokens();
    assert_eq!(tokens.len(), 2);
    assert_eq!(pair.server.in_flight(), 1, "one place");
    pair.client.ack(tokens.remove(0)).unwrap();
    pair.drive();
    assert_eq!(pair.server_log(), ["acked u"]);
    assert_eq!(pair.server.in_flight(), 0);
    assert!(!send_again(&mut pair, "phone-1", "u"), "it is settled");
    pair.client.ack(tokens.remove(0)).unwrap();
    pair.drive();
    assert!(pair.server_log().is_empty(), "each copy may be acked");
    assert!(pair.client_log().is_empty());
}

#[test]
fn the_ack_of_a_copy_settles_no_other_device_s_message_of_that_id() {
    let mut pair = with_u();
    assert!(send_again(&mut pair, "phone-1", "u"));
    let mut tokens = pair.ack_tokens();
    pair.client.ack(tokens.remove(0)).unwrap();
    pair.drive();
    pair.server.send(Upstream::new("phone-2", "u")).unwrap();
    pair.drive();
    pair.client.ack(tokens.remove(0)).unwrap();
    pair.drive();
    assert_eq!(pair.server.in_flight(), 1);
    let token = pair.ack_tokens().remove(0);
    pair.client.ack(token).unwrap();
    pair.drive();
    assert_eq!(pair.server.in_flight(), 0);
}

#[test]
fn one_ack_more_than_there_were_copies_is_refused() {
    let mut pair = with_u();
    assert!(send_again(&mut pair, "phone-1", "u"));
    for token in pair.ack_tokens() {
        pair.client.ack(token).unwrap();
    }
    pair.drive();
    pair.server_log();
    let ack = r#"{"to":"phone-1","message_id":"u","message_type":"ack"}"#;
    let stanza = format!("<message><gcm xmlns=\"google:mobile:data\">{ack}</gcm></message>");
    pair.server_reads(&stanza);
    let log = pair.server_log();
    assert!(log[0].starts_with("refused u "), "{log:?}");
}

#[test]
fn only_what_is_in_flight_here_is_written_once_more() {
    let mut pair = with_u();
    let mark = pair.downwards.mark();
    assert!(!send_again(&mut pair, "phone-1", "other"));
    assert!(!send_again(&mut pair, "phone-2", "u"), "another device's");
    pair.server.send(upstream("unwritten")).unwrap();
    let (from, id) = ("phone-1".into(), "unwritten".into());
    assert!(!pair.server.send_again(&from, &id), "it goes out anyway");
    pair.drive();
    assert_eq!(pair.downwards.since(mark).matches("<message ").count(), 1);
    pair.server.close(pair.now);
    assert!(!send_again(&mut pair, "phone-1", "u"));
}

#[test]
fn what_is_acked_before_it_was_written_once_more_is_not_written() {
    let mut pair = with_u();
    pair.downwards.open = false;
    assert!(send_again(&mut pair, "phone-1", "u"));
    let mark = pair.downwards.mark();
    for token in pair.ack_tokens() {
        pair.client.ack(token).unwrap();
    }
    pair.drive();
    pair.downwards.open = true;
    pair.drive();
    assert_eq!(pair.downwards.since(mark), "");
}

#[test]
fn a_connection_that_drains_writes_once_more_too() {
    let mut pair = with_u();
    pair.server.drain(pair.now);
    assert!(send_again(&mut pair, "phone-1", "u"));
    assert_eq!(pair.ack_tokens().len(), 2);
}

#[test]
fn windows_change_and_what_is_beyond_them_stays() {
    let mut config = ServerConfig::default();
    config.upstream_window = 2;
    config.window = 1;
    let mut pair = Pair::bound_with(client_config(), config);
    for id in ["a", "b"] {
        pair.server.send(upstream(id)).unwrap();
    }
    pair.drive();
    pair.server.set_windows(3, 1);
    assert_eq!((pair.server.capacity(), pair.server.in_flight()), (0, 2));
    let mut tokens = pair.ack_tokens();
    pair.client.ack(tokens.remove(0)).unwrap();
    pair.drive();
    assert_eq!(pair.server.capacity(), 0, "one is left of one");
    pair.client.ack(tokens.remove(0)).unwrap();
    pair.drive();
    assert_eq!(pair.server.capacity(), 1);
    for id in ["1", "2", "3"] {
        pair.send(id);
        assert!(pair.server.wants_input() || id == "3", "{id}");
    }
    assert_eq!(pair.server.unanswered(), 3);
}

#[test]
fn a_window_that_grows_lets_the_connection_read_on() {
    let mut config = ServerConfig::default();
    config.window = 1;
    let mut pair = Pair::bound_with(client_config(), config);
    for id in ["1", "2", "3"] {
        pair.send(id);
    }
    assert!(!pair.server.wants_input());
    assert_eq!(pair.server.unanswered(), 2);
    pair.server.set_windows(100, 100);
    pair.drive();
    assert_eq!(pair.server.unanswered(), 3);
}

/// What is in doubt when the transport fails now.
fn unconfirmed(mut pair: Pair) -> Vec<String> {
    assert!(pair.server.take_unconfirmed().is_empty(), "it is not over");
    pair.server.transport_failed(pair.now, "reset by peer");
    let ids = pair.server.take_unconfirmed();
    assert!(pair.server.take_unconfirmed().is_empty(), "told once");
    ids.iter()
        .map(|acked| acked.message_id.to_string())
        .collect()
}

#[test]
fn the_acks_of_a_window_are_in_doubt_whatever_came() {
    let mut config = ServerConfig::default();
    config.window = 2;
    let mut pair = Pair::bound_with(client_config(), config);
    for id in ["1", "2", "3"] {
        pair.send(id);
        pair.ack_downstreams();
    }
    pair.send("not answered");
    assert_eq!(
        unconfirmed(pair),
        ["2", "3"],
        "the fourth came with two read"
    );
}

#[test]
fn an_ack_is_not_in_doubt_when_something_came_a_minute_later() {
    let mut pair = Pair::bound();
    pair.send("1");
    pair.ack_downstreams();
    pair.advance(Duration::from_secs(60));
    pair.send("2");
    pair.ack_downstreams();
    assert_eq!(unconfirmed(pair), ["2"]);
}

#[test]
fn an_ack_that_was_not_written_is_in_doubt_whatever_came() {
    let mut pair = Pair::bound();
    pair.send("1");
    pair.downwards.open = false;
    pair.ack_downstreams();
    pair.send("2");
    assert_eq!(unconfirmed(pair), ["1"]);
}

#[test]
fn refused_and_unanswered_messages_are_not_in_doubt() {
    let mut pair = Pair::bound();
    pair.send("refused");
    pair.send("unanswered");
    let token = pair.answer_tokens().remove(0);
    let code = ccs_proto::message::NackCode::BadRegistration;
    pair.server.nack(token, &code, "").unwrap();
    pair.drive();
    assert!(unconfirmed(pair).is_empty());
}

#[test]
fn the_end_of_the_stream_confirms_what_was_acked_before_it() {
    let mut pair = Pair::bound();
    pair.send("1");
    pair.ack_downstreams();
    pair.client.close(pair.now);
    pair.drive();
    assert_eq!(pair.server.end(), Some(Ok(())));
    assert!(pair.server.take_unconfirmed().is_empty());
}

#[test]
fn a_client_that_says_nothing_more_leaves_its_acks_in_doubt() {
    let mut pair = Pair::bound();
    pair.send("1");
    pair.ack_downstreams();
    let _ = pair.server.receive_eof(pair.now);
    assert_eq!(pair.server.end(), Some(Err(ConnectionError::UnexpectedEof)));
    let [acked] = pair.server.take_unconfirmed().try_into().unwrap();
    assert_eq!(acked.message_id, "1".into());
}

/// Found by the simulator (seed 39431).
#[test]
fn however_many_copies_there_are_each_may_be_acked() {
    let mut pair = with_u();
    for _ in 0..1_100 {
        assert!(send_again(&mut pair, "phone-1", "u"));
    }
    for token in pair.ack_tokens() {
        pair.client.ack(token).unwrap();
        pair.drive();
    }
    assert_eq!(pair.server_log(), ["acked u"]);
}

#[test]
fn receipts_that_were_never_sent_come_back_when_the_connection_is_over() {
    let mut pair = Pair::bound();
    pair.server.send_receipt(receipt("sent")).unwrap();
    pair.drive();
    pair.server.send_receipt(receipt("unsent")).unwrap();
    assert!(pair.server.take_unsent_receipts().is_empty(), "it may go");
    pair.server.transport_failed(pair.now, "cut");
    let unsent = pair.server.take_unsent_receipts();
    assert_eq!(unsent, [receipt("unsent")]);
    assert!(pair.server.take_unsent_receipts().is_empty());
}
