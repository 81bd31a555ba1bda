//! tokio's sockets and timers, as the driver wants them.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ccs_proto::Time;
use ccs_proto::driver::{Timer, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

/// Any tokio stream as a [`Transport`].
#[derive(Debug)]
pub struct IoTransport<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> IoTransport<S> {
    /// Takes a stream that is connected already, such as one end of `tokio::io::duplex`.
    pub fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> From<S> for IoTransport<S> {
    fn from(stream: S) -> Self {
        Self::new(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for IoTransport<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Later than any connection lasts, and sooner than the clock ends.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// tokio's clock as a [`Timer`]; follows a paused clock in tests.
#[derive(Debug)]
pub struct IoTimer {
    origin: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl IoTimer {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        let origin = Instant::now();
        Self {
            origin,
            alarm: Box::pin(sleep_until(origin)),
        }
    }
}

impl Default for IoTimer {
    fn default() -> Self {
        Self::new()
    }
}

impl Timer for IoTimer {
    fn now(&self) -> Time {
        Time::from_origin(self.origin.elapsed())
    }

    fn reset(&mut self, deadline: Time) {
        // A deadline that the clock cannot say never comes; the alarm may be early, and then it is set again.
        let at = self.origin.checked_add(deadline.since_origin());
        let at = at.unwrap_or_else(|| Instant::now() + FAR);
        self.alarm.as_mut().reset(at);
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.as_mut().poll(cx)
    }

    // A task that wakes itself is polled up to 61 times before the future of `block_on`. `yield_now` leaves the waker with the
    // scheduler instead, for when all others have run; that it does so when it is dropped is seen by the test below.
    fn after_others(&self, cx: &mut Context<'_>) {
        let _ = pin!(yield_now()).poll(cx);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_future_that_is_blocked_on_has_its_turn() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time();
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        runtime.build().expect("a runtime").block_on(async move {
            let timer = IoTimer::new();
            tokio::spawn(poll_fn(move |cx| {
                counted.fetch_add(1, Ordering::Relaxed);
                timer.after_others(cx);
                Poll::<()>::Pending
            }));
            for _ in 0..10 {
                yield_now().await;
            }
        });
        let polls = polls.load(Ordering::Relaxed);
        assert!((5..20).contains(&polls), "{polls} polls");
    }
}
