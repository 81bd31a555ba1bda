//! An endpoint that tolerates nothing refuses what app servers do and may not, and says what it was.

use ccs_proto::message::{Downstream, Receipt, Upstream};
use ccs_proto::{ConnectionError, Habit, ServerConfig, ServerEvent, StreamCondition, Tolerance};
use ccs_tests::fixture::{CLOSE, Server, as_message, bytes, text};

fn strict() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.tolerance = Tolerance::Nothing;
    config
}

/// Bound, as `Server::bound` is.
fn bound(config: ServerConfig) -> Server {
    let mut server = Server::with(config);
    server.log_in(&bytes("E01.xml"), &bytes("E05b.xml"));
    server.bind(&bytes("E01.xml"), &bytes("E09.xml"));
    server
}

/// The next event, which names a habit.
fn fault(server: &mut Server) -> Habit {
    match server.event() {
        ServerEvent::Fault(habit) => habit,
        other => panic!("{other:?}"),
    }
}

/// The next event, which refuses something by a stanza of its own, and that stanza.
fn refusal(server: &mut Server) -> (String, String) {
    let reason = match server.event() {
        ServerEvent::Refused { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    let written = server.written().concat();
    server.is_quiet();
    (reason, written)
}

#[test]
fn text_between_stanzas_ends_the_connection() {
    let mut server = Server::with(strict());
    server.log_in(&bytes("E01.xml"), &bytes("E05b.xml"));
    server.feed(bytes("E01.xml"));
    let error = server.try_feed(bytes("Q-go-gcm-ccs-bind.xml"));
    assert!(
        matches!(
            &error,
            Err(ConnectionError::Protocol {
                condition: StreamCondition::BadFormat,
                ..
            })
        ),
        "{error:?}"
    );
    assert!(matches!(server.event(), ServerEvent::Bound { .. }));
    assert_eq!(fault(&mut server), Habit::StrayText);
    let written = server.written().concat();
    assert!(written.contains("<bad-format"), "{written}");
    assert!(written.ends_with(CLOSE), "{written}");
}

#[test]
fn white_space_between_stanzas_is_no_fault() {
    let mut server = bound(strict());
    server.feed(" \n\t\r\n ");
    server.feed(bytes("E12-answer.xml"));
    server.is_quiet();
}

#[test]
fn a_clients_nack_is_a_bad_ack() {
    let mut server = bound(strict());
    let upstream = Upstream::new("REGID_DEVICE_1", "up-1-1");
    server.connection.send(upstream).unwrap();
    server.written();
    server.feed(bytes("Q-smack3-nack.xml"));
    let message_id = "up-1-1".into();
    assert_eq!(fault(&mut server), Habit::Nack { message_id });
    let (reason, written) = refusal(&mut server);
    assert!(reason.starts_with("BAD_ACK"), "{reason}");
    assert!(written.contains("\"error\":\"BAD_ACK\""), "{written}");
    assert_eq!(server.connection.in_flight(), 1, "and acks nothing");
}

#[test]
fn an_id_that_is_a_number_is_refused_under_that_id() {
    let mut server = bound(strict());
    server.feed(as_message(r#"{"to":"TOKEN","message_id":42}"#));
    let message_id = "42".into();
    assert_eq!(fault(&mut server), Habit::NumericMessageId { message_id });
    let (_, written) = refusal(&mut server);
    let nack = r#"{"message_type":"nack","from":"TOKEN","message_id":"42","error":"INVALID_JSON","error_description":"InvalidJson: JSON_TYPE_ERROR : Field \"message_id\" must be a JSON java.lang.String: 42"}"#;
    assert!(written.contains(nack), "{written}");
}

#[test]
fn a_time_to_live_that_is_a_string_is_refused_in_the_documented_words() {
    let mut server = bound(strict());
    let body = r#"{"to":"TOKEN","message_id":"m-1","time_to_live":"600"}"#;
    server.feed(as_message(body));
    let message_id = "m-1".into();
    assert_eq!(fault(&mut server), Habit::TextTimeToLive { message_id });
    let (reason, _) = refusal(&mut server);
    assert_eq!(
        reason,
        "INVALID_JSON: InvalidJson: JSON_TYPE_ERROR : Field \"time_to_live\" must be a JSON java.lang.Number: 600"
    );
}

#[test]
fn an_ack_that_only_nearly_names_its_message_or_receipt_acks_nothing() {
    let device = "REGID_DEVICE_1";
    for (stanza, original) in [
        // Without the prefix (go-gcm), to the device (fcm-xmpp), to another device.
        (
            text("Q-go-gcm-receipt-ack.xml"),
            "933b64ef-37ef-4918-a475-e762fc0219ae",
        ),
        (text("E35c-fcm-xmpp.xml"), "39"),
        (text("E34.xml").replace("REGID", "OTHER"), "none"),
    ] {
        let mut server = bound(strict());
        let upstream = Upstream::new("REGID", "m-123");
        server.connection.send(upstream.clone()).unwrap();
        let receipt = Receipt::new(&original.into(), device, 1);
        server.connection.send_receipt(receipt).unwrap();
        server.written();
        server.feed(stanza);
        let named = fault(&mut server);
        assert!(matches!(named, Habit::InexactAck { .. }), "{named:?}");
        let (_, written) = refusal(&mut server);
        assert!(written.contains("code=\"406\""), "{written}");
        assert_eq!(server.connection.in_flight(), 1);
        // The exact one does.
        server.feed(bytes("E34.xml"));
        match server.event() {
            ServerEvent::Acked(message) => assert_eq!(message, upstream),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_second_ack_of_a_receipt_is_an_ack_of_nothing() {
    let mut server = bound(strict());
    let receipt = Receipt::new(&"39".into(), "feQxxxxxxxa", 1);
    server.connection.send_receipt(receipt).unwrap();
    server.written();
    server.feed(bytes("E35c.xml"));
    assert!(matches!(server.event(), ServerEvent::ReceiptAcked(_)));
    server.feed(bytes("E35c.xml"));
    let message_id = "dr2:39".into();
    assert_eq!(fault(&mut server), Habit::LateReceiptAck { message_id });
    let (_, written) = refusal(&mut server);
    assert!(written.contains("code=\"406\""), "{written}");
}

#[test]
fn a_message_beyond_the_window_ends_the_connection() {
    let mut config = strict();
    config.window = 2;
    let mut server = bound(config);
    let mut tokens = Vec::new();
    for n in 1..=3 {
        let message = Downstream::to("TOKEN").encode(format!("m-{n}"));
        let fed = server.try_feed(message.unwrap().stanza());
        if n <= 2 {
            fed.unwrap();
            let (_, _, token) = server.downstream();
            tokens.push(token);
            continue;
        }
        let error = fed.unwrap_err();
        assert!(
            matches!(
                &error,
                ConnectionError::Protocol {
                    condition: StreamCondition::PolicyViolation,
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let message_id = "m-3".into();
    assert_eq!(fault(&mut server), Habit::BeyondWindow { message_id });
    let written = server.written().concat();
    assert!(written.contains("<policy-violation"), "{written}");
    assert!(written.ends_with(CLOSE), "{written}");
}

#[test]
fn whoever_waits_for_an_answer_is_within_the_window() {
    let mut config = strict();
    config.window = 1;
    let mut server = bound(config);
    for n in 1..=3 {
        let message = Downstream::to("TOKEN").encode(format!("m-{n}"));
        server.feed(message.unwrap().stanza());
        let (_, _, token) = server.downstream();
        server.connection.ack(token, None).unwrap();
        server.written();
    }
    server.is_quiet();
}
