//! What the driver and the handles share, under one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::BytesMut;

use crate::error::ConnectionError;
use crate::time::Time;

/// One role's connection with those who wait for it, as the driver sees it.
pub trait Machine {
    /// Does what handles asked for, lets time pass.
    fn tick(&mut self, now: Time);
    /// Whether to read.
    fn wants_input(&self) -> bool;
    /// Takes bytes; a failure shows in [`end`](Self::end).
    fn receive(&mut self, now: Time, input: &[u8]);
    /// The transport ended.
    fn receive_eof(&mut self, now: Time);
    /// The transport failed.
    fn transport_failed(&mut self, now: Time, what: String);
    /// Appends bytes to write.
    fn poll_transmit(&mut self, now: Time, out: &mut BytesMut) -> bool;
    /// The next deadline.
    fn poll_timeout(&self) -> Option<Time>;
    /// How the connection ended, once it has.
    fn end(&self) -> Option<Result<(), ConnectionError>>;
    /// Wakes those for whom something has changed.
    fn notify(&mut self);
}

#[derive(Debug)]
pub(crate) struct Shared<M> {
    state: Mutex<State<M>>,
}

#[derive(Debug)]
struct State<M> {
    machine: M,
    driver: Option<Waker>,
}

impl<M: Machine> Shared<M> {
    pub(crate) fn new(machine: M) -> Arc<Self> {
        let driver = None;
        Arc::new(Self {
            state: Mutex::new(State { machine, driver }),
        })
    }

    /// For the driver: what it does, it follows up itself.
    pub(crate) fn drive<R>(&self, act: impl FnOnce(&mut M) -> R) -> R {
        let mut state = self.lock();
        let result = act(&mut state.machine);
        state.machine.notify();
        result
    }

    /// For a handle: the driver is woken to follow it up.
    pub(crate) fn act<R>(&self, act: impl FnOnce(&mut M) -> R) -> R {
        let mut state = self.lock();
        let result = act(&mut state.machine);
        state.machine.notify();
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// For a handle that only looks.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut M) -> R) -> R {
        look(&mut self.lock().machine)
    }

    /// Before the driver looks at anything, so that nothing that happens after is missed.
    pub(crate) fn park(&self, driver: &Waker) {
        let mut state = self.lock();
        match &mut state.driver {
            Some(known) => known.clone_from(driver),
            none => *none = Some(driver.clone()),
        }
    }

    /// A panic of the application's under this lock can only come from a waker or the tap; the state is whole.
    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Remembers who to wake, without a clone where it is the same task as before.
pub(crate) fn remember(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) => known.clone_from(waker),
        none => *none = Some(waker.clone()),
    }
}

pub(crate) fn wake(slot: &mut Option<Waker>) {
    if let Some(waker) = slot.take() {
        waker.wake();
    }
}
