//! An endpoint that says that it will close a connection.

use ccs_proto::driver::{Event, Incoming};
use ccs_proto::{Blocked, ServerConfig, ServerEvent};

use crate::ends::{
    ack_all, client_config, closed, downstream, event, message, not_sent, pair, pair_over,
    received, scripted, start, upstream, window_of,
};
use crate::link::Link;
use crate::runtime::{Run, spawn};
use crate::script::{ack_of, gcm, upstream_stanza};

const DRAINING: &str = r#"{"message_type":"control","control_type":"CONNECTION_DRAINING"}"#;

async fn draining(incoming: &mut Incoming) {
    event(incoming, |event| {
        matches!(event, Event::Draining).then_some(())
    })
    .await;
}

pub async fn while_it_drains_what_waits_comes_back_and_what_is_under_way_is_finished<
    R: Run,
    L: Link<R>,
>() {
    let (client, mut incoming, driver, mut script) = scripted::<R, L>(window_of(1)).await;
    let first = client.try_send(message(1)).expect("a place");
    let mut waiting = Box::pin({
        let client = client.clone();
        async move { client.send(message(2)).await }
    });
    assert!(start(&mut waiting).is_pending());
    let waiting = spawn::<R, _>(waiting);
    assert_eq!(script.hear_message().await, "d-1");
    script.say(&gcm(DRAINING)).await;
    script.say(&upstream_stanza(5)).await;
    draining(&mut incoming).await;
    let why = Blocked::Draining;
    assert_eq!(waiting.await, Err(not_sent(2, why)));
    assert_eq!(client.send(message(3)).await, Err(not_sent(3, why)));
    received(&mut incoming).await.ack().expect("acks still go");
    assert!(script.hear("</message>").await.contains("u-5"));
    script.say(&ack_of("d-1")).await;
    first.await.expect("accepted");
    script.say("</stream:stream>").await;
    assert_eq!(closed(&mut incoming).await, Ok(()));
    assert_eq!(driver.await, Ok(()));
}

pub async fn a_message_permitted_before_it_began_to_drain_was_not_sent<R: Run, L: Link<R>>() {
    let (client, mut incoming, _driver, mut script) = scripted::<R, L>(window_of(3)).await;
    let permit = client.reserve().await.expect("a place");
    script.say(&gcm(DRAINING)).await;
    draining(&mut incoming).await;
    let refused = permit.send(message(1)).err();
    assert_eq!(refused, Some(not_sent(1, Blocked::Draining)));
}

pub async fn a_drained_connection_ends_in_order_when_nothing_is_open<R: Run, L: Link<R>>() {
    let mut config = ServerConfig::default();
    config.drain_linger = std::time::Duration::ZERO;
    let ends = L::connect().await;
    let (client, mut incoming, peer, mut events) =
        pair_over::<R, _>(client_config(), config, ends).await;
    let under_way = client.try_send(message(1)).expect("a place");
    let (_, token) = downstream(&mut events).await;
    peer.send(upstream(1)).await.expect("sent");
    let held = received(&mut incoming).await;
    peer.drain();
    draining(&mut incoming).await;
    peer.ack(token, None)
        .expect("what is under way is answered");
    under_way.await.expect("accepted");
    assert_eq!(client.capacity(), 0);
    held.ack().expect("open");
    assert_eq!(closed(&mut incoming).await, Ok(()));
    let mut acked = 0;
    let end = loop {
        match events.next().await.expect("an event") {
            ServerEvent::Acked(_) => acked += 1,
            ServerEvent::Closed(end) => break end,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((acked, end), (1, Ok(())));
}

/// What came back goes out on another connection, and arrives once.
pub async fn what_came_back_goes_out_on_another_connection<R: Run, L: Link<R>>() {
    let (old, mut incoming, peer, mut events) = pair::<R, L>(window_of(1)).await;
    let answer = old.try_send(message(0)).expect("a place");
    let (_, token) = downstream(&mut events).await;
    let waiting = Vec::from_iter((1..20).map(|n| {
        let old = old.clone();
        spawn::<R, _>(async move { old.send(message(n)).await })
    }));
    peer.drain();
    draining(&mut incoming).await;
    let (new, _incoming, new_peer, new_events) = pair::<R, L>(window_of(1)).await;
    let acks = spawn::<R, _>(ack_all(new_peer, new_events));
    for (n, waiting) in waiting.into_iter().enumerate() {
        let back = not_sent(n + 1, Blocked::Draining);
        assert_eq!(waiting.await, Err(back));
        new.send(message(n + 1)).await.expect("accepted");
    }
    peer.ack(token, None).expect("open");
    answer.await.expect("accepted");
    assert_eq!(new.close().await, Ok(()));
    assert_eq!(acks.await, 19);
}
