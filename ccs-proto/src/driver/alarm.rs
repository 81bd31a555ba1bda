//! A timer that is set as seldom as may be.

use std::task::Context;

use super::Timer;
use crate::time::Time;

/// Deadlines move on with every message, and setting a timer wakes whoever waits for the runtime's next. So a timer that
/// goes off before the deadline is left as it is, and set again when it has gone off: no more than once in the time that a
/// silent peer is given.
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

    /// See [`Timer::after_others`].
    pub(super) fn after_others(&self, cx: &mut Context<'_>) {
        self.timer.after_others(cx);
    }

    /// Sees to it that this is polled again in time. `true` if the time has come already.
    pub(super) fn wait(&mut self, cx: &mut Context<'_>, deadline: Option<Time>) -> bool {
        let Some(deadline) = deadline else {
            return false;
        };
        while self.timer.now() < deadline {
            if self.armed.is_none_or(|armed| armed > deadline) {
                self.timer.reset(deadline);
                self.armed = Some(deadline);
            }
            // Whether it is really due is for the clock to say: an alarm may be early, and may be late.
            if self.timer.poll_expired(cx).is_pending() {
                return false;
            }
            self.armed = None;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;

    /// In seconds.
    #[derive(Clone, Default)]
    struct Fake {
        now: Rc<Cell<u64>>,
        at: Rc<Cell<Option<Time>>>,
        set: Rc<Cell<u32>>,
    }

    fn seconds(seconds: u64) -> Time {
        Time::from_origin(Duration::from_secs(seconds))
    }

    impl Timer for Fake {
        fn now(&self) -> Time {
            seconds(self.now.get())
        }

        fn reset(&mut self, deadline: Time) {
            self.at.set(Some(deadline));
            self.set.update(|times| times + 1);
        }

        fn poll_expired(&mut self, _: &mut Context<'_>) -> Poll<()> {
            match self.at.get() {
                Some(at) if self.now() < at => Poll::Pending,
                _ => Poll::Ready(()),
            }
        }
    }

    #[test]
    fn a_deadline_that_moves_on_sets_the_timer_once_in_its_time() {
        let timer = Fake::default();
        let mut alarm = Alarm::new(timer.clone());
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        for now in 0..30 {
            timer.now.set(now);
            assert!(!alarm.wait(cx, Some(seconds(now + 10))));
        }
        assert_eq!(timer.set.get(), 3);
        timer.now.set(38);
        assert!(!alarm.wait(cx, Some(seconds(39))));
        timer.now.set(39);
        assert!(alarm.wait(cx, Some(seconds(39))));
    }

    #[test]
    fn a_deadline_that_comes_earlier_is_kept() {
        let timer = Fake::default();
        let mut alarm = Alarm::new(timer.clone());
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        assert!(!alarm.wait(cx, Some(seconds(10))));
        assert!(!alarm.wait(cx, None));
        assert!(!alarm.wait(cx, Some(seconds(5))));
        assert_eq!(timer.at.get(), Some(seconds(5)));
    }
}
