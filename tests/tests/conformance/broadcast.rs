//! One message to many devices.

use std::collections::BTreeSet;

use ccs_proto::driver::{Event, Peer, PeerEvents, SendError};
use ccs_proto::message::{Downstream, NackCode, RegistrationToken, Target};
use ccs_proto::{Blocked, ServerEvent};
use futures_util::future::join;

use crate::cancel::Cancel;
use crate::ends::{ack_all, answered, client_config, downstream, event, message, pair, window_of};
use crate::link::Link;
use crate::runtime::{Run, spawn};

pub fn tokens(count: usize) -> impl Iterator<Item = RegistrationToken> + Unpin {
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

pub async fn a_broadcast_keeps_the_window_full_and_yields_one_outcome_a_token<
    R: Run,
    L: Link<R>,
>() {
    let (client, _incoming, peer, events) = pair::<R, L>(window_of(100)).await;
    // One of the thousand is invalid and never sent.
    spawn::<R, _>(answer_when_full(peer, events, 100, 999)).forget();
    let tokens = tokens(1_000).map(|token| match token.as_str() {
        "device-500" => RegistrationToken::from(""),
        _ => token,
    });
    let mut broadcast = client.broadcast(greeting(), tokens);
    let mut seen = BTreeSet::new();
    let mut ids = BTreeSet::new();
    while let Some((token, outcome)) = broadcast.next().await {
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
    assert!(broadcast.next().await.is_none());
    assert_eq!(client.capacity(), 100);
}

pub async fn a_dropped_broadcast_takes_back_what_was_not_sent<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, mut events) = pair::<R, L>(window_of(4)).await;
    let mut broadcast = client.broadcast(greeting(), tokens(1_000));
    let (outcome, _) = join(broadcast.next(), async {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
    })
    .await;
    outcome.expect("the first").1.expect("accepted");
    drop(broadcast);
    // On a clock of its own, how many of the window had gone out is not certain; that each has an outcome is.
    let under_way = 4 - client.capacity();
    assert!(under_way <= 3, "the rest of the window, and no more");
    for _ in 0..under_way {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
        assert!(answered(&mut incoming).await.1, "sent, so answered");
    }
    assert_eq!(client.capacity(), 4);
}

pub async fn a_broadcast_on_a_draining_connection_says_of_each_token_that_it_was_not_sent<
    R: Run,
    L: Link<R>,
>() {
    let (client, mut incoming, peer, _events) = pair::<R, L>(client_config()).await;
    peer.drain();
    event(&mut incoming, |event| {
        matches!(event, Event::Draining).then_some(())
    })
    .await;
    let mut broadcast = client.broadcast(greeting(), tokens(3));
    let mut outcomes = 0;
    while let Some((_, outcome)) = broadcast.next().await {
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
pub async fn a_task_may_send_between_two_outcomes_of_its_broadcast<R: Run, L: Link<R>>() {
    let (client, _incoming, peer, events) = pair::<R, L>(window_of(2)).await;
    spawn::<R, _>(ack_all(peer, events)).forget();
    let mut broadcast = client.broadcast(greeting(), tokens(50));
    let mut outcomes = 0;
    while let Some((_, outcome)) = broadcast.next().await {
        outcome.expect("accepted");
        client.send(message(outcomes)).await.expect("accepted");
        outcomes += 1;
    }
    assert_eq!(outcomes, 50);
}

/// As in a loop that selects between outcomes and events, and sends in answer to an event.
pub async fn a_broadcast_that_rests_is_not_in_the_way<R: Run, L: Link<R>>() {
    let (client, _incoming, peer, mut events) = pair::<R, L>(window_of(1)).await;
    let mut broadcast = client.broadcast(greeting(), tokens(2));
    // The first is on its way, the second waits for a place.
    assert!(Cancel::after(1).of(broadcast.next()).await.is_none());
    let answering = async {
        for _ in 0..2 {
            let (_, token) = downstream(&mut events).await;
            peer.ack(token, None).expect("open");
        }
    };
    let (sent, ()) = join(client.send(message(1)), answering).await;
    sent.expect("accepted");
    spawn::<R, _>(ack_all(peer, events)).forget();
    for _ in 0..2 {
        let (_, outcome) = broadcast.next().await.expect("an outcome");
        outcome.expect("accepted");
    }
    assert!(broadcast.next().await.is_none());
}

/// The tokens come from the application, which may ask anything of the client meanwhile.
pub async fn the_tokens_may_look_at_the_client<R: Run, L: Link<R>>() {
    let (client, _incoming, peer, events) = pair::<R, L>(window_of(2)).await;
    spawn::<R, _>(ack_all(peer, events)).forget();
    let looking = client.clone();
    let tokens = tokens(5).inspect(move |_| assert!(looking.capacity() <= 2));
    let mut broadcast = client.broadcast(greeting(), tokens);
    let mut outcomes = 0;
    while let Some((_, outcome)) = broadcast.next().await {
        outcome.expect("accepted");
        outcomes += 1;
    }
    assert_eq!(outcomes, 5);
}
