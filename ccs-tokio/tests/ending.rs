//! How connections end, and what becomes of what was under way.
#![allow(missing_docs)]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use ccs_tokio::proto::driver::Timer;
use ccs_tokio::proto::{StreamCondition, Time};
use ccs_tokio::{
    Blocked, ClientConfig, ConnectionError, Event, Incoming, IoTimer, Message, SendError,
    ServerConfig, ServerEvent,
};
use support::{
    ack_of, client_config, client_over, closed, downstream, event, gcm, in_time, message, pair,
    peer_over, scripted, upstream, upstream_stanza,
};
use tokio::io::duplex;

const DRAINING: &str = r#"{"message_type":"control","control_type":"CONNECTION_DRAINING"}"#;

fn window_of(window: usize) -> ClientConfig {
    let mut config = client_config();
    config.window = window;
    config
}

async fn received(incoming: &mut Incoming) -> Message {
    event(incoming, |event| match event {
        Event::Upstream(message) => Some(message),
        _ => None,
    })
    .await
}

fn not_sent(n: usize, why: Blocked) -> SendError {
    SendError::NotSent {
        message: Box::new(message(n)),
        why,
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_drains_what_waits_comes_back_and_what_is_under_way_is_finished() {
    let (client, mut incoming, driver, mut script) = scripted(window_of(1), 4096).await;
    let first = client.try_send(message(1)).expect("a place");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.send(message(2)).await }
    });
    assert_eq!(in_time(script.hear_message()).await, "d-1");
    script.say(&gcm(DRAINING)).await;
    script.say(&upstream_stanza(5)).await;
    event(&mut incoming, |event| {
        matches!(event, Event::Draining).then_some(())
    })
    .await;
    let result = in_time(waiting).await.expect("no panic");
    assert_eq!(result, Err(not_sent(2, Blocked::Draining)));
    let result = in_time(client.send(message(3))).await;
    assert_eq!(result, Err(not_sent(3, Blocked::Draining)));
    received(&mut incoming).await.ack().expect("acks still go");
    assert!(in_time(script.hear("</message>")).await.contains("u-5"));
    script.say(&ack_of("d-1")).await;
    in_time(first).await.expect("accepted");
    script.say("</stream:stream>").await;
    assert_eq!(closed(&mut incoming).await, Ok(()));
    assert_eq!(in_time(driver).await.expect("no panic"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_message_queued_or_permitted_when_it_begins_to_drain_was_not_sent() {
    let (client, mut incoming, _driver, mut script) = scripted(window_of(3), 4096).await;
    let permit = in_time(client.reserve()).await.expect("a place");
    script.say(&gcm(DRAINING)).await;
    event(&mut incoming, |event| {
        matches!(event, Event::Draining).then_some(())
    })
    .await;
    let refused = permit.send(message(1)).err();
    assert_eq!(refused, Some(not_sent(1, Blocked::Draining)));
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_answers_and_takes_acks_until_then() {
    let (client, mut incoming, driver, mut script) = scripted(window_of(3), 4096).await;
    script.say(&upstream_stanza(5)).await;
    let upstream = received(&mut incoming).await;
    let under_way = client.try_send(message(1)).expect("a place");
    let closing = tokio::spawn({
        let client = client.clone();
        async move { client.close().await }
    });
    assert_eq!(in_time(script.hear_message()).await, "d-1");
    let result = in_time(client.send(message(2))).await;
    assert_eq!(result, Err(not_sent(2, Blocked::Closed)));
    upstream.ack().expect("acks still go");
    let acked = in_time(script.hear("</message>")).await;
    assert!(acked.contains("u-5"), "{acked}");
    assert!(!closing.is_finished(), "an answer is due");
    script.say(&ack_of("d-1")).await;
    in_time(under_way).await.expect("accepted");
    assert_eq!(
        in_time(script.hear("</stream:stream>")).await,
        "</stream:stream>"
    );
    script.say("</stream:stream>").await;
    assert_eq!(in_time(closing).await.expect("no panic"), Ok(()));
    assert_eq!(closed(&mut incoming).await, Ok(()));
    assert_eq!(in_time(driver).await.expect("no panic"), Ok(()));
    assert!(
        in_time(incoming.next()).await.is_none(),
        "nothing after the end"
    );
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_in_order_when_every_handle_is_dropped() {
    let (client, mut incoming, peer, mut events) = pair(window_of(3)).await;
    in_time(peer.send(upstream(1))).await.expect("sent");
    let held = received(&mut incoming).await;
    client.try_send(message(1)).expect("a place").detach();
    drop((client, incoming));
    let (_, token) = downstream(&mut events).await;
    peer.ack(token, None).expect("open");
    // A message that is still being handled keeps the connection open, to be acked.
    held.ack().expect("open");
    let mut acked = 0;
    let end = loop {
        match in_time(events.next()).await.expect("an event") {
            ServerEvent::Acked(_) => acked += 1,
            ServerEvent::Closed(end) => break end,
            _ => {}
        }
    };
    assert_eq!((acked, end), (1, Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_leaves_what_was_in_flight_unknown_with_message_and_id() {
    let (client, mut incoming, driver, mut script) = scripted(window_of(1), 4096).await;
    let no_id = client
        .try_send(ccs_tokio::Downstream::to("DEVICE"))
        .expect("a place");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.send(message(2)).await }
    });
    let id = in_time(script.hear_message()).await;
    drop(script);
    let result = in_time(no_id).await;
    let Err(SendError::Unknown {
        message_id,
        message: kept,
        error: Some(error),
    }) = result
    else {
        panic!("{result:?}");
    };
    assert_eq!(message_id.as_str(), id);
    assert_eq!(*kept, ccs_tokio::Downstream::to("DEVICE").id(id));
    assert_eq!(*error, ConnectionError::UnexpectedEof);
    let result = in_time(waiting).await.expect("no panic");
    assert_eq!(result, Err(not_sent(2, Blocked::Closed)));
    assert_eq!(
        closed(&mut incoming).await,
        Err(ConnectionError::UnexpectedEof)
    );
    assert_eq!(
        in_time(client.closed()).await,
        Err(ConnectionError::UnexpectedEof)
    );
    assert_eq!(
        in_time(driver).await.expect("no panic"),
        Err(ConnectionError::UnexpectedEof)
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_the_driver_tells_everybody() {
    let (client, mut incoming, driver, mut script) = scripted(window_of(1), 4096).await;
    let under_way = client.try_send(message(1)).expect("a place");
    assert_eq!(in_time(script.hear_message()).await, "d-1");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.send(message(2)).await }
    });
    let closing = tokio::spawn({
        let client = client.clone();
        async move { client.closed().await }
    });
    tokio::task::yield_now().await;
    driver.abort();
    let cut = ConnectionError::Transport {
        what: "its driver was dropped".to_owned(),
    };
    assert!(matches!(
        in_time(under_way).await,
        Err(SendError::Unknown { .. })
    ));
    let result = in_time(waiting).await.expect("no panic");
    assert_eq!(result, Err(not_sent(2, Blocked::Closed)));
    assert_eq!(in_time(closing).await.expect("no panic"), Err(cut.clone()));
    assert_eq!(closed(&mut incoming).await, Err(cut.clone()));
    assert_eq!(in_time(client.close()).await, Err(cut));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_driver_before_the_login_tells_who_waits_for_it() {
    let (near, _far) = duplex(4096);
    let (client, _incoming, driver) = client_over(client_config(), near);
    let bound = tokio::spawn(async move { client.bound().await });
    tokio::task::yield_now().await;
    drop(driver);
    let result = in_time(bound).await.expect("no panic");
    assert!(
        matches!(result, Err(ConnectionError::Transport { .. })),
        "{result:?}"
    );
}

/// The peer writes nothing and reads nothing: the end of the stream cannot even be said.
#[tokio::test(start_paused = true)]
async fn a_stuck_transport_cannot_hold_up_the_end() {
    let (client, _incoming, driver, script) = scripted(window_of(100), 256).await;
    for n in 0..100 {
        client.try_send(message(n)).expect("a place").detach();
    }
    assert_eq!(in_time(client.close()).await, Ok(()));
    assert_eq!(in_time(driver).await.expect("no panic"), Ok(()));
    drop(script);
}

/// After the verdict the connection waits for its end with the inbox as full as before, which is no reason to spin:
/// with a paused clock that never ends.
#[tokio::test(start_paused = true)]
async fn a_stuck_peer_that_flooded_the_inbox_is_cut_without_spinning() {
    let mut config = client_config();
    (config.inbox_messages, config.inbox_patience) = (1, Duration::from_secs(3));
    let (client, incoming, driver, mut script) = scripted(config, 256).await;
    for n in 0..100 {
        client.try_send(message(n)).expect("a place").detach();
    }
    for n in 0..2 {
        script.say(&upstream_stanza(n)).await;
    }
    let end = in_time(driver).await.expect("no panic");
    let Err(ConnectionError::Protocol { condition, .. }) = end else {
        panic!("{end:?}");
    };
    assert_eq!(condition, StreamCondition::PolicyViolation);
    drop((incoming, script));
}

struct Count;

impl Wake for Count {
    fn wake(self: Arc<Self>) {}
}

/// As in a loop that selects between the end and the next event.
#[tokio::test(start_paused = true)]
async fn waiting_for_the_end_again_and_again_leaves_nothing_behind() {
    let (near, _far) = duplex(4096);
    let (client, _incoming, _driver) = client_over(client_config(), near);
    let count = Arc::new(Count);
    let waker = Waker::from(Arc::clone(&count));
    for _ in 0..1_000 {
        let mut cx = Context::from_waker(&waker);
        assert!(pin!(client.closed()).poll(&mut cx).is_pending());
        assert!(pin!(client.bound()).poll(&mut cx).is_pending());
    }
    assert_eq!(Arc::strong_count(&count), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_the_clock_never_comes() {
    let mut timer = IoTimer::new();
    timer.reset(Time::from_origin(Duration::MAX));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(timer.poll_expired(&mut cx).is_pending());
}

/// Who does not wait does not overtake who waits, though a place is free and the first in line has had no turn yet.
#[tokio::test(start_paused = true)]
async fn an_endpoint_sends_in_the_order_of_asking() {
    let (near, far) = duplex(64 * 1024);
    let (_client, mut incoming, driver) = client_over(client_config(), near);
    tokio::spawn(driver);
    let mut config = ServerConfig::default();
    config.upstream_window = 1;
    let (peer, mut events) = peer_over(config, far).await;
    in_time(peer.send(upstream(0))).await.expect("sent");
    let mut waiting = pin!(peer.send(upstream(1)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    received(&mut incoming).await.ack().expect("open");
    while !matches!(in_time(events.next()).await, Some(ServerEvent::Acked(_))) {}
    assert!(peer.try_send(upstream(2)).is_err());
    in_time(waiting).await.expect("sent");
    assert_eq!(received(&mut incoming).await.message_id().as_str(), "u-1");
}

#[tokio::test(start_paused = true)]
async fn a_peer_whose_events_nobody_takes_can_send_all_the_same() {
    let (client, mut incoming, peer, events) = pair(client_config()).await;
    drop(events);
    let acking = tokio::spawn(async move {
        let mut acked = 0;
        while acked < 3_000 {
            received(&mut incoming).await.ack().expect("still open");
            acked += 1;
        }
        acked
    });
    for n in 0..3_000 {
        in_time(peer.send(upstream(n))).await.expect("a place");
    }
    assert_eq!(in_time(acking).await.expect("no panic"), 3_000);
    in_time(client.close()).await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn a_cut_says_no_goodbye_and_an_ending_says_whose_it_is() {
    let (client, mut incoming, peer, mut events) = pair(client_config()).await;
    peer.cut();
    assert_eq!(
        closed(&mut incoming).await,
        Err(ConnectionError::UnexpectedEof)
    );
    drop((client, events));

    let (_client, mut incoming, peer, events_of_another) = pair(client_config()).await;
    events = events_of_another;
    peer.end_with(StreamCondition::SystemShutdown, "back in a minute");
    let told = closed(&mut incoming).await.expect_err("a stream error");
    assert!(
        told.to_string()
            .contains("system-shutdown (back in a minute)"),
        "{told}"
    );
    while let Some(event) = in_time(events.next()).await {
        if let ServerEvent::Closed(Err(own)) = event {
            assert!(own.to_string().contains("ended from this side"), "{own}");
            return;
        }
    }
    panic!("the endpoint's own end was not told");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_driver_of_a_failing_connection_tells_everybody() {
    let mut config = window_of(3);
    config.answer_timeout = Duration::from_secs(10);
    // The peer reads nothing more, so the end of the stream cannot be written.
    let (client, mut incoming, driver, mut script) = scripted(config, 64).await;
    let answer = client.try_send(message(1)).expect("a place");
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::task::yield_now().await;
    driver.abort();
    let result = in_time(answer).await;
    assert!(
        matches!(result, Err(SendError::Unknown { .. })),
        "{result:?}"
    );
    assert!(closed(&mut incoming).await.is_err());
    assert!(in_time(client.closed()).await.is_err());
    let _ = &mut script;
}
