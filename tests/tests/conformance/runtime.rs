//! The runtimes that the suite is run on: each is an adapter and a way to run a case to its end.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ccs_proto::Time;
use ccs_proto::driver::{Runtime, Timer, Transport};
use ccs_tls::{Identity, Trust};
use futures_util::FutureExt;
use futures_util::future::RemoteHandle;

pub use ccs_async_std::smol::Smol;
pub use ccs_async_std::{AsyncIo, AsyncStd};
pub use ccs_tokio::Tokio;

/// A guard against a hang, and nothing else: no case waits for it.
const HANG: Duration = Duration::from_secs(60);

/// A runtime that cases are run on.
pub trait Run: Runtime<Trust = Trust, Identity = Identity> {
    /// Runs a case to its end; tasks that it left behind may die with it.
    fn block_on<T: 'static>(case: impl Future<Output = T> + 'static) -> T;

    /// A socket without TLS, as a peer has it that knows none.
    fn plain(socket: Self::Socket) -> impl Transport + Send + Unpin + 'static;
}

impl Run for Tokio {
    fn block_on<T: 'static>(case: impl Future<Output = T> + 'static) -> T {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(in_time::<Self, _>(case))
    }

    fn plain(socket: Self::Socket) -> impl Transport + Send + Unpin + 'static {
        ccs_tokio::IoTransport::from(socket)
    }
}

impl Run for AsyncIo<AsyncStd> {
    fn block_on<T: 'static>(case: impl Future<Output = T> + 'static) -> T {
        async_std::task::block_on(in_time::<Self, _>(case))
    }

    fn plain(socket: Self::Socket) -> impl Transport + Send + Unpin + 'static {
        ccs_async_std::IoTransport::from(socket)
    }
}

impl Run for AsyncIo<Smol> {
    fn block_on<T: 'static>(case: impl Future<Output = T> + 'static) -> T {
        smol::block_on(in_time::<Self, _>(case))
    }

    fn plain(socket: Self::Socket) -> impl Transport + Send + Unpin + 'static {
        ccs_async_std::IoTransport::from(socket)
    }
}

async fn in_time<R: Runtime, T>(case: impl Future<Output = T>) -> T {
    let mut timer = R::timer();
    let until = Time::from_origin(HANG);
    timer.reset(until);
    let mut case = pin!(case);
    poll_fn(|cx| {
        if let Poll::Ready(done) = case.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        while timer.poll_expired(cx).is_ready() {
            assert!(timer.now() < until, "this hangs");
            timer.reset(until);
        }
        Poll::Pending
    })
    .await
}

/// Lets some time pass.
pub async fn pause<R: Runtime>(span: Duration) {
    let mut timer = R::timer();
    let until = timer.now() + span;
    timer.reset(until);
    poll_fn(|cx| {
        while timer.poll_expired(cx).is_ready() {
            if timer.now() >= until {
                return Poll::Ready(());
            }
            timer.reset(until);
        }
        Poll::Pending
    })
    .await;
}

/// Runs a task beside the case. Its panic is the case's when it is awaited; dropping the handle ends the task.
pub fn spawn<R: Run, T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> RemoteHandle<T> {
    let (task, handle) = task.remote_handle();
    R::spawn(task);
    handle
}
