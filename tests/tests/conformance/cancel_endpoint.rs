//! Each future of the endpoint's side dropped at each point at which it waits.

use ccs_proto::driver::{AcceptError, Arrival, Endpoint, Verdict, connect};
use ccs_proto::{ServerConfig, ServerEvent};
use futures_util::future::join;

use crate::cancel_client::{dropped_after, still_works};
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
    let mut polls = 0;
    let mut completed = false;
    while !completed {
        peer.send(upstream(1_000 + polls)).await.expect("sent");
        let ahead = received(&mut incoming).await;
        // The window is full, so this one waits until the ack is there.
        let sending = dropped_after(polls, peer.send(upstream(polls)));
        let acking = async { ahead.ack().expect("open") };
        let (sent, ()) = join(sending, acking).await;
        if let Some(sent) = sent {
            sent.expect("sent");
            let message = received(&mut incoming).await;
            assert_eq!(message.message_id().as_str(), format!("u-{polls}"));
            message.ack().expect("open");
            completed = true;
        }
        polls += 1;
        assert!(polls < 100, "it is never done");
    }
    peer.send(upstream(2_000)).await.expect("sent");
    let next = received(&mut incoming).await;
    assert_eq!(next.message_id().as_str(), "u-2000", "none of the dropped");
    next.ack().expect("open");
    still_works(&client, &mut incoming, &peer, &mut events).await;
}

pub async fn waiting_for_an_event_of_a_peer_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    for polls in 0..20 {
        let answer = client.try_send(message(polls)).expect("a place");
        let event = match dropped_after(polls % 4, events.next()).await {
            Some(event) => event,
            None => events.next().await,
        };
        let Some(ServerEvent::Downstream {
            message_id, token, ..
        }) = event
        else {
            panic!("{event:?}");
        };
        assert_eq!(message_id.as_str(), format!("d-{polls}"));
        peer.ack(token, None).expect("open");
        answer.await.expect("accepted");
    }
    still_works(&client, &mut incoming, &peer, &mut events).await;
}

/// A login that is not seen through is a login that failed, for the client at once.
pub async fn a_login_may_be_dropped_anywhere<R: Run, L: Link<R>>() {
    for polls in 0.. {
        let (near, far) = L::connect().await;
        let (client, _incoming, driver) = client_over::<R, _>(client_config(), near);
        spawn::<R, _>(driver).forget();
        let (login, driver) = login_over::<R, _>(ServerConfig::default(), far);
        spawn::<R, _>(driver).forget();
        let deciding = login.decide(|_| async { Verdict::Accept });
        let Some(login) = dropped_after(polls, deciding).await else {
            // It may have been the bind's answer that was under way.
            if client.bound().await.is_ok() {
                assert_eq!(client.closed().await, Ok(()));
            }
            continue;
        };
        let (peer, mut events) = login.expect("logged in");
        assert_eq!(client.bound().await, Ok(()));
        let answer = client.try_send(message(1)).expect("a place");
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
        answer.await.expect("accepted");
        break;
    }
}

/// What an `accept` did not wait for, the next one gives.
pub async fn accepting_may_be_dropped_anywhere<R: Run>() {
    let (mut endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    for polls in 0..12 {
        let mut config = config(port);
        let good = polls % 3 != 2;
        if !good {
            config.client.key = "another".into();
        }
        let accepting = async {
            match dropped_after(polls % 5, endpoint.accept()).await {
                Some(arrival) => arrival,
                None => endpoint.accept().await,
            }
        };
        let (connected, arrival) = join(connect::<R>(config), accepting).await;
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
    }
}

pub async fn binding_may_be_dropped_anywhere<R: Run>() {
    for polls in 0.. {
        let identity = LOCALHOST.1.clone();
        let binding = Endpoint::<R>::bind(
            "127.0.0.1:0",
            identity,
            ServerConfig::default(),
            |_| async { Verdict::Accept },
        );
        if let Some(bound) = dropped_after(polls, binding).await {
            let mut endpoint = bound.expect("a port");
            let port = endpoint.local_addr().expect("an address").port();
            logged_in(&mut endpoint, config(port)).await;
            break;
        }
    }
}
