//! What the driver and the handles share, under one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::BytesMut;

use crate::error::ConnectionError;
use crate::time::Time;

/// One role's connection with those who wait for it, as the driver sees it.
pub trait Machine: Waking {
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
    /// What is read and written now may be a login, of which nothing is left behind.
    fn is_secret(&self) -> bool;
    /// Whether events wait to be taken.
    fn has_events(&self) -> bool;
    /// How the connection ended, once it has.
    fn end(&self) -> Option<Result<(), ConnectionError>>;
}

/// What tasks wait for.
pub trait Waking {
    /// Sees who is to be woken, since something has changed for him.
    fn notify(&mut self);
    /// Those who are to be woken, which is done without the lock.
    fn take_woken(&mut self) -> Vec<Waker>;
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

impl<M: Waking> Shared<M> {
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
        Self::release(state, None);
        result
    }

    /// For a handle: the driver is woken to follow it up.
    pub(crate) fn act<R>(&self, act: impl FnOnce(&mut M) -> R) -> R {
        self.attempt(|machine| (act(machine), true))
    }

    /// For a handle that may find nothing to do, and then says `false`. The driver is left alone in that case: where one
    /// task polls them both, each would have the other polled again for ever.
    pub(crate) fn attempt<R>(&self, attempt: impl FnOnce(&mut M) -> (R, bool)) -> R {
        let mut state = self.lock();
        let (result, acted) = attempt(&mut state.machine);
        state.machine.notify();
        let driver = if acted { state.driver.take() } else { None };
        Self::release(state, driver);
        result
    }

    /// Frees the lock before it wakes anybody: a waker may run what it likes, even this connection's handles.
    fn release(mut state: MutexGuard<'_, State<M>>, driver: Option<Waker>) {
        let woken = state.machine.take_woken();
        drop(state);
        woken.into_iter().chain(driver).for_each(Waker::wake);
    }

    /// For a handle that only looks.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut M) -> R) -> R {
        let mut state = self.lock();
        let result = look(&mut state.machine);
        Self::release(state, None);
        result
    }

    /// Before the driver looks at anything, so that nothing that happens after is missed.
    pub(crate) fn park(&self, driver: &Waker) {
        let mut state = self.lock();
        match &mut state.driver {
            Some(known) => known.clone_from(driver),
            none => *none = Some(driver.clone()),
        }
    }

    /// A panic of the application's under this lock can only come from the tap; the state is whole.
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
