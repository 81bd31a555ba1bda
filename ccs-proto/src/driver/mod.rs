//! The loop between a connection and a transport, and the handles that an application holds. Feature `driver`.
//!
//! All runtimes share it: an adapter implements [`Runtime`] (dial, TLS, timer, spawn), and nothing of the protocol or of its
//! scheduling exists a second time. With less than that, [`client`] and [`server`] take any [`Transport`] and [`Timer`], and
//! anything that polls the [`Driver`]. The handles share the state machine with the driver under one lock,
//! with no channel in between, so a window that is full is full for everybody at once.
//!
//! Only `std::task` is used here, and nothing in the state machines uses anything of this module.

mod alarm;
mod answer;
mod broadcast;
mod client;
mod client_machine;
mod connect;
mod endpoint;
mod incoming;
mod lobby;
mod login;
mod peers;
mod pump;
mod run;
mod runtime;
mod server;
mod server_machine;
pub mod service;
mod shared;
mod tasks;
mod waiters;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

pub use answer::{Answer, SendError};
pub use broadcast::Broadcast;
pub use client::{Client, OwnedPermit, Reserve, client};
pub use client_machine::ClientMachine;
pub use connect::{ClientDriver, Config, ConnectError, connect, connect_with};
pub use endpoint::{AcceptError, Arrival, Endpoint, EndpointConfig};
pub use incoming::{Event, Incoming, Message};
pub use login::{Login, LoginVerdict};
pub use peers::{CarriedOut, Peers};
pub use run::Driver;
pub use runtime::{BACKLOG, Runtime};
pub use server::{Peer, PeerEvents, server};
pub use server_machine::ServerMachine;

use crate::ledger::ConnectionId;
use crate::time::Time;

/// A byte stream to the peer, polled. Like the poll methods of tokio's and of the futures crate's `AsyncRead` and
/// `AsyncWrite`, of which it is the common part.
pub trait Transport {
    /// Reads into `buffer`; `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    /// The transport failed; the connection ends.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some of `bytes`.
    ///
    /// # Errors
    /// The transport failed; the connection ends.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Pushes on what was written.
    ///
    /// # Errors
    /// The transport failed; the connection ends.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the writing side, as with TLS' `close_notify`.
    ///
    /// # Errors
    /// The transport failed; it is dropped all the same.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        (**self).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        (**self).poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_close(cx)
    }
}

/// A clock with one alarm, and the runtime's way to wait for one's turn.
pub trait Timer {
    /// The time now, since an origin that stays the same.
    fn now(&self) -> Time;

    /// Sets the alarm, in place of the one before.
    fn reset(&mut self, deadline: Time);

    /// Whether the alarm went off. May be early or late: the driver asks the clock.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Has the task polled again once others that can run have run. Override it for a runtime that would poll a task which
    /// wakes itself before them.
    fn after_others(&self, cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }
}

/// A name for one more connection of this process.
fn next_id() -> ConnectionId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed))
}
