//! Upstream messages and receipts: who acks what, where, and how often.

use std::time::Duration;

use ccs_proto::message::{Data, Receipt, Upstream};
use ccs_proto::{AckError, ClientEvent, ConnectionId, Habit, NotSent, ServerConfig, ServerEvent};
use ccs_tests::pair::{Pair, client_config, receipt, upstream};

fn server_sends(pair: &mut Pair, id: &str) {
    pair.server.send(upstream(id)).unwrap();
    pair.drive();
}

fn ack(id: &str, to: &str) -> String {
    format!(
        "<message><gcm xmlns=\"google:mobile:data\">{{\"to\":\"{to}\",\"message_id\":\"{id}\",\
         \"message_type\":\"ack\"}}</gcm></message>"
    )
}

#[test]
fn an_upstream_message_is_acked_when_its_token_is_spent_and_not_before() {
    let mut pair = Pair::bound();
    let mark = pair.upwards.mark();
    server_sends(&mut pair, "u-1");
    assert_eq!(pair.upwards.since(mark), "");
    let token = pair.ack_tokens().pop().unwrap();
    assert_eq!(token.connection(), ConnectionId(1));
    pair.client.ack(token).unwrap();
    pair.drive();
    assert_eq!(pair.server_log(), ["acked u-1"]);
    assert_eq!((pair.client.unacked(), pair.server.in_flight()), (0, 0));
}

#[test]
fn an_upstream_message_arrives_with_everything_that_it_says() {
    let sent = Upstream::new("phone-1", "u-1")
        .with_category("com.example.app")
        .with_data(Data::new().with("action", "ECHO <&>"))
        .with_time_to_live(86_400);
    let mut pair = Pair::bound();
    pair.server.send(sent.clone()).unwrap();
    pair.drive();
    let [ClientEvent::Upstream { message, .. }] = &pair.client_events[..] else {
        panic!("{:?}", pair.client_events);
    };
    assert_eq!(*message, sent);
    assert_eq!(message.body(), sent.body());
}

#[test]
fn a_token_of_another_connection_comes_back_and_is_good_there() {
    let mut here = Pair::bound();
    server_sends(&mut here, "u-1");
    let token = here.ack_tokens().pop().unwrap();
    let mut there = ccs_proto::ClientConnection::new(
        client_config().into(),
        ConnectionId(7),
        ccs_proto::TransportSecurity::VerifiedTls,
        here.now,
    );
    let AckError::Foreign(token) = there.ack(token).unwrap_err() else {
        panic!("the connection is open");
    };
    here.client.ack(token).unwrap();
    here.drive();
    assert_eq!(here.server_log(), ["acked u-1"]);
}

#[test]
fn a_dropped_token_keeps_its_place_in_the_senders_window() {
    let server = with_upstream_window(2);
    let mut pair = Pair::bound_with(client_config(), server);
    server_sends(&mut pair, "u-1");
    server_sends(&mut pair, "u-2");
    drop(pair.ack_tokens());
    pair.advance(Duration::from_secs(600));
    assert_eq!(pair.client.unacked(), 2);
    let refused = pair.server.send(upstream("u-3")).unwrap_err();
    assert_eq!(refused, NotSent::WindowFull(Box::new(upstream("u-3"))));
}

fn with_upstream_window(window: usize) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.upstream_window = window;
    config
}

#[test]
fn both_ends_say_once_that_an_ack_is_overdue() {
    let mut pair = Pair::bound();
    server_sends(&mut pair, "u-1");
    pair.advance(Duration::from_secs(1));
    server_sends(&mut pair, "u-2");
    let mut tokens = pair.ack_tokens();
    pair.advance(Duration::from_millis(58_999));
    assert_eq!(pair.client_log(), [""; 0]);
    pair.advance(Duration::from_millis(1));
    assert_eq!(pair.client_log(), ["overdue u-1"]);
    assert_eq!(pair.server_log(), ["overdue u-1"]);
    pair.client.ack(tokens.pop().unwrap()).unwrap();
    pair.advance(Duration::from_secs(600));
    assert_eq!(pair.client_log(), [""; 0]);
    assert_eq!(pair.server_log(), ["acked u-2"]);
    pair.client.ack(tokens.pop().unwrap()).unwrap();
    pair.drive();
    assert_eq!(pair.server_log(), ["acked u-1"], "overdue is not lost");
}

#[test]
fn acks_go_out_while_the_window_is_full() {
    let mut pair = Pair::bound();
    for n in 0..100 {
        pair.send(&format!("m-{n}"));
    }
    pair.server_events.clear();
    server_sends(&mut pair, "u-1");
    let token = pair.ack_tokens().pop().unwrap();
    pair.client.ack(token).unwrap();
    let mark = pair.upwards.mark();
    pair.drive();
    assert!(
        pair.upwards
            .since(mark)
            .contains("\"message_type\":\"ack\"")
    );
}

#[test]
fn devices_that_chose_the_same_id_are_told_apart() {
    let mut pair = Pair::bound();
    pair.server.send(Upstream::new("phone-1", "1")).unwrap();
    pair.server.send(Upstream::new("phone-2", "1")).unwrap();
    let again = pair.server.send(Upstream::new("phone-2", "1")).unwrap_err();
    assert!(matches!(again, NotSent::Duplicate(_)));
    pair.drive();
    let second = pair.ack_tokens().pop().unwrap();
    pair.client.ack(second).unwrap();
    pair.drive();
    let [ServerEvent::Acked(message)] = &pair.server_events[..] else {
        panic!("{:?}", pair.server_events);
    };
    assert_eq!(message.from().as_str(), "phone-2");
}

#[test]
fn an_ack_to_the_wrong_device_settles_by_its_id() {
    let mut pair = Pair::bound();
    server_sends(&mut pair, "u-1");
    pair.server_reads(&ack("u-1", "somebody else"));
    assert_eq!(pair.server_log(), ["acked u-1"]);
}

#[test]
fn a_receipt_is_acked_under_its_own_id_to_where_it_came_from() {
    let mut pair = Pair::bound();
    pair.server.send_receipt(receipt("m-1")).unwrap();
    pair.drive();
    let [ClientEvent::Receipt { receipt: got, .. }] = &pair.client_events[..] else {
        panic!("{:?}", pair.client_events);
    };
    assert_eq!(*got, receipt("m-1"));
    let token = pair.ack_tokens().pop().unwrap();
    pair.client.ack(token).unwrap();
    let mark = pair.upwards.mark();
    pair.drive();
    let acked =
        "{\"to\":\"gcm.googleapis.com\",\"message_id\":\"dr2:m-1\",\"message_type\":\"ack\"}";
    assert!(pair.upwards.since(mark).contains(acked));
    assert_eq!(pair.server_log(), ["acked dr2:m-1"]);
}

#[test]
fn a_receipt_is_settled_by_every_form_of_ack_that_clients_send() {
    for (id, to) in [
        ("dr2:m-1", "gcm.googleapis.com"),
        ("m-1", "gcm.googleapis.com"),
        ("dr2:m-1", "phone-1"),
        ("m-1", "phone-1"),
    ] {
        let mut pair = Pair::bound();
        pair.server.send_receipt(receipt("m-1")).unwrap();
        pair.drive();
        pair.server_reads(&ack(id, to));
        assert_eq!(pair.server_log(), ["acked dr2:m-1"], "{id} {to}");
    }
}

#[test]
fn the_ack_of_a_message_is_not_taken_for_that_of_a_receipt() {
    let mut pair = Pair::bound();
    pair.server.send_receipt(receipt("1")).unwrap();
    server_sends(&mut pair, "1");
    pair.server_reads(&ack("1", "phone-1"));
    assert_eq!(pair.server_log(), ["acked 1"]);
    pair.server_reads(&ack("1", "gcm.googleapis.com"));
    assert_eq!(pair.server_log(), ["acked dr2:1"]);
}

#[test]
fn receipts_that_nobody_acks_block_nothing() {
    let mut pair = Pair::bound_with(client_config(), with_upstream_window(3));
    for n in 0..50 {
        pair.server
            .send_receipt(receipt(&format!("m-{n}")))
            .unwrap();
        pair.drive();
    }
    assert_eq!(
        pair.server.capacity(),
        3,
        "messages have a window of their own"
    );
    let tokens = pair.ack_tokens();
    assert_eq!(tokens.len(), 50);
    for token in tokens {
        pair.client.ack(token).unwrap();
    }
    pair.drive();
    let late = Habit::LateReceiptAck {
        message_id: "dr2:m-0".into(),
    };
    let log = pair.server_log();
    assert_eq!(log[0], format!("ignored {late:?}"));
    assert_eq!(
        log[47..],
        ["acked dr2:m-47", "acked dr2:m-48", "acked dr2:m-49"]
    );
}

#[test]
fn receipts_wait_to_be_written_beyond_the_window_and_a_newer_one_is_refused_at_last() {
    let mut pair = Pair::bound_with(client_config(), with_upstream_window(1));
    pair.downwards.open = false;
    let send = |n: usize| pair.server.send_receipt(receipt(&format!("m-{n}")));
    let results: Vec<Result<(), NotSent<Receipt>>> = (0..1_100).map(send).collect();
    let taken = results.iter().take_while(|result| result.is_ok()).count();
    assert!((1_000..1_100).contains(&taken), "{taken}");
    assert!(matches!(&results[taken], Err(NotSent::WindowFull(_))));
    pair.downwards.open = true;
    pair.drive();
    let mut arrived = pair.ack_tokens().len();
    // The client stopped reading at its own bound.
    pair.drive();
    arrived += pair.ack_tokens().len();
    assert_eq!(arrived, taken, "none was forgotten for another");
}

#[test]
fn an_ack_of_what_was_not_sent_here_comes_back_as_406_and_frees_nothing() {
    let mut pair = Pair::bound();
    server_sends(&mut pair, "u-1");
    let mark = pair.downwards.mark();
    pair.server_reads(&ack("u-2", "phone-1"));
    pair.drive();
    let said = pair.downwards.since(mark);
    assert!(
        said.contains("code=\"406\"") && said.contains("not-acceptable"),
        "{said}"
    );
    let words = "Received acks for messages not sent over this connection";
    assert!(said.contains(words), "{said}");
    assert_eq!(pair.server_log(), [format!("refused u-2 {words}")]);
    assert_eq!(pair.server.in_flight(), 1);
    pair.server_reads(&ack("u-1", "phone-1"));
    pair.server_reads(&ack("u-1", "phone-1"));
    assert_eq!(
        pair.server_log(),
        ["acked u-1".to_owned(), format!("refused u-1 {words}")]
    );
}

#[test]
fn an_ack_without_a_target_is_a_bad_ack() {
    let mut pair = Pair::bound();
    server_sends(&mut pair, "u-1");
    pair.server_reads(&ack("u-1", "phone-1").replace("\"to\"", "\"too\""));
    let log = pair.server_log();
    assert!(log[0].starts_with("refused u-1 BAD_ACK"), "{log:?}");
    assert_eq!(pair.server.in_flight(), 1);
}

#[test]
fn a_nack_of_the_client_is_no_ack() {
    let mut pair = Pair::bound();
    server_sends(&mut pair, "u-1");
    let mark = pair.downwards.mark();
    pair.server_reads(&ack("u-1", "phone-1").replace("\"ack\"", "\"nack\""));
    pair.drive();
    let habit = Habit::Nack {
        message_id: "u-1".into(),
    };
    assert_eq!(pair.server_log(), [format!("ignored {habit:?}")]);
    assert_eq!(pair.server.in_flight(), 1);
    assert_eq!(pair.downwards.since(mark), "", "and has no answer");
}
