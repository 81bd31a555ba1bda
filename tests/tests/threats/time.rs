//! Peers that take their time.

use std::time::Duration;

use ccs_proto::{ConnectionError, Limits, ServerConfig, StreamCondition};
use ccs_tests::pair::client_config;

use super::attacked::{At, Attacked, BOUND, HEADER, INSIDE, Outcome, gcm};

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Lets time pass for the end that is attacked; the other one is not there.
fn wait(attacked: &mut Attacked, span: Duration) {
    let end = attacked.pair.now + span;
    let pair = &mut attacked.pair;
    while let Some(due) = pair.next_deadline().filter(|due| *due <= end) {
        pair.now = pair.now.max(due);
        pair.client.handle_timeout(pair.now);
        pair.server.handle_timeout(pair.now);
        pair.collect();
    }
    pair.now = end;
}

/// A bound end that neither pings nor keeps alive, with this much time for a stanza.
fn quiet(at: At, stanza_time: Duration) -> Attacked {
    let (mut client, mut server) = (client_config(), ServerConfig::default());
    client.ping_interval = seconds(1_000_000);
    server.keep_alive = seconds(1_000_000);
    client.limits.stanza_time = stanza_time;
    server.limits.stanza_time = stanza_time;
    at.open_as(client, server)
}

fn end(attacked: &Attacked, at: At) -> Option<Result<(), ConnectionError>> {
    if at.is_server() {
        attacked.pair.server.end()
    } else {
        attacked.pair.client.end()
    }
}

#[test]
fn x7_a_stanza_that_trickles_in_has_30_s() {
    assert_eq!(Limits::default().stanza_time, seconds(30));
    for at in BOUND {
        for stanza_time in [seconds(30), seconds(5)] {
            let mut attacked = quiet(at, stanza_time);
            assert_eq!(attacked.feed([&b"<"[..]]), None);
            let mut passed = Duration::ZERO;
            let step = Duration::from_millis(900);
            while passed + step < stanza_time {
                attacked.pair.now = attacked.pair.now + step;
                passed += step;
                assert_eq!(attacked.feed([&b"a"[..]]), None);
                let deadline = attacked.pair.next_deadline().unwrap();
                assert_eq!(deadline - attacked.pair.now, stanza_time - passed);
            }
            let left = stanza_time - passed;
            wait(&mut attacked, left - Duration::from_millis(1));
            assert_eq!(attacked.said(), "", "just under");
            wait(&mut attacked, Duration::from_millis(1));
            let said = attacked.said();
            let end = end(&attacked, at).expect("it is over");
            let words = format!(
                "a stanza that was not whole within {} s",
                stanza_time.as_secs()
            );
            Outcome {
                error: end.err(),
                said,
            }
            .is_told(&StreamCondition::PolicyViolation, &words);
        }
    }
}

#[test]
fn x7_the_time_is_that_of_each_stanza_and_of_none_between_them() {
    for at in BOUND {
        let mut attacked = quiet(at, seconds(30));
        for _ in 0..20 {
            for piece in ["<presence", " a=''", "/>"] {
                assert_eq!(attacked.feed([piece.as_bytes()]), None);
                wait(&mut attacked, seconds(14));
            }
            wait(&mut attacked, seconds(600));
        }
        assert_eq!(attacked.said(), "");
        assert_eq!(end(&attacked, at), None);
        // What follows in the same read has its own time.
        assert_eq!(attacked.feed([&b"<a"[..]]), None);
        wait(&mut attacked, seconds(29));
        let error = attacked.feed([&b" xmlns='jabber:client'/>"[..]]);
        assert!(error.is_some(), "it is no stanza, and was whole in time");
        assert!(!error.unwrap().to_string().contains("whole"));
    }
}

#[test]
fn x7_while_nothing_is_read_the_time_of_a_stanza_stands_still() {
    let mut server = ServerConfig::default();
    server.window = 1;
    server.keep_alive = seconds(1_000_000);
    let mut client = client_config();
    client.ping_interval = seconds(1_000_000);
    client.answer_timeout = seconds(1_000_000);
    let mut attacked = At::ServerBound.open_as(client, server);
    for n in 0..2 {
        let message = gcm(&format!(r#"{{"message_id":"{n}","to":"T"}}"#));
        assert_eq!(attacked.feed([message.as_bytes()]), None);
    }
    assert_eq!(attacked.feed([&b"<message"[..]]), None);
    assert!(!attacked.pair.server.wants_input());
    wait(&mut attacked, seconds(1_000));
    assert!(attacked.pair.server.is_open());
    for token in attacked.pair.answer_tokens() {
        attacked.pair.server.ack(token, None).unwrap();
    }
    attacked.said();
    let now = attacked.pair.now;
    attacked.pair.server.handle_timeout(now);
    wait(&mut attacked, seconds(29));
    assert!(attacked.pair.server.is_open(), "the time begins anew");
    wait(&mut attacked, seconds(1));
    assert!(attacked.said().contains("<policy-violation"));
}

#[test]
fn t7_a_login_has_15_s_however_much_is_said() {
    for at in INSIDE.into_iter().filter(|at| !BOUND.contains(at)) {
        for login_time in [seconds(15), seconds(3)] {
            let (mut client, mut server) = (client_config(), ServerConfig::default());
            assert_eq!(
                (client.handshake_timeout, server.handshake_timeout),
                (seconds(15), seconds(15))
            );
            client.handshake_timeout = login_time;
            server.handshake_timeout = login_time;
            let mut attacked = at.open_as(client, server);
            for _ in 1..login_time.as_secs() {
                attacked.pair.now = attacked.pair.now + seconds(1);
                assert_eq!(attacked.feed([&b" "[..]]), None);
            }
            wait(&mut attacked, Duration::from_millis(999));
            assert_eq!(end(&attacked, at), None, "just under");
            assert_eq!(attacked.said(), "");
            wait(&mut attacked, Duration::from_millis(1));
            assert_eq!(attacked.said(), "</stream:stream>");
            let timeout = ConnectionError::HandshakeTimeout { after: login_time };
            assert_eq!(end(&attacked, at), Some(Err(timeout)));
        }
    }
}

#[test]
fn t7_a_peer_that_says_nothing_or_half_a_header_has_15_s_as_well() {
    for half in ["", " ", "<", &HEADER[..40]] {
        let mut attacked = At::ServerStart.open();
        assert_eq!(attacked.feed([half.as_bytes()]), None);
        wait(&mut attacked, seconds(15));
        let said = attacked.said();
        assert!(
            said.starts_with("<stream:stream ") && said.ends_with("</stream:stream>"),
            "{said}"
        );
        assert!(attacked.pair.server.is_closed());
    }
}
