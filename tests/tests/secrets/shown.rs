//! No Debug output, error, tap or panic shows the key, in clear or in base64.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use ccs_proto::{
    ApiKey, ClientConfig, ClientConnection, ConnectionId, ServerConfig, ServerEvent, Tap, Time,
    TransportSecurity,
};
use ccs_tests::canary;
use ccs_tests::pair::{Pair, SENDER};

const CANARY: &str = "CANARY-7d0c5b1e9f2a";

fn config(tap: Option<Tap>) -> ClientConfig {
    let mut config = ClientConfig::new(SENDER.parse().unwrap(), ApiKey::from(CANARY));
    config.tap = tap;
    config
}

#[track_caller]
fn shows_nothing(what: &str, text: &str) {
    if let Some(form) = canary::found(CANARY, text) {
        panic!("{what} shows {form}: {text}");
    }
}

fn debug(what: &impl Debug) -> String {
    format!("{what:?} {what:#?}")
}

/// A pair whose taps write down all that they are shown.
fn tapped() -> (Pair, Arc<Mutex<String>>) {
    let shown = Arc::new(Mutex::new(String::new()));
    let tap = || {
        let shown = Arc::clone(&shown);
        Tap::new(move |id, direction, stanza| {
            *shown.lock().unwrap() += &format!("{id} {direction:?} {stanza}\n");
        })
    };
    let mut server = ServerConfig::default();
    server.tap = Some(tap());
    (Pair::new(config(Some(tap())), server), shown)
}

/// Bytes both ways, and no more: what the events are is for the test to see.
fn exchange(pair: &mut Pair) -> bool {
    let (mut there, mut back) = (BytesMut::new(), BytesMut::new());
    while pair.client.poll_transmit(pair.now, &mut there) {}
    while pair.server.poll_transmit(pair.now, &mut back) {}
    // An error is the connection's end, which is looked at below.
    let _ = pair.server.receive(pair.now, &there);
    let _ = pair.client.receive(pair.now, &back);
    !there.is_empty() || !back.is_empty()
}

#[test]
fn whatever_the_login_comes_to_no_tap_event_or_debug_output_shows_the_key() {
    for accept in [true, false] {
        let (mut pair, shown) = tapped();
        shows_nothing("the config", &debug(&config(None)));
        let mut decided = false;
        while exchange(&mut pair) || std::mem::take(&mut decided) {
            shows_nothing("a connection", &debug(&(&pair.client, &pair.server)));
            while let Some(event) = pair.server.poll_event() {
                shows_nothing("an event of the endpoint", &debug(&event));
                if let ServerEvent::Login(request) = event {
                    assert_eq!(request.key().expose(), CANARY, "it did get the key");
                    let answered = match accept {
                        true => pair.server.accept(pair.now, request),
                        false => pair.server.reject(pair.now, request),
                    };
                    answered.unwrap();
                    decided = true;
                }
            }
        }
        let end = pair.client.end();
        assert_eq!(end.is_some(), !accept, "{end:?}");
        shows_nothing("the end", &debug(&end));
        while let Some(event) = pair.client.poll_event() {
            shows_nothing("an event of the app server", &debug(&event));
        }
        let shown = shown.lock().unwrap();
        assert!(shown.contains("[sasl "), "the login was shown: {shown}");
        shows_nothing("a tap", &shown);
        shows_nothing("what is left", &debug(&pair.client.finish()));
        shows_nothing("what is left", &debug(&pair.server.finish()));
    }
}

#[test]
fn a_login_in_the_wrong_place_is_not_shown_by_error_or_tap() {
    // As a login of XEP-0078, in an element that is none, in one that is not well-formed, and in text.
    for stanza in [
        format!(
            "<iq type='set'><query xmlns='jabber:iq:auth'><password>{CANARY}</password></query></iq>"
        ),
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{CANARY}</auth>"),
        format!("<login key='{CANARY}'/>"),
        format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN' key='{CANARY}'>{CANARY}</uath>"
        ),
        format!("{CANARY} <auth/>"),
    ] {
        let (mut pair, shown) = tapped();
        pair.server_reads("<stream:stream to='gcm.googleapis.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
        pair.server_reads(&stanza);
        let mut out = BytesMut::new();
        while pair.server.poll_transmit(pair.now, &mut out) {}
        while let Some(event) = pair.server.poll_event() {
            shows_nothing("an event", &debug(&event));
        }
        let end = pair.server.receive_eof(pair.now);
        shows_nothing("the error", &debug(&end));
        if let Err(error) = end {
            shows_nothing("the error", &error.to_string());
        }
        shows_nothing("a tap", &shown.lock().unwrap());
        shows_nothing("what the peer is told", &String::from_utf8_lossy(&out));
    }
}

#[test]
fn a_panic_with_everything_in_hand_does_not_show_it() {
    let message = |panic: Box<dyn std::any::Any + Send>| {
        *panic.downcast::<String>().expect("a formatted message")
    };
    let connection = || {
        ClientConnection::new(
            Arc::new(config(None)),
            ConnectionId(1),
            TransportSecurity::Unverified,
            Time::ZERO,
        )
    };
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        panic!("{:?} {:?}", config(None), connection());
    }));
    shows_nothing("a panic", &message(panicked.unwrap_err()));
    let failed = connection()
        .receive(Time::ZERO, b"<x>")
        .map_err(|error| (error, config(None)));
    let panicked = catch_unwind(AssertUnwindSafe(|| failed.unwrap()));
    shows_nothing("an unwrap", &message(panicked.unwrap_err()));
}
