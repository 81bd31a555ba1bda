//! How a connection ends, in order and otherwise, and what it leaves behind.

use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::{
    AckError, AnswerError, Blocked, ClientEvent, ConnectionError, ServerConfig, ServerEvent,
    StreamCondition,
};
use ccs_tests::pair::{Pair, client_config, message, receipt, upstream};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_client_that_closes_waits_for_its_answers_and_takes_nothing_new() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.accept("m-2");
    pair.client.close(pair.now);
    assert_eq!(pair.client.reserve().unwrap_err(), Blocked::Closed);
    pair.drive();
    assert!(!pair.client.is_closed());
    pair.ack_downstreams();
    assert_eq!(
        pair.client_log(),
        ["accepted m-1", "accepted m-2", "closed"]
    );
    assert_eq!(pair.server_log(), ["closed"]);
}

#[test]
fn a_client_that_closes_goes_on_receiving_and_acking() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.client.close(pair.now);
    pair.server.send(upstream("u-1")).unwrap();
    pair.drive();
    let token = pair.ack_tokens().pop().unwrap();
    pair.client.ack(token).unwrap();
    pair.ack_downstreams();
    assert_eq!(pair.server_log(), ["acked u-1", "closed"]);
}

/// Whoever gives up while the endpoint decides ends a stream that, for the endpoint, is over already (RFC 6120 §6.4.6).
#[test]
fn a_client_that_gives_up_its_login_ends_in_order_even_if_it_succeeds() {
    for crossing in [false, true] {
        let mut pair = Pair::new(client_config(), ServerConfig::default());
        pair.accepts = false;
        pair.drive();
        let Some(ServerEvent::Login(request)) = pair.server_events.pop() else {
            panic!("no login: {:?}", pair.server_events);
        };
        pair.client.close(pair.now);
        if !crossing {
            pair.drive();
        }
        pair.server.accept(pair.now, request).unwrap();
        pair.drive();
        assert_eq!(pair.client_log(), ["closed"], "crossing: {crossing}");
        assert_eq!(pair.server_log(), ["closed"], "crossing: {crossing}");
        assert!(pair.downwards.text().ends_with(
            "</mechanisms></stream:features>\
             <success xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"/></stream:stream>"
        ));
    }
}

#[test]
fn a_client_that_closes_gives_up_on_answers_after_a_while() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.client.close(pair.now);
    pair.advance(Duration::from_millis(29_999));
    assert!(!pair.client.is_closed());
    pair.advance(Duration::from_millis(1));
    assert_eq!(pair.client_log(), ["closed"]);
    assert_eq!(pair.client.take_unanswered(), [message("m-1")]);
}

#[test]
fn a_close_ends_when_the_last_message_that_it_waited_for_is_taken_back() {
    for cancelled in [true, false] {
        let mut pair = Pair::bound();
        pair.accept("m-1");
        pair.client.close(pair.now);
        if cancelled {
            assert_eq!(pair.client.cancel(&"m-1".into()), Some(message("m-1")));
        } else {
            assert_eq!(pair.client.take_unsent(), [message("m-1")]);
        }
        pair.drive();
        assert_eq!(pair.client.end(), Some(Ok(())));
    }
}

#[test]
fn a_server_that_closes_leaves_everything_unknown_and_nothing_lost() {
    let mut pair = Pair::bound();
    pair.server.send(upstream("u-1")).unwrap();
    pair.send("m-1");
    pair.upwards.open = false;
    pair.accept("m-2");
    pair.server.close(pair.now);
    pair.drive();
    pair.upwards.open = true;
    pair.drive();
    let token = pair.ack_tokens().pop().unwrap();
    assert_eq!(pair.client.ack(token).unwrap_err(), AckError::Closed);
    let token = pair.answer_tokens().pop().unwrap();
    assert_eq!(
        pair.server.ack(token, None).unwrap_err(),
        AnswerError::Closed
    );
    assert_eq!(pair.client_log(), ["closed"]);
    assert_eq!(pair.server_log(), ["closed"]);
    assert_eq!(pair.client.take_unanswered(), [message("m-1")]);
    assert_eq!(pair.client.take_unsent(), [message("m-2")]);
    assert_eq!(pair.server.take_unacked(), [upstream("u-1")]);
}

#[test]
fn answers_that_cross_the_end_of_the_stream_still_count() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.ack_downstreams();
    pair.client.close(pair.now);
    pair.drive();
    assert_eq!(pair.client_log(), ["accepted m-1", "closed"]);

    let mut pair = Pair::bound();
    pair.send("m-1");
    let token = pair.answer_tokens().pop().unwrap();
    pair.server.ack(token, None).unwrap();
    pair.server.close(pair.now);
    pair.drive();
    assert_eq!(pair.client_log(), ["accepted m-1", "closed"]);
}

#[test]
fn a_stream_ends_once_and_nothing_follows_it() {
    for client_first in [true, false] {
        let mut pair = Pair::bound();
        if client_first {
            pair.client.close(pair.now);
        } else {
            pair.server.close(pair.now);
        }
        pair.drive();
        pair.advance(seconds(3600));
        for pipe in [&pair.upwards, &pair.downwards] {
            assert!(pipe.text().ends_with("</stream:stream>"));
            assert_eq!(pipe.text().matches("</stream:stream>").count(), 1);
        }
    }
}

#[test]
fn a_login_that_is_closed_goes_no_further() {
    for client_first in [true, false] {
        let mut pair = Pair::new(client_config(), ServerConfig::default());
        match client_first {
            true => pair.client.close(pair.now),
            false => pair.server.close(pair.now),
        }
        pair.drive();
        assert_eq!(pair.client_log(), ["closed"]);
        assert_eq!(pair.server_log(), ["closed"]);
        assert!(!pair.upwards.text().contains("<auth"));
        assert!(pair.upwards.text().ends_with("</stream:stream>"));
    }
}

#[test]
fn requests_that_come_after_our_end_of_the_stream_are_not_answered() {
    let ping = "<iq type=\"get\" id=\"p\"><ping xmlns=\"urn:xmpp:ping\"/></iq>";
    let mut pair = Pair::bound();
    pair.downwards.open = false;
    pair.client.close(pair.now);
    pair.drive();
    pair.client_reads(ping);
    pair.drive();
    assert!(pair.upwards.text().ends_with("</stream:stream>"));
}

#[test]
fn a_transport_that_ends_in_the_middle_of_a_stanza_is_an_error() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.client_reads("<message><gcm xmlns=\"goo");
    let eof = Err(ConnectionError::UnexpectedEof);
    assert_eq!(pair.client.receive_eof(pair.now), eof);
    assert_eq!(pair.client.end(), Some(eof.clone()));
    pair.server_reads("<message>");
    assert_eq!(pair.server.receive_eof(pair.now), eof);
    pair.collect();
    let failed = "failed: the peer closed the transport without ending the stream";
    assert_eq!(pair.client_log(), [failed]);
    assert_eq!(pair.server_log().last().unwrap(), failed);
    assert_eq!(pair.client.take_unanswered(), [message("m-1")]);
    assert_eq!(
        pair.client.poll_timeout(),
        None,
        "nothing is left to wait for"
    );
}

#[test]
fn a_transport_that_fails_says_how() {
    let mut pair = Pair::bound();
    pair.client.transport_failed(pair.now, "connection reset");
    pair.server.transport_failed(pair.now, "connection reset");
    pair.collect();
    let failed = ["failed: the transport failed: connection reset"];
    assert_eq!(pair.client_log(), failed);
    assert_eq!(pair.server_log(), failed);
}

#[test]
fn what_a_connection_leaves_is_told_apart_and_in_order() {
    let mut pair = Pair::bound();
    for id in ["m-3", "m-1", "m-2"] {
        pair.send(id);
    }
    pair.server.send(upstream("u-2")).unwrap();
    pair.server.send(upstream("u-1")).unwrap();
    pair.server.send_receipt(receipt("m-1")).unwrap();
    pair.client_polls = false;
    pair.drive();
    pair.server.send(upstream("u-3")).unwrap();
    for id in ["m-9", "m-5"] {
        pair.accept(id);
    }
    let client = pair.client.finish();
    assert_eq!(client.unanswered, ["m-3", "m-1", "m-2"].map(message));
    assert_eq!(client.unsent, ["m-9", "m-5"].map(message));
    assert_eq!(client.unacked, 3);
    assert_eq!(client.events.len(), 3);
    let server = pair.server.finish();
    assert_eq!(server.unacked, ["u-2", "u-1"].map(upstream));
    assert_eq!(server.unsent, [upstream("u-3")]);
    assert_eq!(server.receipts, [receipt("m-1")]);
    assert_eq!(server.unanswered, ["m-3", "m-1", "m-2"].map(Into::into));
}

#[test]
fn after_an_error_every_read_returns_it_and_what_came_before_is_still_there() {
    let mut pair = Pair::bound();
    pair.client_polls = false;
    pair.server_polls = false;
    let draining = "<message><gcm xmlns=\"google:mobile:data\">{\"message_type\":\"control\",\
         \"control_type\":\"CONNECTION_DRAINING\"}</gcm></message>";
    let sent = String::from_utf8(message("m-1").stanza().to_vec()).unwrap();
    let bad = "<a></b>";
    let ill_formed = |error: &ConnectionError| match error {
        ConnectionError::Protocol { condition, .. } => condition.clone(),
        other => panic!("{other:?}"),
    };

    let first = pair
        .client
        .receive(pair.now, format!("{draining}{bad}{draining}").as_bytes());
    let first = first.unwrap_err();
    assert_eq!(ill_formed(&first), StreamCondition::NotWellFormed);
    let again = pair.client.receive(pair.now, sent.as_bytes()).unwrap_err();
    assert_eq!(again, first);
    assert_eq!(pair.client.receive_eof(pair.now).unwrap_err(), first);
    assert!(matches!(
        pair.client.poll_event(),
        Some(ClientEvent::Draining)
    ));
    assert!(pair.client.poll_event().is_none());
    let mut out = BytesMut::new();
    assert!(pair.client.poll_transmit(pair.now, &mut out));
    assert!(
        out.starts_with(b"<stream:error><not-well-formed") && out.ends_with(b"</stream:stream>")
    );
    assert!(
        matches!(pair.client.poll_event(), Some(ClientEvent::Closed(Err(end))) if end == first)
    );

    let first = pair
        .server
        .receive(pair.now, format!("{sent}{bad}{sent}").as_bytes());
    let first = first.unwrap_err();
    assert_eq!(ill_formed(&first), StreamCondition::InvalidXml);
    assert_eq!(pair.server.receive(pair.now, b"").unwrap_err(), first);
    assert!(matches!(
        pair.server.poll_event(),
        Some(ServerEvent::Downstream { .. })
    ));
    assert!(pair.server.poll_event().is_none());
    out.clear();
    assert!(pair.server.poll_transmit(pair.now, &mut out));
    assert_eq!(
        out,
        "<stream:error><invalid-xml xmlns=\"urn:ietf:params:xml:ns:xmpp-streams\"/></stream:error></stream:stream>"
    );
    assert!(
        matches!(pair.server.poll_event(), Some(ServerEvent::Closed(Err(end))) if end == first)
    );
}

#[test]
fn answers_that_were_given_before_an_error_go_out_before_it() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    let token = pair.answer_tokens().pop().unwrap();
    pair.server.ack(token, None).unwrap();
    pair.server_reads("<a></b>");
    pair.drive();
    let log = pair.client_log();
    assert_eq!(log[0], "accepted m-1");
    assert!(log[1].contains("invalid-xml"), "{log:?}");
}

#[test]
fn a_peer_that_never_ends_its_stream_is_waited_for_no_longer_than_set() {
    let mut pair = Pair::bound();
    pair.upwards.open = false;
    pair.server.close(pair.now);
    pair.advance(Duration::from_millis(4_999));
    assert!(!pair.server.is_closed());
    pair.advance(Duration::from_millis(1));
    assert_eq!(pair.server.end(), Some(Ok(())));
}

#[test]
fn a_close_ends_in_time_even_when_nothing_can_be_written() {
    let mut pair = Pair::bound();
    pair.upwards.open = false;
    pair.downwards.open = false;
    pair.client.close(pair.now);
    pair.server.close(pair.now);
    pair.advance(seconds(5));
    assert_eq!(pair.client_log(), ["closed"]);
    assert_eq!(pair.server_log(), ["closed"]);
    assert_eq!(pair.next_deadline(), None);
}

#[test]
fn nothing_changes_once_a_connection_is_closed() {
    let mut pair = Pair::bound();
    pair.send("m-1");
    pair.downwards.open = false;
    pair.client.close(pair.now);
    pair.advance(seconds(35));
    assert_eq!(pair.client_log(), ["closed"]);
    let late = "<message><gcm xmlns=\"google:mobile:data\">{\"message_type\":\"ack\",\
         \"message_id\":\"m-1\"}</gcm></message><a></b>";
    assert_eq!(pair.client.receive(pair.now, late.as_bytes()), Ok(()));
    assert_eq!(pair.client.receive_eof(pair.now), Ok(()));
    pair.client.transport_failed(pair.now, "reset");
    pair.client.close(pair.now);
    pair.client.handle_timeout(pair.now + seconds(3600));
    pair.collect();
    assert_eq!(pair.client_log(), [""; 0], "`Closed` is the last event");
    assert_eq!(pair.client.end(), Some(Ok(())));

    pair.downwards.open = true;
    pair.drive();
    let end = pair.server.end();
    pair.server_reads(late);
    pair.server.transport_failed(pair.now, "reset");
    pair.server.close(pair.now);
    assert!(pair.server_log().last().unwrap().starts_with("closed"));
    assert_eq!(pair.server.end(), end);
}

#[test]
fn a_server_with_a_full_window_still_hears_the_client_close() {
    let mut config = ServerConfig::default();
    config.window = 1;
    let mut pair = Pair::bound_with(client_config(), config);
    pair.send("m-1");
    pair.server.close(pair.now);
    pair.drive();
    assert_eq!(
        pair.server.end(),
        Some(Ok(())),
        "without waiting for the close timeout"
    );
}
