//! A timer that is not set again for the same deadline.

use std::task::Context;

use super::Timer;
use crate::time::Time;

pub(super) struct Alarm<R> {
    timer: R,
    armed: Option<Time>,
}

impl<R: Timer> Alarm<R> {
    pub(super) fn new(timer: R) -> Self {
        Self { timer, armed: None }
    }

    pub(super) fn now(&self) -> Time {
        self.timer.now()
    }

    /// Sees to it that this is polled again in time. `true` if the time has come already.
    pub(super) fn wait(&mut self, cx: &mut Context<'_>, deadline: Option<Time>) -> bool {
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
}
