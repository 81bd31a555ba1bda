//! Sending under the window: places, the line for them, and what dropping a future means.
#![allow(missing_docs)]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ccs_tokio::proto::message::NackCode;
use ccs_tokio::proto::{Direction, Tap};
use ccs_tokio::{Blocked, Client, ClientConfig, Config, Event, SendError, connect_with};
use support::{
    Shown, ack_all, ack_of, client_config, downstream, event, in_time, message, pair, scripted,
};

fn window_of(window: usize) -> ClientConfig {
    let mut config = client_config();
    config.window = window;
    config
}

/// Polls once, to start what a future does.
fn start<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

async fn answered(incoming: &mut ccs_tokio::Incoming) -> (String, bool) {
    event(incoming, |event| match event {
        Event::Answered { message_id, result } => {
            Some((message_id.as_str().to_owned(), result.is_ok()))
        }
        _ => None,
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_send_waits_for_its_answer() {
    let (client, _incoming, peer, mut events) = pair(client_config()).await;
    let (accepted, ()) = tokio::join!(in_time(client.send(message(1))), async {
        let (got, token) = downstream(&mut events).await;
        assert_eq!(got.payload(), message(1).payload());
        peer.ack(token, None).expect("open");
    });
    assert_eq!(accepted.expect("accepted").message_id.as_str(), "d-1");
    let (refused, ()) = tokio::join!(in_time(client.send(message(2))), async {
        let (_, token) = downstream(&mut events).await;
        peer.nack(token, &NackCode::BadRegistration, "")
            .expect("open");
    });
    let Err(SendError::Refused(nack)) = refused else {
        panic!("{refused:?}");
    };
    assert!(nack.code.is_token_dead());
}

#[tokio::test(start_paused = true)]
async fn messages_without_an_id_get_one_each() {
    let (client, _incoming, peer, events) = pair(client_config()).await;
    tokio::spawn(ack_all(peer, events));
    let first = in_time(client.send(ccs_tokio::Downstream::to("A"))).await;
    let second = in_time(client.send(ccs_tokio::Downstream::to("A"))).await;
    assert_ne!(
        first.expect("accepted").message_id,
        second.expect("accepted").message_id
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_window_gives_the_message_back_at_once() {
    let (client, _incoming, peer, mut events) = pair(window_of(2)).await;
    let first = client.try_send(message(1)).expect("a place");
    let second = client.try_send(message(2)).expect("a place");
    assert_eq!(client.capacity(), 0);
    let expected = SendError::NotSent {
        message: Box::new(message(3)),
        why: Blocked::WindowFull,
    };
    assert_eq!(client.try_send(message(3)).err(), Some(expected));
    for _ in 0..2 {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
    }
    in_time(first).await.expect("accepted");
    in_time(second).await.expect("accepted");
    assert_eq!(client.capacity(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_message_is_said_and_costs_no_place() {
    let (client, _incoming, _peer, _events) = pair(window_of(2)).await;
    let under_way = client.try_send(message(1)).expect("a place");
    let again = in_time(client.send(message(1))).await;
    assert!(matches!(again, Err(SendError::Duplicate(id)) if id.as_str() == "d-1"));
    let invalid = in_time(client.send(ccs_tokio::Downstream::to(""))).await;
    assert!(matches!(invalid, Err(SendError::Invalid(_))), "{invalid:?}");
    assert_eq!(client.capacity(), 1);
    drop(under_way);
}

#[tokio::test(start_paused = true)]
async fn waiting_senders_are_served_in_the_order_in_which_they_came() {
    let (client, _incoming, _driver, mut script) = scripted(window_of(1), 4096).await;
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    for n in 0..50 {
        let (client, order) = (client.clone(), Arc::clone(&order));
        tokio::spawn(async move {
            client.send(message(n)).await.expect("accepted");
            order.lock().expect("whole").push(n);
        });
        // So that they ask in this order.
        tokio::task::yield_now().await;
    }
    for n in 0..50 {
        let id = in_time(script.hear_message()).await;
        assert_eq!(id, format!("d-{n}"));
        let overtaken = client.try_send(message(100)).map(drop);
        assert!(overtaken.is_err(), "nobody overtakes those who wait");
        script.say(&ack_of(&id)).await;
    }
    drop(in_time(client.reserve()).await.expect("a place"));
    assert_eq!(*order.lock().expect("whole"), Vec::from_iter(0..50));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_permit_gives_its_place_to_the_next_in_line() {
    let (client, _incoming, _peer, _events) = pair(window_of(1)).await;
    let permit = in_time(client.reserve()).await.expect("a place");
    let mut gone = client.reserve();
    let next = client.reserve();
    assert!(start(&mut gone).is_pending());
    let next = tokio::spawn(next);
    tokio::task::yield_now().await;
    drop(gone);
    assert_eq!(client.capacity(), 0);
    drop(permit);
    let permit = in_time(next).await.expect("no panic").expect("the place");
    drop(permit);
    assert_eq!(client.capacity(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_send_dropped_before_it_is_handed_over_is_not_sent() {
    let (client, mut incoming, _driver, mut script) = scripted(window_of(2), 4096).await;
    // The driver has had no turn in between, so no byte was handed over.
    drop(client.try_send(message(1)).expect("a place"));
    {
        let mut send = pin!(client.send(message(2)));
        assert!(start(&mut send).is_pending());
    }
    assert_eq!(client.capacity(), 2);
    client.try_send(message(3)).expect("a place").detach();
    assert_eq!(in_time(script.hear_message()).await, "d-3");
    script.say(&ack_of("d-3")).await;
    assert_eq!(answered(&mut incoming).await, ("d-3".to_owned(), true));
}

#[tokio::test(start_paused = true)]
async fn a_send_dropped_after_it_is_handed_over_has_its_outcome_as_an_event() {
    let (client, mut incoming, _driver, mut script) = scripted(window_of(2), 4096).await;
    {
        let mut send = pin!(client.send(message(1)));
        assert!(start(&mut send).is_pending());
        assert_eq!(in_time(script.hear_message()).await, "d-1");
    }
    assert_eq!(client.capacity(), 1, "it is under way");
    script.say(&ack_of("d-1")).await;
    assert_eq!(answered(&mut incoming).await, ("d-1".to_owned(), true));
    // The same where the answer was there already, and nobody had looked.
    let answer = client.try_send(message(2)).expect("a place");
    assert_eq!(in_time(script.hear_message()).await, "d-2");
    script.say(&ack_of("d-2")).await;
    while client.capacity() < 2 {
        tokio::task::yield_now().await;
    }
    drop(answer);
    assert_eq!(answered(&mut incoming).await, ("d-2".to_owned(), true));
}

#[tokio::test(start_paused = true)]
async fn the_tap_sees_both_ways_and_never_the_key() {
    let shown = Shown::default();
    let mut config = client_config();
    let seen = Arc::clone(&shown.0);
    config.tap = Some(Tap::new(move |_, direction, stanza| {
        seen.lock()
            .expect("whole")
            .push((direction, stanza.to_owned()));
    }));
    let printed = format!("{config:?}");
    let (client, mut incoming, peer, mut events) = pair(config).await;
    let (_, ()) = tokio::join!(in_time(client.send(message(1))), async {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
    });
    in_time(peer.send(support::upstream(5)))
        .await
        .expect("sent");
    let received = event(&mut incoming, |event| match event {
        Event::Upstream(message) => Some(message),
        _ => None,
    })
    .await;
    received.ack().expect("open");
    let printed = format!("{printed} {client:?} {peer:?} {incoming:?}");
    in_time(client.close()).await.expect("in order");
    let shown = shown.0.lock().expect("whole").clone();
    let has = |way: Direction, text: &str| {
        shown
            .iter()
            .any(|(shown, stanza)| *shown == way && stanza.contains(text))
    };
    assert!(
        has(Direction::Out, "<auth"),
        "that there was a login is shown"
    );
    assert!(has(Direction::Out, "\"message_id\":\"d-1\""));
    assert!(has(Direction::In, "\"message_type\":\"ack\""));
    assert!(has(Direction::In, "\"message_id\":\"u-5\""));
    assert!(has(Direction::Out, "\"message_type\":\"ack\""));
    assert!(has(Direction::Out, "</stream:stream>") && has(Direction::In, "</stream:stream>"));
    let all: String = shown.into_iter().map(|(_, stanza)| stanza).collect();
    for form in forms_of(support::KEY) {
        assert!(!all.contains(&form), "the tap was shown {form}");
        assert!(!printed.contains(&form), "Debug shows {form}");
    }
}

/// A secret in clear and as base64 has it, wherever it stands in the text that was encoded.
fn forms_of(secret: &str) -> Vec<String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = secret
        .bytes()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    // Digits that hold bits of the secret alone.
    let aligned = [0, 4, 2].map(|skipped| {
        let digits = bits[skipped..].chunks_exact(6);
        digits
            .map(|six| DIGITS[six.iter().fold(0, |n, bit| n << 1 | usize::from(*bit))] as char)
            .collect()
    });
    [secret.to_owned()].into_iter().chain(aligned).collect()
}

#[test]
fn the_three_alignments_are_those_of_base64() {
    let [clear, first, second, third] = &forms_of("secret")[..] else {
        panic!("four forms");
    };
    // "secret", "\0secret" and "\0\0secret" in base64.
    assert_eq!(clear, "secret");
    assert!("c2VjcmV0".contains(first.as_str()) && first.len() == 8);
    assert!("AHNlY3JldA==".contains(second.as_str()) && second.len() == 7);
    assert!("AABzZWNyZXQ=".contains(third.as_str()) && third.len() == 7);
}

/// Without a driver that is polled nothing moves: so nothing else polls it.
#[tokio::test]
async fn connecting_by_hand_spawns_nothing() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let ca = support::authority::Authority::new("Test CA");
    let (chain, key) = ca.sign(&["127.0.0.1"], |_| {});
    let script = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = script.local_addr().expect("an address").port();
    let tls = support::authority::tls_server(&(chain, key));
    let mut config = Config::new(
        "127.0.0.1",
        support::SENDER.parse().expect("digits"),
        "K".into(),
    );
    (config.port, config.trust) = (port, ca.trust());
    let serve = async {
        let (stream, _) = script.accept().await.expect("a client");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let mut script = support::Script::new(acceptor.accept(stream).await.expect("TLS"));
        script.log_in().await;
        script
    };
    let (connected, mut script) =
        in_time(async { tokio::join!(connect_with(config), serve) }).await;
    let (client, _incoming, driver): (Client, _, _) = connected.expect("logged in");
    assert_eq!(metrics.num_alive_tasks(), before);
    let mut send = pin!(client.send(message(1)));
    assert!(start(&mut send).is_pending());
    let driver = tokio::spawn(driver);
    assert_eq!(in_time(script.hear_message()).await, "d-1");
    script.say(&ack_of("d-1")).await;
    in_time(send).await.expect("accepted");
    script.say("</stream:stream>").await;
    assert_eq!(in_time(driver).await.expect("no panic"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_comes_again_belongs_to_another_send() {
    let (client, _incoming, peer, mut events) = pair(client_config()).await;
    let first = client.try_send(message(1)).expect("a place");
    let (_, token) = downstream(&mut events).await;
    peer.nack(token, &NackCode::ServiceUnavailable, "")
        .expect("open");
    // Answered, and not yet asked for, when the same id goes out again.
    while client.capacity() < 100 {
        tokio::task::yield_now().await;
    }
    let second = client.try_send(message(1)).expect("a place");
    let (_, token) = downstream(&mut events).await;
    peer.ack(token, None).expect("open");
    let refused = in_time(first).await;
    assert!(matches!(refused, Err(SendError::Refused(_))), "{refused:?}");
    in_time(second).await.expect("accepted");
}
