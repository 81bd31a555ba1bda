//! Each future of the endpoint's side dropped at each point at which it waits.

use ccs_proto::driver::{AcceptError, Arrival, Endpoint, LoginVerdict, connect};
use ccs_proto::{AuthRequest, ServerConfig, ServerEvent};
use futures_util::future::join;

use crate::cancel::at_each_await;
use crate::cancel_client::still_works;
use crate::endpoints::{config, endpoint, logged_in};
use crate::ends::{
    client_config, client_over, downstream, login_over, message, pair, pair_over, received,
    upstream,
};
use crate::link::{LOCALHOST, Link};
use crate::runtime::{Run, spawn};

/// A message whose send was dropped while it waited is not sent; one that was not arrives, once, in order.
pub async fn a_send_of_the_endpoint_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    let mut server = ServerConfig::default();
    server.upstream_window = 1;
    let ends = L::connect().await;
    let (client, mut incoming, peer, mut events) =
        pair_over::<R, _>(client_config(), server, ends).await;
    at_each_await(async |cancel| {
        let n = cancel.number();
        peer.send(upstream(1_000 + n)).await.expect("sent");
        let ahead = received(&mut incoming).await;
        // The window is full, so this one waits until the ack is there.
        let sending = cancel.of(peer.send(upstream(n)));
        let acking = async { ahead.ack().expect("open") };
        let (sent, ()) = join(sending, acking).await;
        let done = sent.is_some();
        if let Some(sent) = sent {
            sent.expect("sent");
            let message = received(&mut incoming).await;
            assert_eq!(message.message_id().as_str(), format!("u-{n}"));
            message.ack().expect("open");
        }
        done
    })
    .await;
    peer.send(upstream(2_000)).await.expect("sent");
    let next = received(&mut incoming).await;
    assert_eq!(next.message_id().as_str(), "u-2000", "none of the dropped");
    next.ack().expect("open");
    still_works(&client, &mut incoming, &peer, &mut events).await;
}

pub async fn waiting_for_an_event_of_a_peer_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    at_each_await(async |cancel| {
        let n = cancel.number();
        let waiting = cancel.of(events.next());
        let (event, answer) = join(waiting, async { client.try_send(message(n)) }).await;
        let done = event.is_some();
        let event = match event {
            Some(event) => event,
            None => events.next().await,
        };
        let Some(ServerEvent::Downstream {
            message_id, token, ..
        }) = event
        else {
            panic!("{event:?}");
        };
        assert_eq!(message_id.as_str(), format!("d-{n}"));
        peer.ack(token, None).expect("open");
        answer.expect("a place").await.expect("accepted");
        done
    })
    .await;
    still_works(&client, &mut incoming, &peer, &mut events).await;
}

/// A login that is not seen through is a login that failed, for the client at once.
pub async fn a_login_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    at_each_await(async |cancel| {
        let (near, far) = L::connect().await;
        let (client, _incoming, driver) = client_over::<R, _>(client_config(), near);
        spawn::<R, _>(driver).forget();
        let (login, driver) = login_over::<R, _>(ServerConfig::default(), far);
        spawn::<R, _>(driver).forget();
        let deciding = login.decide(|_| async { LoginVerdict::Accept });
        let Some(login) = cancel.of(deciding).await else {
            // It may have been the bind's answer that was under way.
            if client.bound().await.is_ok() {
                assert_eq!(client.closed().await, Ok(()));
            }
            return false;
        };
        let (peer, mut events) = login.expect("logged in");
        assert_eq!(client.bound().await, Ok(()));
        let answer = client.try_send(message(1)).expect("a place");
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
        answer.await.expect("accepted");
        true
    })
    .await;
}

/// What an `accept` did not wait for, the next one gives: one that logs in, and one that has another key.
pub async fn accepting_may_be_dropped_anywhere<R: Run>() {
    let (mut endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    for good in [true, false] {
        at_each_await(async |cancel| {
            let mut config = config(port);
            if !good {
                config.client.key = "another".into();
            }
            let accepting = async {
                let accepted = cancel.of(endpoint.accept()).await;
                let done = accepted.is_some();
                match accepted {
                    Some(arrival) => (arrival, done),
                    None => (endpoint.accept().await, done),
                }
            };
            let (connected, (arrival, done)) = join(connect::<R>(config), accepting).await;
            match arrival.expect("it listens") {
                Arrival::Connected {
                    peer, mut events, ..
                } => {
                    assert!(good);
                    let (client, mut incoming) = connected.expect("logged in");
                    still_works(&client, &mut incoming, &peer, &mut events).await;
                }
                Arrival::Refused { error, .. } => {
                    assert!(!good, "{error:?}");
                    assert!(matches!(error, AcceptError::Connection(_)), "{error:?}");
                    connected.map(drop).expect_err("another key");
                }
                other => panic!("{other:?}"),
            }
            done
        })
        .await;
    }
}

/// An address whose `bind` was dropped is free.
pub async fn binding_may_be_dropped_anywhere<R: Run>() {
    let mut address = "127.0.0.1:0".to_owned();
    at_each_await(async |cancel| {
        let identity = LOCALHOST.1.clone();
        let server = ServerConfig::default();
        let accept = |_: &AuthRequest| async { LoginVerdict::Accept };
        let binding = Endpoint::<R>::bind(&address, identity, server, accept);
        let Some(bound) = cancel.of(binding).await else {
            return false;
        };
        let mut endpoint = bound.expect("a port");
        let port = endpoint.local_addr().expect("an address").port();
        logged_in(&mut endpoint, config(port)).await;
        address = format!("127.0.0.1:{port}");
        true
    })
    .await;
}
