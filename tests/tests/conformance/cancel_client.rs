//! Each future of the app server's side dropped at each point at which it waits: the connection goes on, and nothing is
//! lost or doubled.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;

use ccs_proto::driver::{
    Client, Config, ConnectError, Endpoint, Event, Incoming, LoginVerdict, Peer, PeerEvents,
    SendError, connect, connect_with,
};
use ccs_proto::message::{Downstream, RegistrationToken};
use ccs_proto::{ServerConfig, ServerEvent};
use ccs_tls::Trust;
use futures_util::future::{Either, join, select};

use crate::broadcast::tokens;
use crate::cancel::{Cancel, at_each_await};
use crate::endpoints::{arrival, config, endpoint};
use crate::ends::{
    ack_all, capacity, client_config, client_over, closed, downstream, login_over, message, pair,
    peer_over, received, upstream, window_of,
};
use crate::link::Link;
use crate::runtime::{Run, spawn};

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
    at_each_await(async |cancel| {
        let n = cancel.number();
        // In the way of the first: so that it waits for a place, too.
        let ahead = client.try_send(message(1_000 + n)).expect("a place");
        let ahead = async { note(1_000 + n, ahead.await.map(drop)) };
        let send = send(client.clone(), n);
        let send = async { note(n, send.await) };
        let done = cancel.of(join(send, ahead)).await.is_some();
        // Until what was handed over is answered there is no place.
        capacity(&client, 1).await;
        done
    })
    .await;
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
pub async fn ids_acked(peer: Peer, mut events: PeerEvents) -> Vec<String> {
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
    at_each_await(async |cancel| {
        let n = cancel.number();
        let answer = client.try_send(message(n)).expect("a place");
        let result = cancel.of(answer).await;
        capacity(&client, 1).await;
        let done = result.is_some();
        if let Some(result) = result {
            result.expect("accepted");
            results.push(format!("d-{n}"));
        }
        done
    })
    .await;
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
    // One `next` after the other is dropped ever later, and starts anew when one was done.
    while outcomes.len() < 50 {
        at_each_await(async |cancel| {
            let outcome = cancel.of(broadcast.next()).await;
            let done = outcome.is_some();
            if let Some(Some((token, outcome))) = outcome {
                outcome.expect("accepted");
                assert!(outcomes.insert(token), "one outcome a token");
            }
            // Others have a turn, as they would in a loop that selects.
            drop(Cancel::after(2).of(client.reserve()).await);
            done
        })
        .await;
    }
    assert!(broadcast.next().await.is_none());
    let all: BTreeSet<RegistrationToken> = tokens(50).collect();
    assert_eq!(outcomes, all);
    assert_eq!(client.capacity(), 3);
    drop(broadcast);
    client.close().await.expect("in order");
    assert_eq!(arrived.await.len(), 50, "none was sent twice");
    let end = incoming.next().await;
    assert!(matches!(end, Some(Event::Closed(Ok(())))), "{end:?}");
}

pub async fn waiting_for_an_event_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    at_each_await(async |cancel| {
        let n = cancel.number();
        let waiting = cancel.of(incoming.next());
        let (event, sent) = join(waiting, peer.send(upstream(n))).await;
        sent.expect("sent");
        let done = event.is_some();
        let event = match event {
            Some(event) => event,
            None => incoming.next().await,
        };
        let Some(Event::Upstream(message)) = event else {
            panic!("{event:?}");
        };
        assert_eq!(message.message_id().as_str(), format!("u-{n}"));
        message.ack().expect("open");
        done
    })
    .await;
    still_works(&client, &mut incoming, &peer, &mut events).await;
}

pub async fn waiting_for_the_login_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    at_each_await(async |cancel| {
        let (near, far) = L::connect().await;
        let (client, mut incoming, driver) = client_over::<R, _>(client_config(), near);
        spawn::<R, _>(driver).forget();
        let waiting = cancel.of(client.bound());
        let login = peer_over::<R, _>(ServerConfig::default(), far);
        let (bound, (peer, mut events)) = join(waiting, login).await;
        assert_eq!(client.bound().await, Ok(()));
        still_works(&client, &mut incoming, &peer, &mut events).await;
        bound.is_some()
    })
    .await;
}

/// Who waits for the end does not bring it about, and who gave up waiting can wait again.
pub async fn waiting_for_the_end_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    at_each_await(async |cancel| {
        let (client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
        let talking = async {
            still_works(&client, &mut incoming, &peer, &mut events).await;
            peer.close();
            assert_eq!(client.closed().await, Ok(()));
        };
        let (end, ()) = join(cancel.of(client.closed()), talking).await;
        assert_eq!(client.closed().await, Ok(()));
        assert_eq!(closed(&mut incoming).await, Ok(()));
        end.is_some()
    })
    .await;
}

/// A close that is not waited for is a close all the same.
pub async fn closing_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    at_each_await(async |cancel| {
        let (client, mut incoming, peer, events) = pair::<R, L>(client_config()).await;
        let answer = client.try_send(message(1)).expect("a place");
        let acks = spawn::<R, _>(ack_all(peer, events));
        let result = cancel.of(client.close()).await;
        answer.await.expect("what was accepted is sent");
        if !cancel.polls() {
            // Nobody has asked for it yet.
            client.send(message(2)).await.expect("accepted");
            client.close().await.expect("in order");
        }
        assert_eq!(closed(&mut incoming).await, Ok(()));
        assert_eq!(client.closed().await, Ok(()));
        assert_eq!(acks.await, if cancel.polls() { 1 } else { 2 });
        result.is_some()
    })
    .await;
}

/// Dropping the driver is a cut: everybody is told, and what arrived is known to be unknown.
pub async fn a_driver_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    at_each_await(async |cancel| {
        let (near, far) = L::connect().await;
        let (client, mut incoming, driver) = client_over::<R, _>(client_config(), near);
        let endpoint = spawn::<R, _>(async move {
            let (login, driver) = login_over::<R, _>(ServerConfig::default(), far);
            let acks = async {
                match login.decide(|_| async { LoginVerdict::Accept }).await {
                    Ok((peer, events)) => ack_all(peer, events).await,
                    Err(_) => 0,
                }
            };
            join(acks, driver).await
        });
        let talk = async {
            client.bound().await?;
            let sent = client.send(message(1));
            let _ = Cancel::after(2).of(sent).await;
            client.close().await
        };
        let (driven, talked) = join(cancel.of(driver), talk).await;
        let end = closed(&mut incoming).await;
        // It may be dropped while all is said and only the transport is being closed.
        assert!(end.is_ok() || driven.is_none(), "{end:?}");
        assert_eq!(talked.is_ok(), end.is_ok(), "{talked:?}, {end:?}");
        let (acked, far_end) = endpoint.await;
        assert!(acked <= 1);
        if driven.is_some() {
            assert_eq!((acked, far_end), (1, Ok(())));
        }
        driven.is_some()
    })
    .await;
}

/// Whatever came of it, the endpoint lets the next one in.
async fn connections_dropped<R: Run, T, F>(connect: impl Fn(Config<Trust>) -> F)
where
    F: Future<Output = Result<T, ConnectError>>,
{
    let (mut endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    at_each_await(async |cancel| {
        let accepting = async {
            loop {
                drop(arrival(&mut endpoint).await);
            }
        };
        let connecting = cancel.of(connect(config(port)));
        let connected = match select(pin!(connecting), pin!(accepting)).await {
            Either::Left((connected, _)) => connected,
            Either::Right((never, _)) => never,
        };
        let done = connected.is_some();
        drop(connected.map(|connected| connected.expect("logged in")));
        done
    })
    .await;
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
