//! Each future of a service dropped at each point at which it waits: it goes on, each message has one outcome, and each
//! delivery is given once.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use ccs_proto::driver::service::{Service, ServiceError, ServiceEvent};
use ccs_proto::driver::{Client, Endpoint, Peer, PeerEvents};
use ccs_proto::message::Upstream;
use ccs_proto::session::{SessionEvent, Settlement};
use ccs_proto::{ServerConfig, ServerEvent};
use futures_util::future::join;

use crate::cancel::at_each_await;
use crate::cancel_client::ids_acked;
use crate::endpoints::{arrival, endpoint};
use crate::ends::{ack_all, downstream, message, upstream};
use crate::runtime::{Run, spawn};
use crate::service::{acked, delivery, hasty, started};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends with `send`, dropped ever later, where neither the queue nor the window has a place: each message is either
/// taken back and never arrives, or it arrives once and has one outcome. `send` says whether it was told of that.
async fn sends_dropped<R: Run, S, F>(send: S)
where
    S: Fn(Service, usize) -> F,
    F: Future<Output = Result<bool, ServiceError>>,
{
    let (service, mut inbound, _endpoint, peer, events) = started::<R>(|start| {
        start.connect.client.window = 1;
        start.session.queue_messages = 1;
    })
    .await;
    let arrived = spawn::<R, _>(ids_acked(peer, events));
    let mut outcomes = Vec::new();
    at_each_await(async |cancel| {
        let n = cancel.number();
        let ahead = service.submit(message(1_000 + n));
        ahead.await.expect("taken");
        let result = cancel.of(send(service.clone(), n)).await;
        let done = result.is_some();
        if let Some(result) = result
            && result.expect("accepted")
        {
            outcomes.push(format!("d-{n}"));
        }
        done
    })
    .await;
    // A place that was left behind would be in the way now.
    service.submit(message(2_000)).await.expect("taken");
    assert_eq!(service.shutdown(PATIENCE).await.len(), 0);
    assert_eq!(service.queued(), 0);
    while let Some(event) = inbound.next().await {
        if let ServiceEvent::Session(SessionEvent::Settled { id, outcome }) = event {
            assert!(matches!(outcome, Settlement::Acked { .. }), "{outcome:?}");
            outcomes.push(id.as_str().to_owned());
        }
    }
    let mut arrived = arrived.await;
    outcomes.sort_unstable();
    arrived.sort_unstable();
    assert_eq!(outcomes, arrived, "each that arrived has one outcome");
    let once: BTreeSet<_> = arrived.iter().collect();
    assert_eq!(once.len(), arrived.len(), "each arrived once");
    assert!(!arrived.contains(&"d-0".to_owned()), "never asked for");
}

pub async fn a_send_of_a_service_may_be_dropped_anywhere<R: Run>() {
    sends_dropped::<R, _, _>(|service, n| async move {
        service.send(message(n)).await?;
        Ok(true)
    })
    .await;
}

/// Once it is taken its outcome is an event, whoever is gone.
pub async fn a_submission_may_be_dropped_anywhere<R: Run>() {
    sends_dropped::<R, _, _>(|service, n| async move {
        service.submit(message(n)).await?;
        Ok(false)
    })
    .await;
}

/// What one `next` did not wait for, the next one gives, as the first try that it is.
pub async fn waiting_for_a_delivery_may_be_dropped_anywhere<R: Run>() {
    let (_service, mut inbound, _endpoint, peer, mut events) = started::<R>(|_| {}).await;
    at_each_await(async |cancel| {
        let n = cancel.number();
        let waiting = cancel.of(delivery(&mut inbound));
        let (handling, sent) = join(waiting, peer.send(upstream(n))).await;
        sent.expect("open");
        let done = handling.is_some();
        let handling = match handling {
            Some(handling) => handling,
            None => delivery(&mut inbound).await,
        };
        let id = format!("u-{n}");
        assert_eq!(
            (handling.message_id().as_str(), handling.attempt()),
            (&*id, 1)
        );
        handling.ack();
        assert_eq!(acked(&mut events).await, id);
        done
    })
    .await;
}

/// The same for events alone, while a message of a device waits for somebody to take it.
pub async fn waiting_for_an_event_of_a_service_may_be_dropped_anywhere<R: Run>() {
    let (service, mut inbound, _endpoint, peer, mut events) = started::<R>(|_| {}).await;
    let first = Upstream::new("DEVICE", "u-1");
    peer.send(first).await.expect("open");
    let mut settled = Vec::new();
    let mut all = Vec::new();
    at_each_await(async |cancel| {
        let n = cancel.number();
        let sending = async {
            let id = service.submit(message(n)).await.expect("taken");
            let (_, token) = downstream(&mut events).await;
            peer.ack(token, None).expect("open");
            id
        };
        let waiting = cancel.of(async {
            loop {
                if let Some(SessionEvent::Settled { id, .. }) = inbound.next_event().await {
                    return id;
                }
            }
        });
        let (id, sent) = join(waiting, sending).await;
        all.push(sent);
        let done = id.is_some();
        settled.extend(id);
        done
    })
    .await;
    while settled.len() < all.len() {
        if let Some(SessionEvent::Settled { id, .. }) = inbound.next_event().await {
            settled.push(id);
        }
    }
    assert_eq!(settled, all, "each once, in order");
    let handling = delivery(&mut inbound).await;
    assert_eq!(
        (handling.message_id().as_str(), handling.attempt()),
        ("u-1", 1)
    );
    handling.ack();
    assert_eq!(acked(&mut events).await, "u-1");
}

/// Sends one message, which the endpoint acks.
async fn sends(service: &Service, peer: &Peer, events: &mut PeerEvents, n: usize) {
    let answering = async {
        let (_, token) = downstream(events).await;
        peer.ack(token, None).expect("open");
    };
    let (sent, ()) = join(service.send(message(n)), answering).await;
    sent.expect("accepted");
}

/// Who waits for the end does not bring it about, and who gave up waiting can wait again.
pub async fn waiting_for_the_end_of_a_service_may_be_dropped_anywhere<R: Run>() {
    at_each_await(async |cancel| {
        let (service, _inbound, _endpoint, peer, mut events) = started::<R>(|_| {}).await;
        let talking = async {
            sends(&service, &peer, &mut events, 1).await;
            assert_eq!(service.shutdown(PATIENCE).await.len(), 0);
        };
        let (left, ()) = join(cancel.of(service.ended()), talking).await;
        assert_eq!(service.ended().await.len(), 0);
        left.is_some()
    })
    .await;
}

/// A shutdown that is not waited for is a shutdown all the same: what was taken is sent, and nothing new is taken.
pub async fn a_shutdown_may_be_dropped_anywhere<R: Run>() {
    at_each_await(async |cancel| {
        let (service, _inbound, _endpoint, peer, mut events) = started::<R>(|_| {}).await;
        service.submit(message(1)).await.expect("taken");
        let (_, token) = downstream(&mut events).await;
        let acking = async { peer.ack(token, None).expect("open") };
        let shutdown = cancel.of(service.shutdown(PATIENCE));
        let (left, ()) = join(shutdown, acking).await;
        if !cancel.polls() {
            // Nobody has asked for it yet.
            sends(&service, &peer, &mut events, 2).await;
            service.shutdown(PATIENCE).await;
        }
        let late = service.send(message(3)).await;
        assert!(
            matches!(late, Err(ServiceError::ShuttingDown(_))),
            "{late:?}"
        );
        assert_eq!(service.ended().await.len(), 0);
        let end = async {
            loop {
                if let Some(ServerEvent::Closed(end)) = events.next().await {
                    return end;
                }
            }
        };
        assert_eq!(end.await, Ok(()), "in order");
        left.is_some()
    })
    .await;
}

/// Lets everybody in, and acks what comes.
async fn serves<R: Run>(mut endpoint: Endpoint<R>) {
    loop {
        let (peer, events) = arrival(&mut endpoint).await;
        spawn::<R, _>(ack_all(peer, events)).forget();
    }
}

/// Dropping the driver cuts the connection: who waits is told, and what has no outcome is left.
pub async fn a_driver_of_a_service_may_be_dropped_anywhere<R: Run>() {
    let (endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    let _serving = spawn::<R, _>(serves(endpoint));
    at_each_await(async |cancel| {
        let (service, mut inbound, driver) = Client::start_with(hasty::<R>(port));
        let talk = async {
            let sent = service.send(message(1)).await;
            (sent, service.shutdown(PATIENCE).await)
        };
        let (driven, (sent, left)) = join(cancel.of(driver), talk).await;
        match (&sent, &*left) {
            (Ok(_), []) => {}
            (Err(ServiceError::ShuttingDown(back)), []) => assert_eq!(**back, message(1)),
            (Err(ServiceError::Left { unknown, .. }), [left]) => assert_eq!(left.unknown, *unknown),
            other => panic!("{other:?}"),
        }
        if driven.is_some() {
            sent.expect("accepted");
        }
        while let Some(event) = inbound.next().await {
            assert!(matches!(event, ServiceEvent::Session(_)), "{event:?}");
        }
        driven.is_some()
    })
    .await;
}
