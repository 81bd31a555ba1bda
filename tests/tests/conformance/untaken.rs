//! A service whose events nobody takes, and that ends: who waits hears what became of his message all the same.

use std::time::Duration;

use ccs_proto::driver::service::ServiceEvent;
use ccs_proto::message::MessageId;
use ccs_proto::session::SessionEvent;
use futures_util::future::join;

use crate::ends::{downstream, message, start};
use crate::runtime::{Run, pause};
use crate::service::started;

const A_WHILE: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(10);

pub async fn a_send_hears_its_answer_though_no_event_is_taken<R: Run>() {
    // The login is one, the outcome of the first message the other.
    let (service, _inbound, _endpoint, peer, mut events) =
        started::<R>(|start| start.session.events = 2).await;
    service.submit(message(0)).await.expect("taken");
    let (_, token) = downstream(&mut events).await;
    peer.ack(token, None).expect("open");
    let ending = async {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
        pause::<R>(A_WHILE).await;
        service.shutdown(LONG).await
    };
    let (sent, left) = join(service.send(message(1)), ending).await;
    assert_eq!(sent.expect("it was acked").message_id, "d-1".into());
    assert!(left.is_empty(), "{left:?}");
}

pub async fn what_was_submitted_has_its_outcome_though_no_event_is_taken<R: Run>() {
    let (service, mut inbound, _endpoint, peer, mut events) =
        started::<R>(|start| start.session.events = 2).await;
    for n in 0..2 {
        service.submit(message(n)).await.expect("taken");
    }
    for _ in 0..2 {
        let (_, token) = downstream(&mut events).await;
        peer.ack(token, None).expect("open");
    }
    pause::<R>(A_WHILE).await;
    assert!(service.shutdown(LONG).await.is_empty());
    let mut settled = Vec::new();
    while let Some(event) = inbound.next().await {
        if let ServiceEvent::Session(SessionEvent::Settled { id, .. }) = event {
            settled.push(id);
        }
    }
    assert_eq!(settled, ["d-0", "d-1"].map(MessageId::from));
}

/// The session takes no answer off its connection any more, and its time runs out.
pub async fn an_answer_that_nobody_took_counts_at_the_deadline<R: Run>() {
    let (service, _inbound, _endpoint, peer, mut events) =
        started::<R>(|start| start.session.events = 1).await;
    let ending = async {
        let (_, token) = downstream(&mut events).await;
        let mut second = Box::pin(service.submit(message(2)));
        assert!(start(&mut second).is_pending());
        pause::<R>(A_WHILE).await;
        peer.ack(token, None).expect("open");
        pause::<R>(A_WHILE).await;
        service.shutdown(LONG).await
    };
    let (sent, left) = join(service.send(message(1)), ending).await;
    assert_eq!(sent.expect("it was acked").message_id, "d-1".into());
    let of_the_first = |left: &&ccs_proto::session::Left| left.message.id().as_str() == "d-1";
    assert_eq!(left.iter().find(of_the_first), None);
}
