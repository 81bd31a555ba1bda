//! Each future of the app server's side dropped at each point at which it waits: the connection goes on, and nothing is
//! lost or doubled.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Mutex;
use std::task::Poll;

use ccs_proto::driver::{
    Client, Config, ConnectError, Endpoint, Event, Incoming, Peer, PeerEvents, SendError, Verdict,
    connect, connect_with,
};
use ccs_proto::message::{Downstream, RegistrationToken};
use ccs_proto::{ServerConfig, ServerEvent};
use ccs_tls::Trust;
use futures_util::future::{Either, join, select};

use crate::broadcast::tokens;
use crate::endpoints::{arrival, config, endpoint};
use crate::ends::{
    ack_all, capacity, client_config, client_over, closed, downstream, login_over, message, pair,
    peer_over, received, upstream, window_of,
};
use crate::link::Link;
use crate::runtime::{Run, spawn};

/// Polls a future so many times, each time that it is woken, and then drops it. `None` if it was not done by then.
pub async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last of them is not waited for.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The connection still takes a message each way.
pub async fn still_works(
    client: &Client,
    incoming: &mut Incoming,
    peer: &Peer,
    events: &mut PeerEvents,
) {
    let (accepted, ()) = join(client.send(Downstream::to("LAST")), async {
        let (_, token) = downstream(events).await;
        peer.ack(token, None).expect("open");
    })
    .await;
    accepted.expect("accepted");
    peer.send(upstream(999_999)).await.expect("sent");
    loop {
        let message = received(incoming).await;
        let last = message.message_id().as_str() == "u-999999";
        message.ack().expect("open");
        if last {
            return;
        }
    }
}

/// Sends with `send`, dropped ever later: each message is either taken back and never arrives, or it arrives once and
/// its outcome is known, as the result or as an event.
async fn sends_dropped<R: Run, L: Link<R>, S, F>(send: S)
where
    S: Fn(Client, usize) -> F,
    F: Future<Output = Result<(), SendError>>,
{
    let (client, mut incoming, peer, events) = pair::<R, L>(window_of(1)).await;
    let arrived = spawn::<R, _>(ids_acked(peer, events));
    let known = Mutex::new(Vec::new());
    let note = |n: usize, sent: Result<(), SendError>| {
        sent.expect("accepted");
        known.lock().expect("whole").push(format!("d-{n}"));
    };
    let mut completed = false;
    let mut polls = 0;
    while !completed {
        // In the way of the first: so that it waits for a place, too.
        let ahead = client.try_send(message(1_000 + polls)).expect("a place");
        let ahead = async { note(1_000 + polls, ahead.await.map(drop)) };
        let send = send(client.clone(), polls);
        let send = async { note(polls, send.await) };
        completed = dropped_after(polls, join(send, ahead)).await.is_some();
        // Until what was handed over is answered there is no place.
        capacity(&client, 1).await;
        polls += 1;
        assert!(polls < 100, "it is never done");
    }
    client.close().await.expect("in order");
    while let Some(event) = incoming.next().await {
        match event {
            Event::Answered { message_id, result } => {
                result.expect("accepted");
                let mut known = known.lock().expect("whole");
                known.push(message_id.as_str().to_owned());
            }
            Event::Closed(end) => assert_eq!(end, Ok(())),
            other => panic!("{other:?}"),
        }
    }
    let arrived = arrived.await;
    let mut known = known.into_inner().expect("whole");
    known.sort_unstable();
    let mut sorted = arrived.clone();
    sorted.sort_unstable();
    assert_eq!(known, sorted, "each that arrived has one outcome");
    let once: BTreeSet<_> = arrived.iter().collect();
    assert_eq!(once.len(), arrived.len(), "each arrived once");
}

/// Acks every message until the end, and says which there were.
async fn ids_acked(peer: Peer, mut events: PeerEvents) -> Vec<String> {
    let mut ids = Vec::new();
    while let Some(event) = events.next().await {
        if let ServerEvent::Downstream {
            message_id, token, ..
        } = event
        {
            ids.push(message_id.as_str().to_owned());
            peer.ack(token, None).expect("open");
        }
    }
    ids
}

pub async fn a_send_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    sends_dropped::<R, L, _, _>(|client, n| async move { client.send(message(n)).await.map(drop) })
        .await;
}

pub async fn a_permit_and_an_answer_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    sends_dropped::<R, L, _, _>(|client, n| async move {
        let permit = client.reserve().await.expect("open");
        permit.send(message(n))?.await.map(drop)
    })
    .await;
}

/// Here the answer alone is waited for.
pub async fn the_answer_to_a_tried_send_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, events) = pair::<R, L>(window_of(1)).await;
    let arrived = spawn::<R, _>(ids_acked(peer, events));
    let mut results = Vec::new();
    for polls in 0.. {
        let answer = client.try_send(message(polls)).expect("a place");
        let result = dropped_after(polls, answer).await;
        capacity(&client, 1).await;
        if let Some(result) = result {
            result.expect("accepted");
            results.push(format!("d-{polls}"));
            break;
        }
    }
    client.close().await.expect("in order");
    while let Some(event) = incoming.next().await {
        if let Event::Answered { message_id, result } = event {
            result.expect("accepted");
            results.push(message_id.as_str().to_owned());
        }
    }
    results.sort_unstable();
    let mut arrived = arrived.await;
    arrived.sort_unstable();
    assert_eq!(arrived, results);
}

/// What one `next` did not wait for, the next one gives.
pub async fn a_broadcast_may_rest_anywhere<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, events) = pair::<R, L>(window_of(3)).await;
    let arrived = spawn::<R, _>(ids_acked(peer, events));
    let mut broadcast = client.broadcast(Downstream::to("nobody"), tokens(50));
    let mut outcomes = BTreeSet::new();
    let mut polls = 0;
    loop {
        // One poll does something; none does nothing.
        match dropped_after(polls % 4, broadcast.next()).await {
            Some(Some((token, outcome))) => {
                outcome.expect("accepted");
                assert!(outcomes.insert(token), "one outcome a token");
            }
            Some(None) => break,
            None if polls % 4 == 0 => {}
            // Others have a turn, as they would in a loop that selects.
            None => capacity_or_turn(&client).await,
        }
        polls += 1;
    }
    let all: BTreeSet<RegistrationToken> = tokens(50).collect();
    assert_eq!(outcomes, all);
    drop(broadcast);
    client.close().await.expect("in order");
    assert_eq!(arrived.await.len(), 50, "none was sent twice");
    let end = incoming.next().await;
    assert!(matches!(end, Some(Event::Closed(Ok(())))), "{end:?}");
}

/// Gives a place back at once, if there is one.
async fn capacity_or_turn(client: &Client) {
    drop(dropped_after(2, client.reserve()).await);
}

pub async fn waiting_for_an_event_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    for polls in 0..20 {
        let id = format!("u-{polls}");
        let sending = peer.send(upstream(polls));
        let waiting = dropped_after(polls % 4, incoming.next());
        let (sent, event) = join(sending, waiting).await;
        sent.expect("sent");
        let event = match event {
            Some(event) => event,
            None => incoming.next().await,
        };
        let Some(Event::Upstream(message)) = event else {
            panic!("{event:?}");
        };
        assert_eq!(message.message_id().as_str(), id);
        message.ack().expect("open");
    }
    still_works(&client, &mut incoming, &peer, &mut events).await;
}

pub async fn waiting_for_the_login_or_the_end_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    for polls in 0.. {
        let (near, far) = L::connect().await;
        let (client, mut incoming, driver) = client_over::<R, _>(client_config(), near);
        spawn::<R, _>(driver).forget();
        let waiting = {
            let client = client.clone();
            async move {
                let bound = client.bound().await;
                bound.is_ok()
            }
        };
        let login = peer_over::<R, _>(ServerConfig::default(), far);
        let (bound, (peer, mut events)) = join(dropped_after(polls, waiting), login).await;
        assert_eq!(client.bound().await, Ok(()));
        assert_eq!(dropped_after(1, client.closed()).await, None);
        still_works(&client, &mut incoming, &peer, &mut events).await;
        if bound.is_some() {
            break;
        }
    }
}

/// A close that is not waited for is a close all the same.
pub async fn closing_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    for polls in 1.. {
        let (client, mut incoming, peer, events) = pair::<R, L>(client_config()).await;
        let answer = client.try_send(message(1)).expect("a place");
        let acks = spawn::<R, _>(ack_all(peer, events));
        let result = dropped_after(polls, client.close()).await;
        answer.await.expect("what was accepted is sent");
        assert_eq!(closed(&mut incoming).await, Ok(()));
        assert_eq!(client.closed().await, Ok(()));
        assert_eq!(acks.await, 1);
        if result.is_some() {
            break;
        }
    }
}

/// Dropping the driver is a cut: everybody is told, and what arrived is known to be unknown.
pub async fn a_driver_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    for polls in 0.. {
        let (near, far) = L::connect().await;
        let (client, mut incoming, driver) = client_over::<R, _>(client_config(), near);
        let endpoint = spawn::<R, _>(async move {
            let (login, driver) = login_over::<R, _>(ServerConfig::default(), far);
            let acks = async {
                match login.decide(|_| async { Verdict::Accept }).await {
                    Ok((peer, events)) => ack_all(peer, events).await,
                    Err(_) => 0,
                }
            };
            join(acks, driver).await
        });
        let talk = async {
            client.bound().await?;
            let sent = client.send(message(1));
            let _ = dropped_after(2, sent).await;
            client.close().await
        };
        let driven = dropped_after(polls, driver);
        let (driven, talked) = join(driven, talk).await;
        let end = closed(&mut incoming).await;
        assert_eq!(end.is_ok(), driven.is_some(), "{end:?}");
        assert_eq!(talked.is_ok(), driven.is_some(), "{talked:?}");
        let (acked, end) = endpoint.await;
        assert!(acked <= 1);
        if driven.is_some() {
            assert_eq!((acked, end), (1, Ok(())));
            break;
        }
        assert!(polls < 200, "it is never done");
    }
}

/// Whatever came of it, the endpoint lets the next one in.
async fn connections_dropped<R: Run, T, F>(connect: impl Fn(Config<Trust>) -> F)
where
    F: Future<Output = Result<T, ConnectError>>,
{
    let (mut endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    for polls in 0.. {
        let accepting = async {
            loop {
                drop(arrival(&mut endpoint).await);
            }
        };
        let connecting = dropped_after(polls, connect(config(port)));
        let connected = match select(pin!(connecting), pin!(accepting)).await {
            Either::Left((connected, _)) => connected,
            Either::Right((never, _)) => never,
        };
        if let Some(connected) = connected {
            drop(connected.expect("logged in"));
            break;
        }
        assert!(polls < 200, "it is never done");
    }
    let (client, mut incoming, peer, mut events) = logged_in_after(&mut endpoint, port).await;
    still_works(&client, &mut incoming, &peer, &mut events).await;
}

pub async fn connecting_may_be_dropped_anywhere<R: Run>() {
    connections_dropped::<R, _, _>(connect::<R>).await;
}

/// The same where the driver is the caller's: nothing that was spawned keeps the connection.
pub async fn connecting_by_hand_may_be_dropped_anywhere<R: Run>() {
    connections_dropped::<R, _, _>(connect_with::<R>).await;
}

/// Logs in as a sender of its own, whose arrival is told from those before.
async fn logged_in_after<R: Run>(
    endpoint: &mut Endpoint<R>,
    port: u16,
) -> (Client, Incoming, Peer, PeerEvents) {
    let mut config = config(port);
    config.client.sender = "999".parse().expect("digits");
    let connecting = connect::<R>(config);
    let arriving = async {
        loop {
            let (peer, events) = arrival(endpoint).await;
            if peer.sender().as_str() == "999" {
                return (peer, events);
            }
        }
    };
    let (connected, (peer, events)) = join(connecting, arriving).await;
    let (client, incoming) = connected.expect("logged in");
    (client, incoming, peer, events)
}
