//! Acks and receipts: each on its own connection.

use ccs_proto::driver::{Event, Message};
use ccs_proto::message::{MessageId, NackCode, Receipt};
use ccs_proto::{AckError, AnswerError, ServerEvent};
use futures_util::future::join;

use crate::ends::{
    SHORT, acked_until_closed, client_config, downstream, event, message, pair, received, upstream,
};
use crate::link::Link;
use crate::runtime::Run;

pub async fn an_ack_goes_out_on_the_connection_that_the_message_came_by<R: Run, L: Link<R>>() {
    let (one, mut in_one, peer_one, mut events_one) = pair::<R, L>(client_config()).await;
    let (two, mut in_two, peer_two, mut events_two) = pair::<R, L>(client_config()).await;
    peer_one.send(upstream(1)).await.expect("sent");
    peer_two.send(upstream(2)).await.expect("sent");
    let (of_one, of_two) = join(received(&mut in_one), received(&mut in_two)).await;
    of_two.ack().expect("open");
    let acked = events_two.next().await;
    let expected = upstream(2);
    assert!(
        matches!(&acked, Some(ServerEvent::Acked(id)) if *id == expected),
        "{acked:?}"
    );
    assert_eq!(two.close().await, Ok(()));
    // The other connection has heard nothing of that, and is not harmed by the end of this one.
    of_one.ack().expect("open");
    let acked = events_one.next().await;
    let expected = upstream(1);
    assert!(
        matches!(&acked, Some(ServerEvent::Acked(id)) if *id == expected),
        "{acked:?}"
    );
    assert_eq!(one.close().await, Ok(()));
    assert_eq!(acked_until_closed(&mut events_one).await, (0, Ok(())));
    assert_eq!(acked_until_closed(&mut events_two).await, (0, Ok(())));
}

pub async fn a_token_of_another_connection_comes_back_and_is_good_there<R: Run, L: Link<R>>() {
    let (one, _in_one, peer_one, mut events_one) = pair::<R, L>(client_config()).await;
    let (_two, _in_two, peer_two, _events_two) = pair::<R, L>(client_config()).await;
    let answer = one.try_send(message(1)).expect("a place");
    let (_, token) = downstream(&mut events_one).await;
    assert_eq!(token.connection(), peer_one.id());
    let Err(AnswerError::Foreign(token)) = peer_two.ack(token, None) else {
        panic!("another connection's token was taken");
    };
    let refused = peer_two.nack(token, &NackCode::InvalidJson, "");
    let Err(AnswerError::Foreign(token)) = refused else {
        panic!("another connection's token was taken");
    };
    peer_one.ack(token, None).expect("its own");
    answer.await.expect("accepted");
}

pub async fn an_ack_after_the_end_says_that_the_message_comes_again<R: Run, L: Link<R>>() {
    let (_client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    peer.send(upstream(1)).await.expect("sent");
    let held = received(&mut incoming).await;
    peer.cut();
    crate::ends::closed(&mut incoming).await.expect_err("lost");
    assert_eq!(held.ack(), Err(AckError::Closed));
    assert_eq!(acked_until_closed(&mut events).await.0, 0);
    assert_eq!(peer.take_unacked(), [upstream(1)]);
}

pub async fn a_receipt_is_delivered_and_acked<R: Run, L: Link<R>>() {
    let (client, mut incoming, peer, mut events) = pair::<R, L>(client_config()).await;
    let answer = client.try_send(message(1)).expect("a place");
    let (_, token) = downstream(&mut events).await;
    peer.ack(token, None).expect("open");
    answer.await.expect("accepted");
    let sent = Receipt::new(&MessageId::from("d-1"), "DEVICE", 1_700_000_000_000);
    peer.send_receipt(sent.clone()).expect("open");
    let receipt: Message<Receipt> = event(&mut incoming, |event| match event {
        Event::Receipt(receipt) => Some(receipt),
        _ => None,
    })
    .await;
    assert_eq!(receipt.original_message_id().as_str(), "d-1");
    assert_eq!(receipt.device(), sent.device());
    assert_eq!(receipt.sent_at(), sent.sent_at());
    receipt.ack().expect("open");
    let acked = events.next().await;
    let Some(ServerEvent::ReceiptAcked(acked)) = acked else {
        panic!("{acked:?}");
    };
    assert_eq!(acked.message_id(), sent.message_id());
}

pub async fn a_message_that_nobody_acks_is_told_at_both_ends<R: Run, L: Link<R>>() {
    let mut config = client_config();
    config.ack_overdue = SHORT;
    let mut server = ccs_proto::ServerConfig::default();
    server.ack_overdue = SHORT;
    let ends = L::connect().await;
    let (_client, mut incoming, peer, mut events) =
        crate::ends::pair_over::<R, _>(config, server, ends).await;
    peer.send(upstream(1)).await.expect("sent");
    let held = received(&mut incoming).await;
    let overdue = event(&mut incoming, |event| match event {
        Event::AckOverdue { message_id } => Some(message_id),
        _ => None,
    });
    assert_eq!(overdue.await.as_str(), "u-1");
    let overdue = events.next().await;
    let told = matches!(&overdue, Some(ServerEvent::AckOverdue { message_id, .. })
        if message_id.as_str() == "u-1");
    assert!(told, "{overdue:?}");
    held.ack().expect("late, and taken");
    let acked = events.next().await;
    assert!(matches!(acked, Some(ServerEvent::Acked(_))), "{acked:?}");
}
