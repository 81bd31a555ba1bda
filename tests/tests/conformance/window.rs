//! Sending under the window: places, the line for them, and what dropping a future means.

use std::pin::pin;

use ccs_proto::driver::{SendError, Timer};
use ccs_proto::message::{Downstream, NackCode};
use ccs_proto::{Blocked, ServerConfig, ServerEvent};

use crate::ends::{
    SHORT, ack_all, answered, capacity, client_config, downstream, message, not_sent, pair,
    pair_over, received, scripted, start, upstream, window_of,
};
use crate::link::{Link, Memory};
use crate::runtime::{Run, pause, spawn};
use crate::script::{ack_of, upstream_stanza};
use futures_util::future::join;

pub async fn a_send_waits_for_its_answer<R: Run, L: Link<R>>() {
    let (client, _incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    let (accepted, ()) = join(client.send(message(1)), async {
        let (got, token) = downstream(&mut events).await;
        assert_eq!(got.payload(), message(1).payload());
        peer.ack(token, None).expect("open");
    })
    .await;
    assert_eq!(accepted.expect("accepted").message_id.as_str(), "d-1");
    let (refused, ()) = join(client.send(message(2)), async {
        let (_, token) = downstream(&mut events).await;
        let code = NackCode::BadRegistration;
        peer.nack(token, &code, "").expect("open");
    })
    .await;
    let Err(SendError::Refused(nack)) = refused else {
        panic!("{refused:?}");
    };
    assert!(nack.code.is_token_dead());
}

pub async fn messages_without_an_id_get_one_each<R: Run, L: Link<R>>() {
    let (client, _incoming, peer, events) = pair::<R, L>(client_config()).await;
    spawn::<R, _>(ack_all(peer, events)).forget();
    let first = client.send(Downstream::to("A")).await.expect("accepted");
    let second = client.send(Downstream::to("A")).await.expect("accepted");
    assert_ne!(first.message_id, second.message_id);
}

pub async fn a_full_window_gives_the_message_back_at_once<R: Run, L: Link<R>>() {
    let (client, _incoming, peer, mut events) = pair::<R, L>(window_of(2)).await;
    let first = client.try_send(message(1)).expect("a place");
    let second = client.try_send(message(2)).expect("a place");
    assert_eq!(client.capacity(), 0);
    let refused = client.try_send(message(3)).err();
    assert_eq!(refused, Some(not_sent(3, Blocked::WindowFull)));
    for _ in 0..2 {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
    }
    first.await.expect("accepted");
    second.await.expect("accepted");
    assert_eq!(client.capacity(), 2);
}

pub async fn a_full_window_waits_and_an_answer_lets_one_more_through<R: Run, L: Link<R>>() {
    let (client, _incoming, _driver, mut script) = scripted::<R, L>(window_of(2)).await;
    let sending = Vec::from_iter((0..6).map(|n| {
        let client = client.clone();
        let mut send = Box::pin(async move { client.send(message(n)).await });
        // So that they ask in this order.
        assert!(start(&mut send).is_pending());
        spawn::<R, _>(send)
    }));
    let mut heard = vec![script.hear_message().await, script.hear_message().await];
    for n in 0..6 {
        // What was asked for goes out after what the peer said: a ping is answered, and no message overtook it.
        script
            .say(&format!(
                "<iq type='get' id='p-{n}'><ping xmlns='urn:xmpp:ping'/></iq>"
            ))
            .await;
        let before = script.hear(&format!("p-{n}")).await;
        assert!(!before.contains("\"message_id\""), "{before}");
        script.say(&ack_of(&heard[n])).await;
        if n < 4 {
            heard.push(script.hear_message().await);
        }
    }
    for send in sending {
        send.await.expect("accepted");
    }
    assert_eq!(heard, Vec::from_iter((0..6).map(|n| format!("d-{n}"))));
}

pub async fn what_is_wrong_with_a_message_is_said_and_costs_no_place<R: Run, L: Link<R>>() {
    let (client, _incoming, _peer, _events) = pair::<R, L>(window_of(2)).await;
    let under_way = client.try_send(message(1)).expect("a place");
    let again = client.send(message(1)).await;
    assert!(matches!(again, Err(SendError::Duplicate(id)) if id.as_str() == "d-1"));
    let invalid = client.send(Downstream::to("")).await;
    assert!(matches!(invalid, Err(SendError::Invalid(_))), "{invalid:?}");
    assert_eq!(client.capacity(), 1);
    drop(under_way);
}

pub async fn waiting_senders_are_served_in_the_order_in_which_they_came<R: Run, L: Link<R>>() {
    let (client, _incoming, _driver, mut script) = scripted::<R, L>(window_of(1)).await;
    for n in 0..50 {
        let client = client.clone();
        let mut send = Box::pin(async move { client.send(message(n)).await });
        // So that they ask in this order.
        assert!(start(&mut send).is_pending());
        spawn::<R, _>(send).forget();
    }
    for n in 0..50 {
        let id = script.hear_message().await;
        assert_eq!(id, format!("d-{n}"));
        let overtaken = client.try_send(message(100)).map(drop);
        assert!(overtaken.is_err(), "nobody overtakes those who wait");
        script.say(&ack_of(&id)).await;
    }
    drop(client.reserve().await.expect("a place"));
}

pub async fn a_dropped_permit_gives_its_place_to_the_next_in_line<R: Run, L: Link<R>>() {
    let (client, _incoming, _peer, _events) = pair::<R, L>(window_of(1)).await;
    let permit = client.reserve().await.expect("a place");
    let mut gone = client.reserve();
    let mut next = client.reserve();
    assert!(start(&mut gone).is_pending());
    assert!(start(&mut next).is_pending());
    let next = spawn::<R, _>(next);
    drop(gone);
    assert_eq!(client.capacity(), 0);
    drop(permit);
    let permit = next.await.expect("the place");
    drop(permit);
    assert_eq!(client.capacity(), 1);
}

/// Where the driver runs only when this waits, so that no byte was handed over.
pub async fn a_send_dropped_before_it_is_handed_over_is_not_sent<R: Run>() {
    let config = window_of(2);
    let (client, mut incoming, _driver, mut script) = scripted::<R, Memory>(config).await;
    drop(client.try_send(message(1)).expect("a place"));
    {
        let mut send = pin!(client.send(message(2)));
        assert!(start(&mut send).is_pending());
    }
    assert_eq!(client.capacity(), 2);
    client.try_send(message(3)).expect("a place").detach();
    assert_eq!(script.hear_message().await, "d-3");
    script.say(&ack_of("d-3")).await;
    assert_eq!(answered(&mut incoming).await, ("d-3".to_owned(), true));
}

pub async fn who_leaves_the_line_when_his_turn_has_come_passes_it_on<R: Run>() {
    let (client, _incoming, peer, mut events) = pair::<R, Memory>(window_of(1)).await;
    let answer = client.try_send(message(0)).expect("a place");
    let mut first = client.reserve();
    assert!(start(&mut first).is_pending());
    let second = client.reserve();
    let second = spawn::<R, _>(async { second.await.map(drop) });
    // It is in line by then.
    pause::<R>(SHORT).await;
    let (_, token) = downstream(&mut events).await;
    peer.ack(token, None).expect("open");
    answer.await.expect("accepted");
    let clock = R::timer();
    let left = clock.now();
    drop(first);
    second.await.expect("its turn");
    // Else the next timer of the connection would have woken it.
    assert_eq!(clock.now(), left, "at once");
}

pub async fn a_send_dropped_after_it_is_handed_over_has_its_outcome_as_an_event<
    R: Run,
    L: Link<R>,
>() {
    let (client, mut incoming, _driver, mut script) = scripted::<R, L>(window_of(2)).await;
    {
        let mut send = pin!(client.send(message(1)));
        assert!(start(&mut send).is_pending());
        assert_eq!(script.hear_message().await, "d-1");
    }
    assert_eq!(client.capacity(), 1, "it is under way");
    script.say(&ack_of("d-1")).await;
    assert_eq!(answered(&mut incoming).await, ("d-1".to_owned(), true));
    // The same where the answer was there already, and nobody had looked.
    let answer = client.try_send(message(2)).expect("a place");
    assert_eq!(script.hear_message().await, "d-2");
    script.say(&ack_of("d-2")).await;
    capacity(&client, 2).await;
    drop(answer);
    assert_eq!(answered(&mut incoming).await, ("d-2".to_owned(), true));
}

pub async fn an_id_that_comes_again_belongs_to_another_send<R: Run, L: Link<R>>() {
    let (client, _incoming, peer, mut events) = pair::<R, L>(window_of(2)).await;
    let first = client.try_send(message(1)).expect("a place");
    let (_, token) = downstream(&mut events).await;
    peer.nack(token, &NackCode::ServiceUnavailable, "")
        .expect("open");
    // Answered, and not yet asked for, when the same id goes out again.
    capacity(&client, 2).await;
    let second = client.try_send(message(1)).expect("a place");
    let (_, token) = downstream(&mut events).await;
    peer.ack(token, None).expect("open");
    let refused = first.await;
    assert!(matches!(refused, Err(SendError::Refused(_))), "{refused:?}");
    second.await.expect("accepted");
}

/// While senders wait, acks and pongs still go out: nothing of this waits for the window.
pub async fn acks_go_out_while_the_window_is_full<R: Run, L: Link<R>>() {
    let (client, mut incoming, _driver, mut script) = scripted::<R, L>(window_of(1)).await;
    let sending = spawn::<R, _>({
        let client = client.clone();
        async move { client.send(message(1)).await }
    });
    assert_eq!(script.hear_message().await, "d-1");
    script.say(&upstream_stanza(7)).await;
    let received = received(&mut incoming).await;
    assert_eq!(client.capacity(), 0);
    received.ack().expect("open");
    let ack = script.hear("</message>").await;
    let acked = ack.contains(r#""message_id":"u-7","message_type":"ack""#);
    assert!(acked, "{ack}");
    script.say(&ack_of("d-1")).await;
    sending.await.expect("accepted");
}

/// Who does not wait does not overtake who waits, though a place is free and the first in line has had no turn yet.
pub async fn an_endpoint_sends_in_the_order_of_asking<R: Run, L: Link<R>>() {
    let mut config = ServerConfig::default();
    config.upstream_window = 1;
    let ends = L::connect().await;
    let (_client, mut incoming, peer, mut events) =
        pair_over::<R, _>(client_config(), config, ends).await;
    peer.send(upstream(0)).await.expect("sent");
    let mut waiting = pin!(peer.send(upstream(1)));
    assert!(start(&mut waiting).is_pending());
    received(&mut incoming).await.ack().expect("open");
    while !matches!(events.next().await, Some(ServerEvent::Acked(_))) {}
    assert!(peer.try_send(upstream(2)).is_err());
    waiting.await.expect("sent");
    assert_eq!(received(&mut incoming).await.message_id().as_str(), "u-1");
}
