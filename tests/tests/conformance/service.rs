//! A service that survives its connections, on every runtime.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccs_proto::driver::service::{
    Handling, Inbound, Routes, Service, ServiceError, ServiceEvent, StartConfig,
};
use ccs_proto::driver::{Client, Endpoint, Peer, PeerEvents};
use ccs_proto::message::{Data, Downstream, NackCode, Upstream};
use ccs_proto::session::{Backoff, DeadReason, SessionEvent, Settlement, Verdict};
use ccs_proto::{ServerConfig, ServerEvent};
use futures_util::future::{join, join_all};

use crate::endpoints::{arrival, config, endpoint};
use crate::ends::{SHORT, downstream, message, start};
use crate::one_task::{ENOUGH, polls};
use crate::runtime::Run;

const MESSAGES: usize = 300;

/// A service that does not wait long for anything.
pub fn hasty<R: Run>(port: u16) -> StartConfig<R> {
    let mut start = StartConfig::new(config(port));
    let soon = Backoff::new(Duration::from_millis(1), Duration::from_millis(20));
    start.session.retry = soon;
    start.session.reconnect = soon;
    start.session.handler_retry = soon;
    start
}

pub async fn started<R: Run>(
    start: impl FnOnce(&mut StartConfig<R>),
) -> (Service, Inbound, Endpoint<R>, Peer, PeerEvents) {
    let (mut endpoint, port) = endpoint::<R>(ServerConfig::default()).await;
    let mut config = hasty::<R>(port);
    start(&mut config);
    let (service, inbound) = Client::start(config);
    let (peer, events) = arrival(&mut endpoint).await;
    (service, inbound, endpoint, peer, events)
}

/// The next delivery; what else there is to see is passed over.
pub async fn delivery(inbound: &mut Inbound) -> Handling {
    loop {
        match inbound.next().await {
            Some(ServiceEvent::Delivery(handling)) => return handling,
            Some(_) => {}
            None => panic!("the service is over"),
        }
    }
}

/// Waits until one of these is acked, and says which.
pub async fn acked(events: &mut PeerEvents) -> String {
    loop {
        match events.next().await {
            Some(ServerEvent::Acked(settled)) => return settled.message_id().as_str().to_owned(),
            Some(_) => {}
            None => panic!("nothing more comes"),
        }
    }
}

/// Which of [`message`]'s it is.
fn number(message: &Downstream) -> usize {
    let n = message.payload().and_then(|data| data.get("n"));
    n.expect("a number").parse().expect("digits")
}

fn upstream(id: &str, action: &str) -> Upstream {
    Upstream::new("DEVICE", id).with_data(Data::new().with("action", action))
}

/// Acks what comes, until the connection is over; the number.
async fn ack_all(peer: Peer, mut events: PeerEvents) -> usize {
    let mut count = 0;
    while let Some(event) = events.next().await {
        if let ServerEvent::Downstream { token, .. } = event {
            count += usize::from(peer.ack(token, None).is_ok());
        }
    }
    count
}

pub async fn what_was_in_flight_on_a_cut_connection_goes_out_again<R: Run>() {
    let (service, inbound, mut endpoint, peer, mut events) = started::<R>(|_| {}).await;
    let sending = join_all((0..MESSAGES).map(|n| service.send(message(n))));
    let serving = async {
        // Ten are taken, five of them answered, and then the wire is cut.
        for n in 0..10 {
            let (_, token) = downstream(&mut events).await;
            if n < 5 {
                peer.ack(token, None).expect("open");
            }
        }
        peer.cut();
        let (peer, events) = arrival(&mut endpoint).await;
        let acking = ack_all(peer, events);
        let closing = async {
            let left = service.shutdown(Duration::from_secs(60)).await;
            assert_eq!(left.len(), 0);
        };
        join(acking, closing).await.0
    };
    // The shutdown takes nothing new, so it is asked for when all are under way: they are by the first poll of `sending`.
    let (sent, again) = join(sending, serving).await;
    for result in sent {
        result.expect("accepted");
    }
    assert!(again >= MESSAGES - 10, "{again}");
    drop(inbound);
}

pub async fn a_drained_connection_finishes_beside_the_next_one<R: Run>() {
    let (service, mut inbound, mut endpoint, peer, mut events) = started::<R>(|_| {}).await;
    peer.send(upstream("u-1", "x")).await.expect("open");
    let first = delivery(&mut inbound).await;
    let before = service.send(message(1));
    let draining = async {
        let (_, token) = downstream(&mut events).await;
        peer.drain();
        let (next, mut next_events) = arrival(&mut endpoint).await;
        let after = async {
            let sent = service.send(message(2)).await;
            sent.expect("accepted on the new one");
        };
        let answering = async {
            let (_, token) = downstream(&mut next_events).await;
            next.ack(token, None).expect("open");
        };
        join(after, answering).await;
        // What came on the old one is answered and acked there.
        peer.ack(token, None).expect("still open");
        first.ack();
        assert_eq!(acked(&mut events).await, "u-1");
        next
    };
    let (before, next) = join(before, draining).await;
    before.expect("accepted on the old one");
    drop((next, service));
}

pub async fn a_refusal_for_a_while_is_tried_again_and_one_for_good_is_told<R: Run>() {
    let (service, mut inbound, _endpoint, peer, mut events) = started::<R>(|_| {}).await;
    let refusing = async {
        let (_, token) = downstream(&mut events).await;
        let busy = NackCode::ServiceUnavailable;
        peer.nack(token, &busy, "busy").expect("open");
        let (again, token) = downstream(&mut events).await;
        assert_eq!(number(&again), 1);
        peer.ack(token, None).expect("open");
        let (_, token) = downstream(&mut events).await;
        let gone = NackCode::DeviceUnregistered;
        peer.nack(token, &gone, "gone").expect("open");
    };
    let sending = async {
        service.send(message(1)).await.expect("accepted in the end");
        service.send(message(2)).await
    };
    let (refused, ()) = join(sending, refusing).await;
    assert!(
        matches!(refused, Err(ServiceError::Refused { .. })),
        "{refused:?}"
    );
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match inbound.next().await.expect("it goes on") {
            ServiceEvent::Session(SessionEvent::Retrying { id, .. }) => seen.push(id.to_string()),
            ServiceEvent::Session(SessionEvent::TokenGone { token, .. }) => seen.push(token),
            _ => {}
        }
    }
    assert_eq!(seen, ["d-1", "DEVICE"]);
}

pub async fn a_handler_decides_and_one_that_says_nothing_gets_it_again<R: Run>() {
    let (service, mut inbound, _endpoint, peer, mut events) = started::<R>(|_| {}).await;
    for id in ["u-1", "u-2", "u-3"] {
        peer.send(upstream(id, "x")).await.expect("open");
    }
    let first = delivery(&mut inbound).await;
    assert_eq!((first.message_id().as_str(), first.attempt()), ("u-1", 1));
    first.retry();
    let again = delivery(&mut inbound).await;
    assert_eq!((again.message_id().as_str(), again.attempt()), ("u-1", 2));
    drop(again);
    let again = delivery(&mut inbound).await;
    assert_eq!((again.message_id().as_str(), again.attempt()), ("u-1", 3));
    again.ack();
    assert_eq!(acked(&mut events).await, "u-1");
    delivery(&mut inbound).await.dead();
    assert_eq!(acked(&mut events).await, "u-2");
    delivery(&mut inbound).await.ack();
    assert_eq!(acked(&mut events).await, "u-3");
    assert_eq!(service.dead_letters().len(), 1);
    assert_eq!(service.dead_letters()[0].reason, DeadReason::Handler);
}

pub async fn each_kind_has_its_handler_and_a_panic_or_a_hang_is_a_try<R: Run>() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let hangs = Arc::new(AtomicUsize::new(0));
    let note = |name: &'static str| {
        let log = Arc::clone(&log);
        move |id: String, attempt: u32| log.lock().expect("whole").push((name, id, attempt))
    };
    let (echo, panics, hung) = (note("echo"), note("panics"), note("hangs"));
    let counted = Arc::clone(&hangs);
    let routes = Routes::new(8, Duration::from_millis(200))
        .on_value("action", "ECHO", move |message, attempt| {
            echo(message.message_id().to_string(), attempt);
            async { Verdict::Ack }
        })
        .on_value("action", "PANIC", move |message, attempt| {
            panics(message.message_id().to_string(), attempt);
            async move {
                assert!(attempt > 1, "on purpose");
                Verdict::Ack
            }
        })
        .on_value("action", "HANG", move |message, attempt| {
            hung(message.message_id().to_string(), attempt);
            let counted = Arc::clone(&counted);
            async move {
                if attempt == 1 {
                    counted.fetch_add(1, Ordering::Relaxed);
                    std::future::pending::<()>().await;
                }
                Verdict::Ack
            }
        });
    let (service, mut inbound, _endpoint, peer, mut events) =
        started::<R>(|start| start.routes = Some(routes)).await;
    for (id, device, action) in [
        ("u-1", "A", "ECHO"),
        ("u-2", "B", "PANIC"),
        ("u-3", "C", "HANG"),
        ("u-4", "D", "unknown"),
    ] {
        let message = Upstream::new(device, id).with_data(Data::new().with("action", action));
        peer.send(message).await.expect("open");
    }
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(acked(&mut events).await);
    }
    all.sort();
    assert_eq!(all, ["u-1", "u-2", "u-3", "u-4"]);
    let mut log = std::mem::take(&mut *log.lock().expect("whole"));
    log.sort();
    let runs: Vec<_> = log
        .iter()
        .map(|(n, id, attempt)| (*n, id.as_str(), *attempt))
        .collect();
    assert_eq!(
        runs,
        [
            ("echo", "u-1", 1),
            ("hangs", "u-3", 1),
            ("hangs", "u-3", 2),
            ("panics", "u-2", 1),
            ("panics", "u-2", 2),
        ]
    );
    assert_eq!(hangs.load(Ordering::Relaxed), 1);
    // What no handler was there for is kept, and acked.
    assert_eq!(service.dead_letters().len(), 1);
    loop {
        match inbound.next().await.expect("it goes on") {
            ServiceEvent::Session(SessionEvent::DeadLetter(_)) => break,
            ServiceEvent::Session(_) => {}
            other => panic!("routed ones do not come here: {other:?}"),
        }
    }
}

pub async fn a_dropped_send_is_taken_back_and_one_that_was_submitted_is_not<R: Run>() {
    let (service, mut inbound, _endpoint, peer, mut events) = started::<R>(|start| {
        start.connect.client.window = 1;
    })
    .await;
    // The one that fills the window goes on without its sender.
    let id = service.submit(message(1)).await.expect("taken");
    let (_, token) = downstream(&mut events).await;
    let mut waiting = Box::pin(service.send(message(2)));
    assert!(start(&mut waiting).is_pending());
    drop(waiting);
    let last = service.submit(message(3)).await.expect("taken");
    peer.ack(token, None).expect("open");
    let (third, token) = downstream(&mut events).await;
    assert_eq!(number(&third), 3, "the dropped one is not sent");
    peer.ack(token, None).expect("open");
    let mut settled = Vec::new();
    while settled.len() < 2 {
        if let ServiceEvent::Session(SessionEvent::Settled { id, outcome }) =
            inbound.next().await.expect("it goes on")
        {
            assert!(matches!(outcome, Settlement::Acked { .. }), "{outcome:?}");
            settled.push(id);
        }
    }
    assert_eq!(settled, [id, last]);
}

pub async fn a_shutdown_finishes_what_it_has_and_tells_what_is_left<R: Run>() {
    let (service, mut inbound, _endpoint, peer, mut events) = started::<R>(|_| {}).await;
    let answered = service.send(message(1));
    let unanswered = service.send(message(2));
    let ending = async {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
        let (_, _held) = downstream(&mut events).await;
        let left = service.shutdown(Duration::from_millis(100)).await;
        let late = service.send(message(3)).await;
        assert!(
            matches!(late, Err(ServiceError::ShuttingDown(_))),
            "{late:?}"
        );
        left
    };
    let (answered, (unanswered, left)) = join(answered, join(unanswered, ending)).await;
    answered.expect("accepted");
    assert!(
        matches!(&unanswered, Err(ServiceError::Left { unknown: true, .. })),
        "{unanswered:?}"
    );
    assert_eq!(left.len(), 1);
    assert!(left[0].unknown);
    while let Some(event) = inbound.next().await {
        assert!(matches!(event, ServiceEvent::Session(_)), "{event:?}");
    }
}

pub async fn dropping_every_handle_ends_the_service_in_order<R: Run>() {
    let (service, inbound, _endpoint, peer, mut events) = started::<R>(|_| {}).await;
    service.submit(message(1)).await.expect("taken");
    drop((service, inbound));
    let (_, token) = downstream(&mut events).await;
    peer.ack(token, None).expect("open");
    loop {
        if let ServerEvent::Closed(end) = events.next().await.expect("a last event") {
            return end.expect("in order");
        }
    }
}

/// It leaves what devices send where it is, so that must not have it polled again and again.
pub async fn one_that_only_waits_for_events_rests_while_a_message_waits<R: Run>() {
    let (service, mut inbound, _endpoint, peer, mut events) = started::<R>(|start| {
        start.connect.client.answer_timeout = SHORT;
    })
    .await;
    // The message of the device is there before the answer to ours, which is told, and after which nothing happens.
    peer.send(upstream("u-1", "x")).await.expect("open");
    service.submit(message(1)).await.expect("taken");
    let (_, token) = downstream(&mut events).await;
    peer.ack(token, None).expect("open");
    service.submit(message(2)).await.expect("taken");
    let watching = async {
        loop {
            let event = inbound.next_event().await.expect("it goes on");
            if matches!(event, SessionEvent::Disconnected { .. }) {
                return;
            }
        }
    };
    let ((), count) = polls(watching).await;
    assert!(count < ENOUGH, "{count} polls");
}
