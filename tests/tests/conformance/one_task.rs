//! The driver and all handles polled by one task, as `connect_with` allows: whoever finds nothing to do must not have the
//! others polled again, or the task never rests.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use ccs_proto::driver::{LoginVerdict, SendError};
use ccs_proto::message::RegistrationToken;
use ccs_proto::{Blocked, ConnectionError, ServerConfig};
use futures_util::future::{Either, join, join3, join5, select};

use crate::ends::{SHORT, client_config, client_over, login_over, message, upstream, window_of};
use crate::link::Link;
use crate::runtime::{Run, spawn};
use crate::script::Script;

/// What a short time of silence may take: a few reads, a few timers, and some for sockets that hesitate.
pub const ENOUGH: usize = 100;

/// The output, and how often it was asked for.
pub async fn polls<T>(future: impl Future<Output = T>) -> (T, usize) {
    let mut future = pin!(future);
    let mut polls = 0;
    let output = poll_fn(|cx| {
        polls += 1;
        future.as_mut().poll(cx)
    })
    .await;
    (output, polls)
}

/// Polls both until `future` is done, and gives `driver` back.
async fn beside<D, T>(driver: D, future: impl Future<Output = T>) -> (D, T)
where
    D: Future<Output = Result<(), ConnectionError>> + Unpin,
{
    match select(driver, pin!(future)).await {
        Either::Left((end, _)) => panic!("{end:?}"),
        Either::Right((output, driver)) => (driver, output),
    }
}

pub async fn a_client_rests_while_nothing_happens<R: Run, L: Link<R>>() {
    let (near, far) = L::connect().await;
    let mut config = window_of(1);
    (config.answer_timeout, config.close_timeout) = (SHORT, SHORT);
    let (client, mut incoming, driver) = client_over::<R, _>(config, near);
    let mut script = Script::new(far);
    let (driver, _) = beside(driver, join(client.bound(), script.log_in())).await;
    let answer = client.try_send(message(1)).expect("a place");
    let tokens = [RegistrationToken::from("DEVICE")];
    let mut broadcast = client.broadcast(message(2), tokens);
    let events = async { while incoming.next().await.is_some() {} };
    let everything = join5(
        driver,
        answer,
        broadcast.next(),
        client.send(message(3)),
        join(client.closed(), events),
    );
    let ((end, answer, ..), count) = polls(everything).await;
    let given_up = matches!(end, Err(ConnectionError::AnswerTimeout { .. }));
    assert!(given_up, "{end:?}");
    let unknown = matches!(answer, Err(SendError::Unknown { .. }));
    assert!(unknown, "{answer:?}");
    assert!(count < ENOUGH, "{count} polls");
}

/// Each poll tries to send, and asks for a place and lets it be: neither is for the driver to see.
pub async fn who_tries_again_and_again_rests_while_the_window_is_full<R: Run, L: Link<R>>() {
    let (near, far) = L::connect().await;
    let mut config = window_of(1);
    (config.answer_timeout, config.close_timeout) = (SHORT, SHORT);
    let (client, _incoming, driver) = client_over::<R, _>(config, near);
    let mut script = Script::new(far);
    let (driver, _) = beside(driver, join(client.bound(), script.log_in())).await;
    let answer = client.try_send(message(1)).expect("a place");
    let trying = poll_fn(|cx| {
        assert!(pin!(client.reserve()).poll(cx).map_ok(drop) != Poll::Ready(Ok(())));
        match client.try_send(message(2)) {
            Err(SendError::NotSent {
                why: Blocked::WindowFull,
                ..
            }) => Poll::Pending,
            _ => Poll::Ready(()),
        }
    });
    let (_, count) = polls(join3(driver, answer, trying)).await;
    assert!(count < ENOUGH, "{count} polls");
}

pub async fn an_endpoint_rests_while_nothing_happens<R: Run, L: Link<R>>() {
    let (near, far) = L::connect().await;
    let (client, _incoming, driver) = client_over::<R, _>(client_config(), near);
    spawn::<R, _>(driver).forget();
    let mut config = ServerConfig::default();
    (config.dead_after, config.close_timeout) = (Some(SHORT), SHORT);
    config.upstream_window = 1;
    let (login, driver) = login_over::<R, _>(config, far);
    let login = login.decide(|_| async { LoginVerdict::Accept });
    let (driver, login) = beside(driver, login).await;
    let (peer, mut events) = login.expect("logged in");
    peer.try_send(upstream(1)).expect("a place");
    let events = async { while events.next().await.is_some() {} };
    let everything = join3(driver, peer.send(upstream(2)), events);
    let ((end, sent, ()), count) = polls(everything).await;
    let silent = matches!(end, Err(ConnectionError::PeerSilent { .. }));
    assert!(silent, "{end:?}");
    assert!(sent.is_err(), "nobody took it");
    assert!(count < ENOUGH, "{count} polls");
    drop(client);
}

pub async fn an_endpoint_rests_while_nobody_logs_in<R: Run, L: Link<R>>() {
    let (near, far) = L::connect().await;
    let mut config = ServerConfig::default();
    (config.handshake_timeout, config.close_timeout) = (SHORT, SHORT);
    let (login, driver) = login_over::<R, _>(config, far);
    let login = login.decide(|_| async { LoginVerdict::Accept });
    let ((end, _), count) = polls(join(driver, login)).await;
    assert_eq!(end, Err(ConnectionError::HandshakeTimeout { after: SHORT }));
    assert!(count < ENOUGH, "{count} polls");
    drop(near);
}
