//! Much at once, in pieces of every size, and ends that are slow.

use std::future::Future;

use ccs_proto::driver::{Client, Event, Incoming, Peer, PeerEvents, SendError};
use ccs_proto::{AckError, Blocked, ConnectionError, ServerConfig, ServerEvent, StreamCondition};
use ccs_tests::pipe::Shape;
use futures_util::future::{join, join3};

use crate::ends::{
    SHORT, client_config, downstream, message, not_sent, pair, pair_over, received, scripted,
    start, upstream, window_of,
};
use crate::link::{Link, shaped};
use crate::runtime::{Run, spawn};
use crate::script::upstream_stanza;

/// Sends `count` messages each way at once; each must arrive once and be acked once. Then the client closes.
async fn both_ways<R: Run>(
    (client, incoming, peer, events): (Client, Incoming, Peer, PeerEvents),
    count: usize,
) {
    let endpoint = spawn::<R, _>(endpoint(peer.clone(), events));
    let app_server = spawn::<R, _>(app_server(incoming, count));
    let down = send_all(count, |n| {
        let client = client.clone();
        async move { client.send(message(n)).await.map(drop).expect("accepted") }
    });
    let up = send_all(count, |n| {
        let peer = peer.clone();
        async move { peer.send(upstream(n)).await.expect("sent") }
    });
    join(down, up).await;
    app_server.await;
    assert_eq!(client.close().await, Ok(()));
    let all = Vec::from_iter(0..count);
    let (messages, acked) = endpoint.await;
    assert_eq!(messages, all, "downstream messages arrived");
    assert_eq!(acked, all, "upstream messages were acked");
}

/// Sends so many, a hundred and a few more waiting at a time.
async fn send_all<F: Future<Output = ()>>(count: usize, send: impl Fn(usize) -> F) {
    use futures_util::stream::{StreamExt, iter};
    iter(0..count).for_each_concurrent(150, send).await;
}

/// Acks all that it gets, and says in order what that was and what was acked of its own.
async fn endpoint(peer: Peer, mut events: PeerEvents) -> (Vec<usize>, Vec<usize>) {
    let (mut messages, mut acked) = (Vec::new(), Vec::new());
    let number = |id: &str| {
        id.split_once('-')
            .and_then(|(_, n)| n.parse::<usize>().ok())
    };
    loop {
        match events.next().await.expect("an event") {
            ServerEvent::Downstream {
                message_id, token, ..
            } => {
                messages.extend(number(message_id.as_str()));
                peer.ack(token, None).expect("open");
            }
            ServerEvent::Acked(message) => acked.extend(number(message.message_id().as_str())),
            ServerEvent::Closed(end) => {
                assert_eq!(end, Ok(()));
                messages.sort_unstable();
                acked.sort_unstable();
                return (messages, acked);
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn app_server(mut incoming: Incoming, count: usize) -> Incoming {
    for _ in 0..count {
        received(&mut incoming).await.ack().expect("open");
    }
    incoming
}

pub async fn twenty_thousand_messages_go_each_way_at_once<R: Run, L: Link<R>>() {
    both_ways::<R>(pair::<R, L>(client_config()).await, 20_000).await;
}

pub async fn pieces_of_every_size_arrive_whole<R: Run>() {
    // From one byte to more than a stanza, and each `Pending` more or less often.
    for size in (1..20).chain([64, 333, 1_000]) {
        let shape = Shape {
            read: size,
            write: 1_000 / size + 1,
            capacity: size * 3,
            pending: 2 + u32::try_from(size % 3).expect("small"),
            buffered: size % 2 == 0,
        };
        let ends = shaped(shape);
        let server = ServerConfig::default();
        both_ways::<R>(pair_over::<R, _>(client_config(), server, ends).await, 5).await;
    }
}

/// Nothing is lost and nobody is cut off when an application takes its time: the endpoint's window fills, and waits.
pub async fn an_application_that_is_slow_holds_the_endpoint_up_and_loses_nothing<
    R: Run,
    L: Link<R>,
>() {
    let (client, mut incoming, peer, events) = pair::<R, L>(window_of(2)).await;
    let endpoint = spawn::<R, _>(endpoint(peer.clone(), events));
    for n in 0..100 {
        peer.send(upstream(n)).await.expect("a place");
    }
    let mut more = Box::pin({
        let peer = peer.clone();
        async move { peer.send(upstream(100)).await }
    });
    assert!(start(&mut more).is_pending(), "the window is full");
    assert!(peer.try_send(upstream(101)).is_err());
    // What it sends itself has its answers meanwhile.
    client.send(message(0)).await.expect("accepted");
    let more = spawn::<R, _>(more);
    for n in 0..=100 {
        let message = received(&mut incoming).await;
        assert_eq!(message.message_id().as_str(), format!("u-{n}"));
        message.ack().expect("open");
    }
    more.await.expect("sent");
    assert_eq!(client.close().await, Ok(()));
    let (messages, acked) = endpoint.await;
    assert_eq!((messages, acked), (vec![0], Vec::from_iter(0..=100)));
}

pub async fn an_endpoint_that_is_slow_holds_the_application_up_and_loses_nothing<
    R: Run,
    L: Link<R>,
>() {
    let (client, mut incoming, peer, mut events) = pair::<R, L>(window_of(100)).await;
    let answers = Vec::from_iter((0..100).map(|n| client.try_send(message(n)).expect("a place")));
    assert_eq!(
        client.try_send(message(100)).err(),
        Some(not_sent(100, Blocked::WindowFull))
    );
    // What it sends itself is acked meanwhile.
    peer.send(upstream(0)).await.expect("sent");
    received(&mut incoming).await.ack().expect("open");
    for n in 0..100 {
        let (got, token) = downstream(&mut events).await;
        assert_eq!(got.payload(), message(n).payload());
        peer.ack(token, None).expect("open");
    }
    for answer in answers {
        answer.await.expect("accepted");
    }
    assert_eq!(client.capacity(), 100);
}

pub async fn a_peer_whose_events_nobody_takes_can_send_all_the_same<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, events) = pair::<R, L>(client_config()).await;
    drop(events);
    let sending = async {
        for n in 0..FLOOD {
            peer.send(upstream(n)).await.expect("a place");
        }
    };
    let acking = async {
        for _ in 0..FLOOD {
            received(&mut incoming).await.ack().expect("still open");
        }
    };
    join(sending, acking).await;
    assert_eq!(client.close().await, Ok(()));
}

/// What became of each message, in order, and how the connection ended.
#[derive(Default)]
struct Echoed {
    sent: Vec<Result<(), SendError>>,
    acked: Vec<Result<(), AckError>>,
    end: Option<Result<(), ConnectionError>>,
}

/// The loop that everybody writes: take a message, send one back, ack it, all in one task. Goes on until the connection
/// is over, or until `enough` were echoed and the client is closed.
async fn echo<R: Run>(client: Client, mut incoming: Incoming, enough: usize) -> Echoed {
    let mut echoed = Echoed::default();
    while let Some(event) = incoming.next().await {
        match event {
            Event::Upstream(upstream) => {
                let n = echoed.sent.len();
                echoed.sent.push(client.send(message(n)).await.map(drop));
                echoed.acked.push(upstream.ack());
                if n + 1 == enough {
                    let client = client.clone();
                    spawn::<R, _>(async move { client.close().await }).forget();
                }
            }
            Event::Closed(end) => echoed.end = Some(end),
            _ => {}
        }
    }
    echoed
}

/// More than the client's inbox holds.
const FLOOD: usize = 1_500;

pub async fn thousands_at_once_are_echoed_and_acked_in_one_task<R: Run, L: Link<R>>() {
    let (client, incoming, peer, events) = pair::<R, L>(client_config()).await;
    let sending = send_all(FLOOD, |n| {
        let peer = peer.clone();
        async move { peer.send(upstream(n)).await.expect("sent") }
    });
    let (echoed, (), (messages, acked)) = join3(
        echo::<R>(client, incoming, FLOOD),
        sending,
        endpoint(peer.clone(), events),
    )
    .await;
    assert_eq!((messages.len(), acked.len()), (FLOOD, FLOOD));
    assert_eq!(echoed.sent.len(), FLOOD);
    assert!(echoed.sent.iter().all(Result::is_ok));
    assert!(echoed.acked.iter().all(Result::is_ok));
    assert_eq!(echoed.end, Some(Ok(())));
}

/// The answer to the first echo lies behind thousands of messages, and no more than the inbox holds are read. So one of
/// the two has to give way, and it is the peer, who broke the window.
pub async fn a_peer_that_ignores_the_window_is_cut_off_and_the_waiting_send_is_unknown<
    R: Run,
    L: Link<R>,
>() {
    let mut config = client_config();
    // Long enough, on a busy machine too, for the first answer to be on its way when the patience ends.
    (config.inbox_patience, config.close_timeout) = (4 * SHORT, SHORT);
    let (client, incoming, driver, script) = scripted::<R, L>(config).await;
    let flood = script.flood((0..FLOOD).map(upstream_stanza).collect());
    let flood = spawn::<R, _>(flood);
    let echoed = echo::<R>(client, incoming, FLOOD).await;
    let Some(Err(ConnectionError::Protocol { condition, .. })) = &echoed.end else {
        panic!("{:?}", echoed.end);
    };
    assert_eq!(*condition, StreamCondition::PolicyViolation);
    let mut sent = echoed.sent.into_iter();
    let Some(Err(SendError::Unknown {
        message_id,
        message: kept,
        error: Some(_),
    })) = sent.next()
    else {
        panic!("the first was under way");
    };
    assert_eq!((message_id.as_str(), *kept), ("d-0", message(0)));
    for (n, result) in sent.enumerate() {
        assert_eq!(result, Err(not_sent(n + 1, Blocked::Closed)));
    }
    // What was read and not handled in time is not acked: it comes again.
    assert!(echoed.acked.iter().all(|ack| *ack == Err(AckError::Closed)));
    assert!(driver.await.is_err());
    drop(flood);
}

pub async fn a_peer_that_ignores_the_window_gets_through_where_the_inbox_holds_it_all<
    R: Run,
    L: Link<R>,
>() {
    let mut config = client_config();
    config.inbox_messages = 2 * FLOOD;
    let (client, incoming, driver, script) = scripted::<R, L>(config).await;
    let flood = script.flood((0..FLOOD).map(upstream_stanza).collect());
    let (echoed, ()) = join(echo::<R>(client, incoming, FLOOD), flood).await;
    assert_eq!(echoed.sent.len(), FLOOD);
    assert!(echoed.sent.iter().all(Result::is_ok));
    assert!(echoed.acked.iter().all(Result::is_ok));
    assert_eq!(driver.await, Ok(()));
}
