//! The loop: time, read, write, and again until nothing moves.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use zeroize::Zeroize;

use super::shared::{Machine, Shared};
use super::{Timer, Transport};
use crate::error::ConnectionError;
use crate::time::Time;

/// One read takes this much at most; a TLS record holds no more.
const READ_BYTES: usize = 16 * 1024;
/// Reads before what they brought about is written. More of them batch more acks into one write; the first of them must
/// not wait for ever.
const READS: usize = 4;
/// Rounds of one poll, so that a busy connection leaves room for other tasks.
const ROUNDS: usize = 16;
/// A write buffer that grew beyond this is given back once it is empty.
const KEEP_BYTES: usize = 64 * 1024;
/// How long the transport may take to close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The future that moves one connection: poll it, on any executor, until it ends with the connection.
///
/// Woken by the transport, by the timer at the connection's next deadline, and by every handle that has something for it
/// to do.
///
/// It ends with `Ok` after an orderly close and with the error that ended the connection otherwise. Dropping it cuts the
/// connection: those who wait are told that the outcome of what was in flight is unknown.
#[must_use = "nothing moves unless the driver is polled; spawn it"]
pub struct Driver<T, R, M: Machine> {
    shared: Arc<Shared<M>>,
    transport: T,
    timer: R,
    read: Box<[u8]>,
    write: BytesMut,
    /// How much of `write` the transport has taken.
    written: usize,
    /// Something was written and not flushed. Kept over polls: a flush that was pending is taken up again.
    unflushed: bool,
    eof: bool,
    armed: Option<Time>,
    closing_until: Option<Time>,
    done: bool,
}

impl<T: Transport, R: Timer, M: Machine> Driver<T, R, M> {
    pub(super) fn new(shared: Arc<Shared<M>>, transport: T, timer: R) -> Self {
        Self {
            shared,
            transport,
            timer,
            read: vec![0; READ_BYTES].into_boxed_slice(),
            write: BytesMut::new(),
            written: 0,
            unflushed: false,
            eof: false,
            armed: None,
            closing_until: None,
            done: false,
        }
    }

    /// Whether anything was read.
    fn read(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let mut progress = false;
        for _ in 0..READS {
            if self.eof || !self.shared.look(|machine| machine.wants_input()) {
                break;
            }
            match self.transport.poll_read(cx, &mut self.read) {
                Poll::Ready(Ok(0)) => self.end_of_input(now),
                // What rustls says of a peer that closed without `close_notify`. The end of an XMPP stream is told in the
                // stream itself, so it is the core that knows whether something was cut off.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.end_of_input(now);
                }
                Poll::Ready(Ok(count)) => {
                    let input = self.read.get_mut(..count).unwrap_or_default();
                    self.shared.drive(|machine| {
                        let secret = machine.is_secret();
                        machine.receive(now, input);
                        if secret {
                            input.zeroize();
                        }
                    });
                }
                Poll::Ready(Err(error)) => self.fail(now, &error),
                Poll::Pending => break,
            }
            progress = true;
        }
        progress
    }

    fn end_of_input(&mut self, now: Time) {
        self.eof = true;
        self.shared.drive(|machine| machine.receive_eof(now));
    }

    /// Whether anything was written. Flushes once nothing is left to write.
    fn write(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let mut progress = false;
        while self.fill(now) {
            let rest = self.write.get(self.written..).unwrap_or_default();
            match self.transport.poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => self.fail(now, &io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.written = self.written.saturating_add(count);
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => self.fail(now, &error),
                Poll::Pending => return progress,
            }
            progress = true;
        }
        if self.unflushed {
            match self.transport.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.fail(now, &error),
                Poll::Pending => {}
            }
        }
        progress
    }

    /// Whether there is something to write.
    fn fill(&mut self, now: Time) -> bool {
        if self.written < self.write.len() {
            return true;
        }
        self.forget_written();
        if self.write.capacity() > KEEP_BYTES {
            self.write = BytesMut::new();
        }
        let out = &mut self.write;
        self.shared.drive(|machine| machine.poll_transmit(now, out))
    }

    fn fail(&mut self, now: Time, error: &io::Error) {
        self.forget_written();
        self.unflushed = false;
        self.eof = true;
        self.shared
            .drive(|machine| machine.transport_failed(now, error.to_string()));
    }

    /// Sees to it that this is polled again in time. `true` if the time has come already.
    fn wait(&mut self, cx: &mut Context<'_>, deadline: Option<Time>) -> bool {
        let Some(deadline) = deadline else {
            self.armed = None;
            return false;
        };
        if self.armed != Some(deadline) {
            self.timer.reset(deadline);
            self.armed = Some(deadline);
        }
        // Whether it is really due is for the clock to say: an alarm may be early, and may be late.
        let expired = self.timer.poll_expired(cx).is_ready();
        if expired {
            self.armed = None;
        }
        expired || self.timer.now() >= deadline
    }

    /// What was written goes out and the transport is closed, but neither is waited for long.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = match self.closing_until {
            Some(until) => until,
            None => *self.closing_until.insert(self.timer.now() + CLOSE_PATIENCE),
        };
        if self.timer.now() < until {
            let now = self.timer.now();
            self.write(cx, now);
            let flushed = self.write.is_empty() && !self.unflushed;
            let closed = flushed && self.transport.poll_close(cx).is_ready();
            if !closed && !self.wait(cx, Some(until)) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl<T, R, M: Machine> Driver<T, R, M> {
    fn forget_written(&mut self) {
        if self.shared.look(|machine| machine.is_secret()) {
            self.write.as_mut().zeroize();
        }
        self.write.clear();
        self.written = 0;
    }
}

impl<T: Transport + Unpin, R: Timer + Unpin, M: Machine> Future for Driver<T, R, M> {
    type Output = Result<(), ConnectionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.shared.park(cx.waker());
        for _ in 0..ROUNDS {
            let now = this.timer.now();
            this.shared.drive(|machine| machine.tick(now));
            let read = this.read(cx, now);
            let wrote = this.write(cx, now);
            if let Some(end) = this.shared.look(|machine| machine.end()) {
                // A transport that failed, or was cut on purpose, is not said goodbye to.
                if !matches!(end, Err(ConnectionError::Transport { .. })) {
                    ready!(this.poll_close(cx));
                }
                this.done = true;
                return Poll::Ready(end);
            }
            let deadline = this.shared.look(|machine| machine.poll_timeout());
            if !read && !wrote && !this.wait(cx, deadline) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T, R, M: Machine> Drop for Driver<T, R, M> {
    fn drop(&mut self) {
        self.forget_written();
        if !self.done {
            let what = "its driver was dropped";
            self.shared
                .drive(|machine| machine.transport_failed(Time::ZERO, what.to_owned()));
        }
    }
}
