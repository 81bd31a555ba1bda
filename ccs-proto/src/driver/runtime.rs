//! What an adapter brings for one runtime: sockets, TLS, a clock, tasks and random numbers.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll};

use super::alarm::Alarm;
use super::{Timer, Transport};
use crate::time::Time;

/// Connections that may wait to be accepted. The systems' own default of 128 overflows within a moment, and whoever comes
/// then waits a second before he tries again; a system that allows fewer takes fewer.
pub const BACKLOG: u16 = 4096;

/// One runtime. Everything that decides something is above it: an implementation dials, secures, listens, tells the time
/// and runs tasks, and that is all.
///
/// Each future may be dropped at any time, which drops what it was making.
pub trait Runtime: Sized + Send + Sync + 'static {
    /// Whom a client believes; by default the public authorities.
    type Trust: Clone + Default + fmt::Debug + Send + Sync + 'static;
    /// What a client's TLS is made with: whom to believe, and the name to verify.
    type Verifier: Send;
    /// Who an endpoint is.
    type Identity: Clone + Send + Sync + 'static;
    /// A TCP connection, not secured yet.
    type Socket: Send;
    /// A listening TCP socket.
    type Listener: Send;
    /// A connection with TLS. A `Box<dyn Transport + Send>` keeps the TLS library's types out of an adapter's API.
    type Transport: Transport + Send + Unpin + 'static;
    /// A clock with an alarm.
    type Timer: Timer + Send + Unpin + 'static;

    /// A clock that starts now.
    fn timer() -> Self::Timer;

    /// Runs a task to its end, whoever else is gone.
    fn spawn(task: impl Future<Output = ()> + Send + 'static);

    /// Random bytes from the operating system.
    fn random<const N: usize>() -> [u8; N];

    /// `None` if no certificate can be for this name.
    fn verifier(trust: &Self::Trust, name: &str) -> Option<Self::Verifier>;

    /// Connects to a host, a name or an address. What is written later goes out at once.
    fn dial(host: &str, port: u16) -> impl Future<Output = io::Result<Self::Socket>> + Send;

    /// Makes TLS of a connection that was dialled. Never gives out a transport whose peer was not verified.
    fn secure(
        socket: Self::Socket,
        verifier: Self::Verifier,
    ) -> impl Future<Output = io::Result<Self::Transport>> + Send;

    /// Listens on an address, `host:port`, with a queue of [`BACKLOG`]; an address that was listened on a moment ago
    /// included.
    fn listen(address: &str) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// The address that is listened on.
    ///
    /// # Errors
    /// The system does not say.
    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// The next connection.
    ///
    /// # Errors
    /// The system has none to give, as for lack of file handles.
    fn poll_accept(
        listener: &mut Self::Listener,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Socket, SocketAddr)>>;

    /// Makes TLS of a connection that was accepted.
    fn accept(
        socket: Self::Socket,
        identity: &Self::Identity,
    ) -> impl Future<Output = io::Result<Self::Transport>> + Send;
}

/// What `future` says, or `TimedOut` if that is not there in time.
pub(super) async fn by<R: Timer, T>(
    until: Time,
    alarm: &mut Alarm<R>,
    future: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Pending if alarm.wait(cx, Some(until)) => {
            Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
        }
        polled => polled,
    })
    .await
}
