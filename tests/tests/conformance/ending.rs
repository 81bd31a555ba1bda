//! How connections end, and what becomes of what was under way.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use ccs_proto::driver::{SendError, Timer};
use ccs_proto::message::Downstream;
use ccs_proto::{AckError, Blocked, ConnectionError, StreamCondition, Time};
use ccs_tests::pipe::Shape;

use crate::ends::{
    SHORT, acked_until_closed, client_config, client_over, closed, downstream, message, not_sent,
    pair, received, scripted, scripted_over, start, upstream, window_of,
};
use crate::link::{Link, shaped};
use crate::runtime::{Run, spawn};
use crate::script::{ack_of, upstream_stanza};

/// A pipe that holds so many bytes.
fn narrow(capacity: usize) -> Shape {
    Shape {
        capacity,
        buffered: false,
        ..Shape::WIDE
    }
}

pub async fn closing_waits_for_answers_and_takes_acks_until_then<R: Run, L: Link<R>>() {
    let (client, mut incoming, driver, mut script) = scripted::<R, L>(window_of(3)).await;
    script.say(&upstream_stanza(5)).await;
    let upstream = received(&mut incoming).await;
    let under_way = client.try_send(message(1)).expect("a place");
    let mut closing = Box::pin({
        let client = client.clone();
        async move { client.close().await }
    });
    assert!(start(&mut closing).is_pending());
    assert_eq!(script.hear_message().await, "d-1");
    let result = client.send(message(2)).await;
    assert_eq!(result, Err(not_sent(2, Blocked::Closed)));
    upstream.ack().expect("acks still go");
    let acked = script.hear("</message>").await;
    assert!(acked.contains("u-5"), "{acked}");
    assert!(start(&mut closing).is_pending(), "an answer is due");
    let closing = spawn::<R, _>(closing);
    script.say(&ack_of("d-1")).await;
    under_way.await.expect("accepted");
    let rest = script.hear("</stream:stream>").await;
    assert_eq!(rest, "</stream:stream>");
    script.say("</stream:stream>").await;
    assert_eq!(closing.await, Ok(()));
    assert_eq!(closed(&mut incoming).await, Ok(()));
    assert_eq!(driver.await, Ok(()));
    assert!(incoming.next().await.is_none(), "nothing after the end");
}

pub async fn the_stream_ends_in_order_when_every_handle_is_dropped<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, mut events) = pair::<R, L>(window_of(3)).await;
    peer.send(upstream(1)).await.expect("sent");
    let held = received(&mut incoming).await;
    client.try_send(message(1)).expect("a place").detach();
    drop((client, incoming));
    let (_, token) = downstream(&mut events).await;
    peer.ack(token, None).expect("open");
    // A message that is still being handled keeps the connection open, to be acked.
    held.ack().expect("open");
    assert_eq!(acked_until_closed(&mut events).await, (1, Ok(())));
}

pub async fn the_stream_ends_in_order_when_the_endpoint_drops_its_handles<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, events) = pair::<R, L>(client_config()).await;
    peer.send(upstream(1)).await.expect("sent");
    let held = received(&mut incoming).await;
    drop((peer, events));
    assert_eq!(closed(&mut incoming).await, Ok(()));
    assert_eq!(client.closed().await, Ok(()));
    assert_eq!(held.ack(), Err(AckError::Closed), "it comes again");
}

/// What was sent and not acked is there for another connection, in order.
pub async fn what_nobody_acked_is_sent_again_on_another_connection<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    for n in 0..3 {
        peer.send(upstream(n)).await.expect("sent");
    }
    received(&mut incoming).await.ack().expect("open");
    drop(received(&mut incoming).await);
    assert_eq!(client.close().await, Ok(()));
    assert_eq!(acked_until_closed(&mut events).await, (1, Ok(())));
    let unacked = peer.take_unacked();
    assert_eq!(unacked, [upstream(1), upstream(2)]);
    assert!(peer.take_unacked().is_empty());

    let (_client, mut incoming, peer, _events) = pair::<R, L>(client_config()).await;
    for message in unacked {
        peer.send(message).await.expect("sent");
    }
    for id in ["u-1", "u-2"] {
        let again = received(&mut incoming).await;
        assert_eq!(again.message_id().as_str(), id);
        again.ack().expect("open");
    }
}

pub async fn a_lost_connection_leaves_what_was_in_flight_unknown<R: Run, L: Link<R>>() {
    let (client, mut incoming, driver, mut script) = scripted::<R, L>(window_of(1)).await;
    let no_id = client.try_send(Downstream::to("DEVICE")).expect("a place");
    let mut waiting = Box::pin({
        let client = client.clone();
        async move { client.send(message(2)).await }
    });
    assert!(start(&mut waiting).is_pending());
    let id = script.hear_message().await;
    drop(script);
    let result = no_id.await;
    let Err(SendError::Unknown {
        message_id,
        message: kept,
        error: Some(error),
    }) = result
    else {
        panic!("{result:?}");
    };
    assert_eq!(message_id.as_str(), id);
    assert_eq!(*kept, Downstream::to("DEVICE").id(id));
    let lost = Err(ConnectionError::UnexpectedEof);
    assert_eq!(Err(*error), lost);
    assert_eq!(waiting.await, Err(not_sent(2, Blocked::Closed)));
    assert_eq!(closed(&mut incoming).await, lost);
    assert_eq!(client.closed().await, lost);
    assert_eq!(driver.await, lost);
}

pub async fn a_message_that_is_cut_off_is_not_delivered<R: Run, L: Link<R>>() {
    let (client, mut incoming, driver, mut script) = scripted::<R, L>(window_of(1)).await;
    let under_way = client.try_send(message(1)).expect("a place");
    assert_eq!(script.hear_message().await, "d-1");
    let stanza = upstream_stanza(2);
    let (half, _) = stanza.split_at(stanza.len() - 3);
    script.say(&(upstream_stanza(1) + half)).await;
    assert_eq!(received(&mut incoming).await.message_id().as_str(), "u-1");
    drop(script);
    let event = incoming.next().await.expect("the end");
    let lost = ConnectionError::UnexpectedEof;
    let ended = format!("{event:?}");
    assert_eq!(ended, format!("Closed(Err({lost:?}))"));
    let result = under_way.await;
    let unknown = matches!(result, Err(SendError::Unknown { .. }));
    assert!(unknown, "{result:?}");
    assert_eq!(driver.await, Err(lost));
}

/// The peer is there and says nothing: a transport cannot tell that from one that is gone.
pub async fn a_half_open_connection_is_found_by_pings<R: Run, L: Link<R>>() {
    let mut config = window_of(1);
    (config.ping_interval, config.close_timeout) = (SHORT, SHORT);
    let (client, mut incoming, driver, mut script) = scripted::<R, L>(config).await;
    let under_way = client.try_send(message(1)).expect("a place");
    assert_eq!(script.hear_message().await, "d-1");
    for _ in 0..2 {
        script.hear("urn:xmpp:ping").await;
    }
    let end = closed(&mut incoming).await;
    let silent = matches!(end, Err(ConnectionError::PeerSilent { .. }));
    assert!(silent, "{end:?}");
    let result = under_way.await;
    let unknown = matches!(result, Err(SendError::Unknown { .. }));
    assert!(unknown, "{result:?}");
    assert_eq!(driver.await, end);
}

pub async fn a_message_without_an_answer_gives_the_connection_up<R: Run, L: Link<R>>() {
    let mut config = window_of(2);
    (config.answer_timeout, config.close_timeout) = (SHORT, SHORT);
    let (client, _incoming, driver, script) = scripted::<R, L>(config).await;
    let result = client.send(message(1)).await;
    let Err(SendError::Unknown { error, .. }) = result else {
        panic!("{result:?}");
    };
    let after = SHORT;
    let message_id = "d-1".into();
    let given_up = ConnectionError::AnswerTimeout { message_id, after };
    assert_eq!(error.as_deref(), Some(&given_up));
    assert_eq!(driver.await, Err(given_up));
    drop(script);
}

pub async fn dropping_the_driver_tells_everybody<R: Run, L: Link<R>>() {
    let (client, mut incoming, driver, mut script) = scripted::<R, L>(window_of(1)).await;
    let under_way = client.try_send(message(1)).expect("a place");
    assert_eq!(script.hear_message().await, "d-1");
    let mut waiting = pin!(client.send(message(2)));
    assert!(start(&mut waiting).is_pending());
    let mut closing = pin!(client.closed());
    assert!(start(&mut closing).is_pending());
    drop(driver);
    let result = under_way.await;
    let unknown = matches!(result, Err(SendError::Unknown { .. }));
    assert!(unknown, "{result:?}");
    assert_eq!(waiting.await, Err(not_sent(2, Blocked::Closed)));
    let what = "its driver was dropped".to_owned();
    let cut = Err(ConnectionError::Transport { what });
    assert_eq!(closing.await, cut);
    assert_eq!(closed(&mut incoming).await, cut);
    assert_eq!(client.close().await, cut);
}

pub async fn dropping_the_driver_before_the_login_tells_who_waits_for_it<R: Run, L: Link<R>>() {
    let (near, _far) = L::connect().await;
    let (client, _incoming, driver) = client_over::<R, _>(client_config(), near);
    let mut bound = pin!(client.bound());
    assert!(start(&mut bound).is_pending());
    drop(driver);
    let result = bound.await;
    let told = matches!(result, Err(ConnectionError::Transport { .. }));
    assert!(told, "{result:?}");
}

/// The end of the stream cannot even be written: the peer reads nothing.
pub async fn dropping_the_driver_of_a_failing_connection_tells_everybody<R: Run>() {
    let mut config = window_of(100);
    config.answer_timeout = SHORT;
    let ends = shaped(narrow(256));
    let (client, mut incoming, driver, script) = scripted_over::<R, _>(config, ends).await;
    for n in 0..99 {
        client.try_send(message(n)).expect("a place").detach();
    }
    let answer = client.try_send(message(99)).expect("a place");
    // Places are refused from the moment at which the connection fails.
    while client.reserve().await.is_ok() {}
    drop(driver);
    let result = answer.await;
    let lost = matches!(
        result,
        Err(SendError::Unknown { .. } | SendError::NotSent { .. })
    );
    assert!(lost, "{result:?}");
    assert!(closed(&mut incoming).await.is_err());
    assert!(client.closed().await.is_err());
    drop(script);
}

/// The peer writes nothing and reads nothing: the end of the stream cannot even be said.
pub async fn a_stuck_transport_cannot_hold_up_the_end<R: Run>() {
    let mut config = window_of(100);
    (config.settle_timeout, config.close_timeout) = (SHORT, SHORT);
    let ends = shaped(narrow(256));
    let (client, _incoming, driver, script) = scripted_over::<R, _>(config, ends).await;
    for n in 0..100 {
        client.try_send(message(n)).expect("a place").detach();
    }
    assert_eq!(client.close().await, Ok(()));
    assert_eq!(driver.await, Ok(()));
    drop(script);
}

/// After the verdict the connection waits for its end with the inbox as full as before, which is no reason to spin.
pub async fn a_stuck_peer_that_flooded_the_inbox_is_cut_without_spinning<R: Run>() {
    let mut config = client_config();
    (config.inbox_messages, config.inbox_patience) = (1, SHORT);
    config.close_timeout = SHORT;
    let ends = shaped(narrow(256));
    let (client, incoming, driver, mut script) = scripted_over::<R, _>(config, ends).await;
    for n in 0..100 {
        client.try_send(message(n)).expect("a place").detach();
    }
    for n in 0..2 {
        script.say(&upstream_stanza(n)).await;
    }
    let end = driver.await;
    let Err(ConnectionError::Protocol { condition, .. }) = end else {
        panic!("{end:?}");
    };
    assert_eq!(condition, StreamCondition::PolicyViolation);
    drop((incoming, script));
}

pub async fn a_cut_says_no_goodbye<R: Run, L: Link<R>>() {
    let (_client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    peer.cut();
    let lost = closed(&mut incoming).await;
    assert_eq!(lost, Err(ConnectionError::UnexpectedEof));
    let (_, own) = acked_until_closed(&mut events).await;
    let what = "cut by the endpoint".to_owned();
    assert_eq!(own, Err(ConnectionError::Transport { what }));
}

pub async fn a_stream_error_says_whose_it_is<R: Run, L: Link<R>>() {
    let (_client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    peer.end_with(StreamCondition::SystemShutdown, "back in a minute");
    let told = closed(&mut incoming).await.expect_err("a stream error");
    let said = "system-shutdown (back in a minute)";
    assert!(told.to_string().contains(said), "{told}");
    let (_, own) = acked_until_closed(&mut events).await;
    let own = own.expect_err("a stream error");
    assert!(own.to_string().contains("ended from this side"), "{own}");
}

struct Count;

impl Wake for Count {
    fn wake(self: Arc<Self>) {}
}

/// As in a loop that selects between the end and the next event.
pub async fn waiting_for_the_end_again_and_again_leaves_nothing_behind<R: Run, L: Link<R>>() {
    let (near, _far) = L::connect().await;
    let (client, _incoming, _driver) = client_over::<R, _>(client_config(), near);
    let count = Arc::new(Count);
    let waker = Waker::from(Arc::clone(&count));
    for _ in 0..1_000 {
        let mut cx = Context::from_waker(&waker);
        assert!(pin!(client.closed()).poll(&mut cx).is_pending());
        assert!(pin!(client.bound()).poll(&mut cx).is_pending());
    }
    assert_eq!(Arc::strong_count(&count), 2);
}

pub async fn a_deadline_beyond_the_clock_never_comes<R: Run>() {
    let mut timer = R::timer();
    timer.reset(Time::from_origin(Duration::MAX));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(timer.poll_expired(&mut cx).is_pending());
}
