//! Sockets and timers of the futures kind, as the driver wants them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ccs_proto::Time;
use ccs_proto::driver::{Timer, Transport};
use futures_io::{AsyncRead, AsyncWrite};

/// Any stream of `futures-io` as a [`Transport`]: async-std's, smol's, or one of your own.
#[derive(Debug)]
pub struct IoTransport<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> IoTransport<S> {
    /// Takes a stream that is connected already.
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
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// Later than any connection lasts, and sooner than the clock ends.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The system's monotonic clock as a [`Timer`], with an alarm of `async-io`, which any executor can wait for.
#[derive(Debug)]
pub struct IoTimer {
    origin: Instant,
    alarm: async_io::Timer,
}

impl IoTimer {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
            alarm: async_io::Timer::never(),
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
        self.alarm
            .set_at(at.unwrap_or_else(|| Instant::now() + FAR));
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.alarm).poll(cx).map(drop)
    }
}
