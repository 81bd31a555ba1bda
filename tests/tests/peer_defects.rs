//! Defects of other CCS clients, none of which may ever be one here.
//!
//! Each test names the client in whose code or behaviour the defect was found. Those that only show over several
//! connections are in `tests/session/peer_defects.rs`.

use std::time::Duration;

use ccs_proto::message::{Downstream, NackCode, Retry};
use ccs_proto::{AckError, Blocked, ClientEvent, ConnectionError, Ignored, ServerConfig};
use ccs_tests::pair::{Pair, client_config, message, receipt, upstream};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn gcm(body: &str) -> String {
    format!("<message><gcm xmlns=\"google:mobile:data\">{body}</gcm></message>")
}

/// node-xcs, node-gcm-ccs, FCMStream, baudev: the notice is dropped for want of a message id, which it never has.
#[test]
fn a_draining_notice_needs_no_message_id_in_either_form() {
    let body = r#"{"message_type":"control","control_type":"CONNECTION_DRAINING"}"#;
    let prefixed =
        format!("<message><data:gcm xmlns:data=\"google:mobile:data\">{body}</data:gcm></message>");
    for notice in [gcm(body), prefixed] {
        let mut pair = Pair::bound();
        pair.client_reads(&notice);
        assert_eq!(pair.client_log(), ["draining"], "{notice}");
        assert_eq!(pair.client.reserve().unwrap_err(), Blocked::Draining);
    }
}

/// kik/go-gcm: its graceful close waits for nothing, so a drain loses what is in flight.
#[test]
fn a_drain_loses_no_message_in_flight() {
    let mut pair = Pair::bound();
    for n in 0..30 {
        pair.send(&format!("m-{n}"));
    }
    pair.server.drain(pair.now);
    pair.drive();
    pair.client.close(pair.now);
    pair.advance(seconds(20));
    let mut tokens = pair.answer_tokens().into_iter();
    for token in tokens.by_ref().take(10) {
        pair.server.ack(token, None).unwrap();
    }
    for token in tokens.by_ref().take(10) {
        pair.server
            .nack(token, &NackCode::ServiceUnavailable, "")
            .unwrap();
    }
    pair.advance(seconds(60));
    let log = pair.client_log();
    assert_eq!(
        log.iter()
            .filter(|words| words.starts_with("accepted"))
            .count(),
        10
    );
    assert_eq!(
        log.iter()
            .filter(|words| words.starts_with("refused"))
            .count(),
        10
    );
    assert_eq!(log.last().unwrap(), "closed");
    let unknown = pair.client.finish().unanswered;
    assert_eq!(
        unknown,
        (20..30)
            .map(|n| message(&format!("m-{n}")))
            .collect::<Vec<_>>()
    );
    assert_eq!(tokens.count(), 10);
}

/// google/go-gcm: a stray space in its table, so `INTERNAL_SERVER_ERROR` is never tried again.
#[test]
fn every_code_on_the_wire_has_its_own_way_to_go_on() {
    let after = |seconds| Duration::from_secs(seconds);
    let same = Retry::SameConnection { after: after(1) };
    let slow = Retry::SlowDown { after: after(60) };
    for (code, retry) in [
        ("INVALID_JSON", Retry::Never),
        ("BAD_REGISTRATION", Retry::Never),
        ("DEVICE_UNREGISTERED", Retry::Never),
        ("SENDER_ID_MISMATCH", Retry::Never),
        ("BAD_ACK", Retry::Never),
        ("INVALID_APNS_CREDENTIAL", Retry::Never),
        ("INVALID_TTL", Retry::Never),
        ("JSON_TYPE_ERROR", Retry::Never),
        ("SERVICE_UNAVAILABLE", same),
        ("INTERNAL_SERVER_ERROR", same),
        ("SOMETHING_NEW", same),
        ("DEVICE_MESSAGE_RATE_EXCEEDED", slow),
        ("TOPICS_MESSAGE_RATE_EXCEEDED", slow),
        ("QUOTA_EXCEEDED", slow),
        (
            "AUTHENTICATION_FAILED",
            Retry::NewConnection { after: after(300) },
        ),
        (
            "CONNECTION_DRAINING",
            Retry::NewConnection { after: after(0) },
        ),
    ] {
        let mut pair = Pair::bound();
        pair.send("m-1");
        pair.client_reads(&gcm(&format!(
            "{{\"message_type\":\"nack\",\"message_id\":\"m-1\",\"error\":\"{code}\"}}"
        )));
        let Some(ClientEvent::Answered { outcome, .. }) = pair.client_events.pop() else {
            panic!("{code}");
        };
        let ccs_proto::Outcome::Refused(nack) = outcome else {
            panic!("{code}");
        };
        assert_eq!((nack.code.as_str(), nack.code.retry()), (code, retry));
    }
}

/// google/go-gcm, node-gcm-ccs: acks are kept as messages that wait for an answer, so memory grows for ever.
#[test]
fn an_ack_waits_for_no_answer() {
    let mut pair = Pair::bound();
    for n in 0..500 {
        pair.server.send(upstream(&n.to_string())).unwrap();
        pair.drive();
        for token in pair.ack_tokens() {
            pair.client.ack(token).unwrap();
        }
        pair.drive();
    }
    assert_eq!((pair.client.in_flight(), pair.client.unacked()), (0, 0));
    assert_eq!(pair.client.capacity(), 100);
    pair.advance(seconds(600));
    assert!(pair.client.is_bound() && !pair.client.is_ending());
}

/// node-xcs, node-gcm-ccs, xmppgcm: what waited for the connection goes out in reverse.
#[test]
fn what_waits_goes_out_in_the_order_in_which_it_came() {
    let mut pair = Pair::new(client_config(), ServerConfig::default());
    for n in 1..=3 {
        pair.accept(&format!("m-{n}"));
    }
    pair.drive();
    assert_eq!(
        pair.server_log()[1..],
        ["downstream m-1", "downstream m-2", "downstream m-3"]
    );
}

/// node-xcs, fcmxmppserverv2, go-gcm, PHP, Erlang: the ack goes out before the handler ran, so a handler that fails
/// loses the message. Here nothing acks but spending the token, and dropping it does not.
#[test]
fn nothing_is_acked_before_its_token_is_spent() {
    let mut pair = Pair::bound();
    let mark = pair.upwards.mark();
    pair.server.send(upstream("u-1")).unwrap();
    pair.server.send_receipt(receipt("m-1")).unwrap();
    pair.drive();
    drop(pair.ack_tokens());
    pair.client.close(pair.now);
    pair.advance(seconds(60));
    assert_eq!(pair.upwards.since(mark), "</stream:stream>");
    assert_eq!(
        pair.server.take_unacked(),
        [upstream("u-1")],
        "it comes again"
    );
}

/// fcmxmppserverv2: an unknown message throws before it is acked. One connection must at least live on, ack the others,
/// and give the application the body that it could not read.
#[test]
fn a_message_that_cannot_be_read_stops_no_other() {
    let mut pair = Pair::bound();
    pair.client_reads(&gcm(r#"{"from":"phone-1","data":{"action":"NEW"}}"#));
    let Some(ClientEvent::Ignored(Ignored::Unreadable { body, .. })) = pair.client_events.pop()
    else {
        panic!("not reported");
    };
    assert!(body.contains("NEW"));
    pair.server.send(upstream("u-1")).unwrap();
    pair.drive();
    let token = pair.ack_tokens().pop().unwrap();
    pair.client.ack(token).unwrap();
    pair.drive();
    assert_eq!(pair.server_log(), ["acked u-1"]);
}

/// xmppgcm: its internal call leaves out most arguments, so upstream messages are never acked.
#[test]
fn an_upstream_message_is_acked_with_everything_that_the_ack_needs() {
    let mut pair = Pair::bound();
    pair.server.send(upstream("u-1")).unwrap();
    pair.drive();
    let token = pair.ack_tokens().pop().unwrap();
    let mark = pair.upwards.mark();
    pair.client.ack(token).unwrap();
    pair.drive();
    let body = r#"{"to":"phone-1","message_id":"u-1","message_type":"ack"}"#;
    assert!(pair.upwards.since(mark).contains(body));
}

/// node-xcs: 500 messages without an ack; aiofcm: 1,000. The window is no advice.
#[test]
fn no_more_than_the_window_is_ever_sent() {
    for window in [1, 100, 1_000] {
        let mut config = client_config();
        config.window = window;
        let mut server = ServerConfig::default();
        server.window = usize::MAX;
        let mut pair = Pair::bound_with(config, server);
        for n in 0..window {
            pair.accept(&format!("m-{n}"));
        }
        assert_eq!(pair.client.reserve().unwrap_err(), Blocked::WindowFull);
        pair.drive();
        assert_eq!(pair.server.unanswered(), window);
        assert_eq!(pair.client.reserve().unwrap_err(), Blocked::WindowFull);
    }
}

/// node-xcs: presence ends in a TypeError and bad JSON in an exception.
#[test]
fn foreign_stanzas_and_bad_json_end_nothing() {
    let mut pair = Pair::bound();
    for stanza in [
        "<presence/>",
        "<presence type=\"subscribe\" from=\"a@b\"/>",
        "<iq type=\"set\" id=\"1\"><x xmlns=\"y\"/></iq>",
        "<iq/>",
        "<message/>",
        "<message><body>hi</body></message>",
        &gcm(""),
        &gcm("not JSON"),
        &gcm("[]"),
        &gcm("{\"a\":1"),
        &gcm("{\"message_type\":7}"),
        &gcm("{\"message_type\":\"new\"}"),
        &gcm("{\"message_type\":\"control\",\"control_type\":\"NEW\"}"),
        &gcm("{\"message_type\":\"ack\"}"),
        &gcm("{\"message_type\":\"nack\",\"message_id\":\"m-1\"}"),
    ] {
        assert_eq!(
            pair.client.receive(pair.now, stanza.as_bytes()),
            Ok(()),
            "{stanza}"
        );
    }
    pair.drive();
    pair.send("m-1");
    pair.ack_downstreams();
    assert_eq!(pair.client_log().last().unwrap(), "accepted m-1");
}

/// GIMMM: after a drain its acks go to the new connection, where nobody knows the message.
#[test]
fn an_ack_goes_out_on_the_connection_that_the_message_came_by_or_nowhere() {
    let mut old = Pair::bound();
    old.server.send(upstream("u-1")).unwrap();
    old.server.drain(old.now);
    old.drive();
    let mut new = ccs_proto::ClientConnection::new(
        client_config().into(),
        ccs_proto::ConnectionId(3),
        ccs_proto::TransportSecurity::VerifiedTls,
        old.now,
    );
    let token = old.ack_tokens().pop().unwrap();
    let AckError::Foreign(token) = new.ack(token).unwrap_err() else {
        panic!("it is open");
    };
    old.client.ack(token).unwrap();
    old.drive();
    assert_eq!(old.server_log(), ["acked u-1"]);

    let mut gone = Pair::bound();
    gone.server.send(upstream("u-2")).unwrap();
    gone.drive();
    let token = gone.ack_tokens().pop().unwrap();
    gone.server.close(gone.now);
    gone.drive();
    assert_eq!(gone.client.ack(token), Err(AckError::Closed));
}

/// JAXL, openhab: acks, receipts and control messages are all acked, and the endpoint answers with errors.
#[test]
fn only_messages_and_receipts_can_be_acked() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.send("m-2");
    pair.server.send(upstream("u-1")).unwrap();
    pair.server.send_receipt(receipt("m-1")).unwrap();
    let mut tokens = pair.answer_tokens();
    let code = NackCode::BadRegistration;
    pair.server.nack(tokens.remove(0), &code, "").unwrap();
    pair.server.ack(tokens.remove(0), None).unwrap();
    pair.server.drain(pair.now);
    pair.drive();
    let tokens = pair.ack_tokens();
    assert_eq!(tokens.len(), 2, "one message and one receipt");
    for token in tokens {
        pair.client.ack(token).unwrap();
    }
    pair.drive();
    assert_eq!(pair.server_log(), ["acked u-1", "acked dr2:m-1"]);
    assert!(!pair.downwards.text().contains("type=\"error\""));
}

/// baudev: stanzas merge where a read ends within one.
#[test]
fn stanzas_stay_apart_wherever_a_read_ends() {
    let mut pair = Pair::bound();
    pair.downwards.chunk = 7;
    pair.upwards.chunk = 5;
    for id in ["u-1", "u-2", "u-3"] {
        pair.server.send(upstream(id)).unwrap();
    }
    pair.send("m-1");
    assert_eq!(
        pair.client_log(),
        ["upstream u-1", "upstream u-2", "upstream u-3"]
    );
    assert_eq!(pair.server_log(), ["downstream m-1"]);
}

/// baudev: the end of the transport makes it read nothing hundreds of times a second.
#[test]
fn the_end_of_the_transport_ends_reading() {
    let mut pair = Pair::bound();
    assert_eq!(
        pair.client.receive_eof(pair.now),
        Err(ConnectionError::UnexpectedEof)
    );
    assert!(pair.client.is_closed() && !pair.client.wants_input());
    assert_eq!(pair.client.poll_timeout(), None);
    assert!(
        !pair
            .client
            .poll_transmit(pair.now, &mut bytes::BytesMut::new())
    );
}

/// The article's sample, fcmxmppserverv2, RADAR-base, xmppgcm, Erlang: `<` and `&` in data go out as they are, and the
/// endpoint ends the stream; FCMStream then ends the whole process.
#[test]
fn no_text_of_the_application_can_break_the_stream() {
    let text = "</gcm></message></stream:stream> & <!-- ]]> \u{0}\u{fffe}";
    let mut pair = Pair::bound();
    let hostile = Downstream::to(text).data(text, text).collapse_key(text);
    let encoded = hostile.clone().encode(text).unwrap();
    pair.client.reserve().unwrap().send(encoded).unwrap();
    pair.drive();
    let (id, got, token) = pair.downstreams().pop().unwrap();
    assert_eq!((id.as_str(), got), (text, hostile));
    pair.server.ack(token, None).unwrap();
    pair.drive();
    assert_eq!(pair.client_log(), [format!("accepted {text}")]);
    assert!(!pair.client.is_ending());
}

/// Google's own documentation: its stream header closes itself, whereupon its endpoint silently closed. Ours says why.
#[test]
fn a_stream_header_is_never_written_closed_and_is_refused_by_name_when_it_is() {
    let mut pair = Pair::bound();
    let header = pair.upwards.text().split_inclusive('>').next().unwrap();
    assert!(header.starts_with("<stream:stream ") && !header.ends_with("/>"));
    let closed = header.replace('>', "/>");

    pair = Pair::new(client_config(), ServerConfig::default());
    pair.server_reads(&closed);
    pair.drive();
    assert!(pair.downwards.text().contains("<stream:error><invalid-xml"));
    assert!(matches!(
        pair.server.end(),
        Some(Err(ConnectionError::Protocol { .. }))
    ));
}
