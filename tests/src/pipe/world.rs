//! A clock that is moved by hand and the executor that moves it: time passes when nothing else can happen.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use ccs_proto::Time;
use ccs_proto::driver::Timer;

use super::lock;

/// Virtual time, and who waits for which moment.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<Mutex<Alarms>>);

#[derive(Debug, Default)]
struct Alarms {
    now: Time,
    next: u64,
    set: BTreeMap<(Time, u64), Option<Waker>>,
}

impl Clock {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        lock(&self.0).now
    }

    /// A timer by this clock.
    #[must_use]
    pub fn timer(&self) -> ManualTimer {
        let mut alarms = lock(&self.0);
        alarms.next += 1;
        ManualTimer {
            clock: self.clone(),
            id: alarms.next,
            at: None,
        }
    }

    /// Moves on to the next alarm that somebody waits for; `false` if there is none.
    fn advance(&self) -> bool {
        let mut alarms = lock(&self.0);
        let next = alarms.set.iter().find(|(_, waker)| waker.is_some());
        let Some(key) = next.map(|(key, _)| *key) else {
            return false;
        };
        alarms.now = alarms.now.max(key.0);
        let waker = alarms.set.get_mut(&key).and_then(Option::take);
        drop(alarms);
        waker.into_iter().for_each(Waker::wake);
        true
    }
}

/// A [`Timer`] in virtual time.
#[derive(Debug)]
pub struct ManualTimer {
    clock: Clock,
    id: u64,
    at: Option<Time>,
}

impl Timer for ManualTimer {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn reset(&mut self, deadline: Time) {
        let mut alarms = lock(&self.clock.0);
        if let Some(before) = self.at.replace(deadline) {
            alarms.set.remove(&(before, self.id));
        }
        alarms.set.insert((deadline, self.id), None);
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut alarms = lock(&self.clock.0);
        let Some(at) = self.at.filter(|at| *at > alarms.now) else {
            return Poll::Ready(());
        };
        alarms.set.insert((at, self.id), Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for ManualTimer {
    fn drop(&mut self) {
        if let Some(at) = self.at {
            lock(&self.clock.0).set.remove(&(at, self.id));
        }
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Tasks on one thread, in turn, by virtual time.
#[derive(Clone, Default)]
pub struct World {
    clock: Clock,
    spawned: Arc<Mutex<Vec<Task>>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("World").field(&self.clock.now()).finish()
    }
}

struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Turns without any passing of time: more can only be somebody who spins.
const TURNS: usize = 10_000_000;

impl World {
    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Runs a task beside the others.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        lock(&self.spawned).push(Box::pin(task));
    }

    /// Runs everything until `main` is done.
    ///
    /// # Panics
    /// Nothing can happen any more and `main` is not done, or somebody spins.
    pub fn run<R: 'static>(&self, main: impl Future<Output = R> + 'static) -> R {
        let result = Arc::new(Mutex::new(None));
        self.spawn({
            let result = Arc::clone(&result);
            async move {
                let done = main.await;
                *lock(&result) = Some(done);
            }
        });
        let mut tasks: Vec<(Arc<Ready>, Option<Task>)> = Vec::new();
        let mut turns = 0;
        loop {
            for task in std::mem::take(&mut *lock(&self.spawned)) {
                tasks.push((Arc::new(Ready(AtomicBool::new(true))), Some(task)));
            }
            let mut moved = false;
            for (ready, slot) in &mut tasks {
                let Some(task) = slot else { continue };
                if !ready.0.swap(false, Ordering::Relaxed) {
                    continue;
                }
                moved = true;
                turns += 1;
                let waker = Waker::from(Arc::clone(ready));
                if task
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready()
                {
                    *slot = None;
                }
            }
            if let Some(result) = lock(&result).take() {
                return result;
            }
            assert!(turns < TURNS, "somebody spins");
            if !moved && lock(&self.spawned).is_empty() {
                assert!(self.clock.advance(), "nothing can happen any more");
                turns = 0;
            }
        }
    }
}
