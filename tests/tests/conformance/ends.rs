//! Connected ends, logged in, and what cases say and hear with them.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ccs_proto::driver::{
    self, Client, ClientMachine, Driver, Event, Incoming, Login, LoginVerdict, Message, Peer,
    PeerEvents, SendError, ServerMachine, Transport,
};
use ccs_proto::message::{Downstream, Upstream};
use ccs_proto::{
    AnswerToken, Blocked, ClientConfig, ClientConnection, ConnectionError, ConnectionId, Nonce,
    ServerConfig, ServerConnection, ServerEvent, Time, TransportSecurity,
};
use futures_util::future::RemoteHandle;

use crate::link::Link;
use crate::runtime::{Run, spawn};
use crate::script::Script;

pub const SENDER: &str = "123456789012";
pub const KEY: &str = "CANARY-4f1d7c0b9a";

/// A time that is waited for on real clocks too, where a case is about a time that runs out.
pub const SHORT: Duration = Duration::from_millis(250);

pub fn client_config() -> ClientConfig {
    ClientConfig::new(SENDER.parse().expect("digits"), KEY.into())
}

pub fn window_of(window: usize) -> ClientConfig {
    let mut config = client_config();
    config.window = window;
    config
}

/// How a driver that was spawned ends.
pub type Driven = RemoteHandle<Result<(), ConnectionError>>;

/// A client's end over `transport`, its driver not polled yet.
pub fn client_over<R: Run, T: Transport>(
    config: ClientConfig,
    transport: T,
) -> (Client, Incoming, Driver<T, R::Timer, ClientMachine>) {
    let connection = ClientConnection::new(
        Arc::new(config),
        ConnectionId(1),
        TransportSecurity::VerifiedTls,
        Time::ZERO,
    );
    driver::client(connection, transport, R::timer(), "m")
}

/// The endpoint's end over `transport`, its driver not polled yet.
pub fn login_over<R: Run, T: Transport>(
    config: ServerConfig,
    transport: T,
) -> (Login, Driver<T, R::Timer, ServerMachine>) {
    // Each its own, as in an endpoint: tokens are told apart by it.
    let id = ConnectionId(u64::from_be_bytes(ccs_tls::random()));
    let connection = ServerConnection::new(Arc::new(config), id, Nonce([7; 20]), Time::ZERO);
    driver::server(connection, transport, R::timer())
}

/// The endpoint's end over `transport`, which lets everybody in, driven by a task.
pub async fn peer_over<R: Run, T: Transport + Send + Unpin + 'static>(
    config: ServerConfig,
    transport: T,
) -> (Peer, PeerEvents) {
    let (login, driver) = login_over::<R, _>(config, transport);
    spawn::<R, _>(driver).forget();
    login
        .decide(|_| async { LoginVerdict::Accept })
        .await
        .expect("logged in")
}

/// Both ends, logged in, each driven by a task.
pub async fn pair<R: Run, L: Link<R>>(
    config: ClientConfig,
) -> (Client, Incoming, Peer, PeerEvents) {
    pair_over::<R, _>(config, ServerConfig::default(), L::connect().await).await
}

/// Both ends of this connection, logged in.
pub async fn pair_over<R: Run, T: Transport + Send + Unpin + 'static>(
    client: ClientConfig,
    server: ServerConfig,
    (near, far): (T, T),
) -> (Client, Incoming, Peer, PeerEvents) {
    let (client, incoming, driver) = client_over::<R, _>(client, near);
    spawn::<R, _>(driver).forget();
    let (peer, events) = peer_over::<R, _>(server, far).await;
    client.bound().await.expect("logged in");
    (client, incoming, peer, events)
}

/// A client's end, logged in and driven by a task, and its hand-written peer.
pub async fn scripted<R: Run, L: Link<R>>(
    config: ClientConfig,
) -> (Client, Incoming, Driven, Script<L::Transport>) {
    scripted_over::<R, _>(config, L::connect().await).await
}

/// The same over this connection.
pub async fn scripted_over<R: Run, T: Transport + Send + Unpin + 'static>(
    config: ClientConfig,
    (near, far): (T, T),
) -> (Client, Incoming, Driven, Script<T>) {
    let (client, incoming, driver) = client_over::<R, _>(config, near);
    let driver = spawn::<R, _>(driver);
    let mut script = Script::new(far);
    script.log_in().await;
    client.bound().await.expect("logged in");
    (client, incoming, driver, script)
}

/// Polls once, to start what a future does.
pub fn start<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits until so many messages could be sent.
pub async fn capacity(client: &Client, count: usize) {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(client.reserve().await.expect("a place"));
    }
}

/// Acks every message until the end, and says how many there were.
pub async fn ack_all(peer: Peer, mut events: PeerEvents) -> usize {
    let mut acked = 0;
    while let Some(event) = events.next().await {
        if let ServerEvent::Downstream { token, .. } = event
            && peer.ack(token, None).is_ok()
        {
            acked += 1;
        }
    }
    acked
}

/// The next downstream message, with the right to answer it.
pub async fn downstream(events: &mut PeerEvents) -> (Downstream, AnswerToken) {
    match downstream_event(events).await {
        ServerEvent::Downstream { message, token, .. } => (message, token),
        other => panic!("{other:?}"),
    }
}

/// The same, as the event that it is.
pub async fn downstream_event(events: &mut PeerEvents) -> ServerEvent {
    loop {
        match events.next().await {
            Some(event @ ServerEvent::Downstream { .. }) => return event,
            Some(ServerEvent::Closed(end)) => panic!("closed: {end:?}"),
            Some(_) => {}
            None => panic!("nothing more comes"),
        }
    }
}

/// The next event that is of interest to `look`.
pub async fn event<T>(incoming: &mut Incoming, look: impl Fn(Event) -> Option<T>) -> T {
    loop {
        let event = incoming.next().await.expect("an event");
        if let Some(found) = look(event) {
            return found;
        }
    }
}

/// The next message of a device's.
pub async fn received(incoming: &mut Incoming) -> Message {
    event(incoming, |event| match event {
        Event::Upstream(message) => Some(message),
        _ => None,
    })
    .await
}

/// The next outcome that nobody waits for: of which message, and whether it was accepted.
pub async fn answered(incoming: &mut Incoming) -> (String, bool) {
    event(incoming, |event| match event {
        Event::Answered { message_id, result } => {
            Some((message_id.as_str().to_owned(), result.is_ok()))
        }
        _ => None,
    })
    .await
}

/// How the connection ended, by its last event.
pub async fn closed(incoming: &mut Incoming) -> Result<(), ConnectionError> {
    event(incoming, |event| match event {
        Event::Closed(end) => Some(end),
        _ => None,
    })
    .await
}

/// How the connection ended for the endpoint, and how many messages it saw acked until then.
pub async fn acked_until_closed(events: &mut PeerEvents) -> (usize, Result<(), ConnectionError>) {
    let mut acked = 0;
    loop {
        match events.next().await.expect("an event") {
            ServerEvent::Acked(_) => acked += 1,
            ServerEvent::Closed(end) => return (acked, end),
            _ => {}
        }
    }
}

pub fn message(n: usize) -> Downstream {
    Downstream::to("DEVICE")
        .id(format!("d-{n}"))
        .data("n", n.to_string())
}

pub fn upstream(n: usize) -> Upstream {
    Upstream::new("DEVICE", format!("u-{n}"))
}

pub fn not_sent(n: usize, why: Blocked) -> SendError {
    SendError::NotSent {
        message: Box::new(message(n)),
        why,
    }
}
