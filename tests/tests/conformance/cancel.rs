//! Futures that are dropped before they are done: at each point at which one waits, and there both at once and when what
//! it waited for has come.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// More polls than any case needs.
const LIMIT: usize = 500;

/// Where a future is dropped.
#[derive(Debug, Clone, Copy)]
pub struct Cancel {
    polls: usize,
    woken: bool,
}

impl Cancel {
    /// Dropped as soon as it has been polled so many times without being done.
    pub const fn after(polls: usize) -> Self {
        let woken = false;
        Self { polls, woken }
    }

    /// A number of its own for each.
    pub fn number(self) -> usize {
        2 * self.polls + usize::from(self.woken)
    }

    /// Whether the future is polled at all: until then it has asked for nothing.
    pub fn polls(self) -> bool {
        self.polls > 0
    }

    /// Polls `future`, each time that it is woken itself, and drops it here. `None` if it was not done by then.
    pub async fn of<F: Future>(self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut left = self.polls;
        poll_fn(|cx| {
            wakes.tell(cx.waker());
            let mut polled = Poll::Pending;
            while left > 0 && polled.is_pending() && wakes.take() {
                left -= 1;
                polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            }
            match polled {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if left > 0 => Poll::Pending,
                Poll::Pending if self.polls() && self.woken && !wakes.take() => Poll::Pending,
                Poll::Pending => Poll::Ready(None),
            }
        })
        .await
    }
}

/// Runs `case` with its future dropped at each point at which it waits: after one poll more each time, until the future
/// was done by itself, of which `case` tells.
pub async fn at_each_await(mut case: impl AsyncFnMut(Cancel) -> bool) {
    for woken in [false, true] {
        let mut polls = 0;
        while !case(Cancel { polls, woken }).await {
            polls += 1;
            assert!(polls < LIMIT, "it is never done");
        }
    }
}

/// Whether the future itself was woken: those that are polled beside it by the same task do not count.
#[derive(Default)]
struct Wakes {
    waits: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wakes {
    fn tell(&self, task: &Waker) {
        let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        known.replace(task.clone());
    }

    /// The first poll is not waited for.
    fn take(&self) -> bool {
        !self.waits.swap(true, Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.waits.store(false, Ordering::SeqCst);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let task = task.clone();
        task.into_iter().for_each(Waker::wake);
    }
}
