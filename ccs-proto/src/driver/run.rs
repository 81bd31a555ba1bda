//! The loop: time, read, write, and again until nothing moves or others should have their turn.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use super::alarm::Alarm;
use super::pump::{Bytes, CLOSE_PATIENCE, Pump};
use super::shared::{Machine, Shared};
use super::{Timer, Transport};
use crate::error::ConnectionError;
use crate::time::Time;

/// Rounds of one poll, so that a busy connection leaves room for other tasks.
const ROUNDS: usize = 16;

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
    pump: Pump<T>,
    alarm: Alarm<R>,
    closing_until: Option<Time>,
    done: bool,
}

impl<T: Transport, R: Timer, M: Machine> Driver<T, R, M> {
    pub(super) fn new(shared: Arc<Shared<M>>, transport: T, alarm: Alarm<R>) -> Self {
        Self {
            shared,
            pump: Pump::new(transport),
            alarm,
            closing_until: None,
            done: false,
        }
    }

    /// What was written goes out and the transport is closed, but neither is waited for long.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.alarm.now();
        let until = *self
            .closing_until
            .get_or_insert_with(|| now + CLOSE_PATIENCE);
        if now < until
            && self.pump.poll_close(cx, now, &*self.shared).is_pending()
            && !self.alarm.wait(cx, Some(until))
        {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl<T: Transport + Unpin, R: Timer + Unpin, M: Machine> Future for Driver<T, R, M> {
    type Output = Result<(), ConnectionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.shared.park(cx.waker());
        for _ in 0..ROUNDS {
            let now = this.alarm.now();
            this.shared.drive(|machine| machine.tick(now));
            let turn = this.pump.turn(cx, now, &*this.shared);
            if let Some(end) = this.shared.look(|machine| machine.end()) {
                // A transport that failed, or was cut on purpose, is not said goodbye to.
                if !matches!(end, Err(ConnectionError::Transport { .. })) {
                    ready!(this.poll_close(cx));
                }
                this.done = true;
                return Poll::Ready(end);
            }
            let deadline = this.shared.look(|machine| machine.poll_timeout());
            if !turn.more {
                if !this.alarm.wait(cx, deadline) {
                    return Poll::Pending;
                }
            } else if this.shared.look(|machine| machine.has_events()) {
                // Whoever takes them acks the first of them while the rest is still to be read, so that neither side waits for
                // the other.
                this.alarm.after_others(cx);
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T, R, M: Machine> Drop for Driver<T, R, M> {
    fn drop(&mut self) {
        if !self.done {
            let what = "its driver was dropped";
            self.shared
                .drive(|machine| machine.transport_failed(Time::ZERO, what.to_owned()));
        }
    }
}

impl<M: Machine> Bytes for Shared<M> {
    fn wants_input(&self) -> bool {
        self.look(|machine| machine.wants_input())
    }

    fn receive(&self, now: Time, input: &[u8]) {
        self.drive(|machine| machine.receive(now, input));
    }

    fn receive_eof(&self, now: Time) {
        self.drive(|machine| machine.receive_eof(now));
    }

    fn transport_failed(&self, now: Time, what: String) {
        self.drive(|machine| machine.transport_failed(now, what));
    }

    fn poll_transmit(&self, now: Time, out: &mut BytesMut) -> bool {
        self.drive(|machine| machine.poll_transmit(now, out))
    }

    fn is_secret(&self) -> bool {
        self.look(|machine| machine.is_secret())
    }
}
