//! Connections that are not logged in yet, and those that are and wait to be taken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use super::endpoint::Arrival;
use super::shared::remember;

/// Connections that log in at the same time, at most; others wait in the listener's queue.
const GUESTS: usize = 1_024;
/// Arrivals that nobody has taken yet, at which no more connections are let in.
const ARRIVALS: usize = 64;

/// The endpoint's side.
pub(super) struct Lobby {
    state: Arc<Mutex<State>>,
}

/// One connection that logs in.
pub(super) struct Guest {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    guests: usize,
    arrivals: VecDeque<Arrival>,
    taker: Option<Waker>,
    /// Nobody takes arrivals any more.
    closed: bool,
}

impl Lobby {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::default(),
        }
    }

    /// The next arrival; without one the task is woken when one comes, or when there is room for more.
    pub(super) fn poll_arrival(&self, cx: &Context<'_>) -> Option<Arrival> {
        let mut state = lock(&self.state);
        let arrival = state.arrivals.pop_front();
        if arrival.is_none() {
            remember(&mut state.taker, cx.waker());
        }
        arrival
    }

    /// Whether one more may be let in.
    pub(super) fn has_room(&self) -> bool {
        let state = lock(&self.state);
        state.guests < GUESTS && state.arrivals.len() < ARRIVALS
    }

    pub(super) fn enter(&self) -> Guest {
        let mut state = lock(&self.state);
        state.guests = state.guests.saturating_add(1);
        drop(state);
        Guest {
            state: Arc::clone(&self.state),
        }
    }
}

impl Drop for Lobby {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let nobody_takes = std::mem::take(&mut state.arrivals);
        drop(state);
        // Without the lock: this closes their connections.
        drop(nobody_takes);
    }
}

impl Guest {
    /// Its login is over. Without an endpoint to take it, the connection is closed.
    pub(super) fn arrive(self, arrival: Arrival) {
        let mut state = lock(&self.state);
        if !state.closed {
            state.arrivals.push_back(arrival);
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.guests = state.guests.saturating_sub(1);
        let taker = state.taker.take();
        drop(state);
        taker.into_iter().for_each(Waker::wake);
    }
}

/// Nothing panics under this lock; a state that was left is whole.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
