//! One message to many devices.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;

use ccs_tokio::proto::message::{NackCode, Target};
use ccs_tokio::{
    Blocked, ClientConfig, Downstream, Event, Peer, PeerEvents, RegistrationToken, SendError,
    ServerEvent,
};
use support::{client_config, downstream, event, in_time, message, pair};

fn window_of(window: usize) -> ClientConfig {
    let mut config = client_config();
    config.window = window;
    config
}

fn tokens(count: usize) -> impl Iterator<Item = RegistrationToken> + Unpin {
    (0..count).map(|n| RegistrationToken::from(format!("device-{n}")))
}

fn greeting() -> Downstream {
    Downstream::to("nobody").data("hello", "world")
}

/// Waits until `full` messages are there before it answers the first of them, and keeps it so. Nacks `device-13`.
async fn answer_when_full(peer: Peer, mut events: PeerEvents, full: usize, all: usize) {
    let mut waiting = Vec::new();
    let mut seen = 0;
    while let Some(event) = events.next().await {
        if let ServerEvent::Downstream { message, token, .. } = event {
            waiting.push((message, token));
            seen += 1;
        }
        while waiting.len() == full || (seen == all && !waiting.is_empty()) {
            let (message, token) = waiting.remove(0);
            let Target::Token(target) = message.target() else {
                panic!("{message:?}");
            };
            let answered = match target.as_str() {
                "device-13" => peer.nack(token, &NackCode::DeviceUnregistered, ""),
                _ => peer.ack(token, None),
            };
            answered.expect("open");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_keeps_the_window_full_and_yields_one_outcome_a_token() {
    let (client, _incoming, peer, events) = pair(window_of(100)).await;
    // One of the thousand is invalid and never sent.
    tokio::spawn(answer_when_full(peer, events, 100, 999));
    let tokens = tokens(1_000).map(|token| match token.as_str() {
        "device-500" => RegistrationToken::from(""),
        _ => token,
    });
    let mut broadcast = client.broadcast(greeting(), tokens);
    let mut seen = BTreeSet::new();
    let mut ids = BTreeSet::new();
    while let Some((token, outcome)) = in_time(broadcast.next()).await {
        match (token.as_str(), outcome) {
            ("", Err(SendError::Invalid(_))) => {}
            ("device-13", Err(SendError::Refused(nack))) => {
                assert_eq!(nack.code, NackCode::DeviceUnregistered);
            }
            (_, Ok(ack)) => assert!(ids.insert(ack.message_id), "each has its own id"),
            (token, outcome) => panic!("{token}: {outcome:?}"),
        }
        assert!(seen.insert(token), "one outcome a token");
    }
    assert_eq!((seen.len(), ids.len()), (1_000, 998));
    assert!(in_time(broadcast.next()).await.is_none());
    assert_eq!(client.capacity(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_broadcast_takes_back_what_was_not_sent() {
    let (client, mut incoming, peer, mut events) = pair(window_of(4)).await;
    let mut broadcast = client.broadcast(greeting(), tokens(1_000));
    let (outcome, _) = tokio::join!(in_time(broadcast.next()), async {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
    });
    outcome.expect("the first").1.expect("accepted");
    drop(broadcast);
    let mut left = 0;
    while client.capacity() < 4 {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
        let accepted = event(&mut incoming, |event| match event {
            Event::Answered { result, .. } => Some(result.is_ok()),
            _ => None,
        })
        .await;
        assert!(accepted, "sent, so answered");
        left += 1;
    }
    assert_eq!(left, 3, "the rest of the window, and no more");
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_on_a_draining_connection_says_of_each_token_that_it_was_not_sent() {
    let (client, mut incoming, peer, _events) = pair(client_config()).await;
    peer.drain();
    event(&mut incoming, |event| {
        matches!(event, Event::Draining).then_some(())
    })
    .await;
    let mut broadcast = client.broadcast(greeting(), tokens(3));
    let mut outcomes = 0;
    while let Some((_, outcome)) = in_time(broadcast.next()).await {
        let Err(SendError::NotSent {
            why: Blocked::Draining,
            ..
        }) = outcome
        else {
            panic!("{outcome:?}");
        };
        outcomes += 1;
    }
    assert_eq!(outcomes, 3);
}

/// A task that sends between two outcomes polls nothing of the broadcast meanwhile: its place in the line must not be
/// in the way.
#[tokio::test(start_paused = true)]
async fn a_task_may_send_between_two_outcomes_of_its_broadcast() {
    let (client, _incoming, peer, events) = pair(window_of(2)).await;
    tokio::spawn(support::ack_all(peer, events));
    let mut broadcast = client.broadcast(greeting(), tokens(50));
    let mut outcomes = 0;
    while let Some((_, outcome)) = in_time(broadcast.next()).await {
        outcome.expect("accepted");
        let sent = in_time(client.send(message(outcomes))).await;
        sent.expect("accepted");
        outcomes += 1;
    }
    assert_eq!(outcomes, 50);
}

/// The tokens come from the application, which may ask anything of the client meanwhile.
#[tokio::test(start_paused = true)]
async fn the_tokens_may_look_at_the_client() {
    let (client, _incoming, peer, events) = pair(window_of(2)).await;
    tokio::spawn(support::ack_all(peer, events));
    let looking = client.clone();
    let tokens = tokens(5).inspect(move |_| assert!(looking.capacity() <= 2));
    let mut broadcast = client.broadcast(greeting(), tokens);
    let mut outcomes = 0;
    while let Some((_, outcome)) = in_time(broadcast.next()).await {
        outcome.expect("accepted");
        outcomes += 1;
    }
    assert_eq!(outcomes, 5);
}
