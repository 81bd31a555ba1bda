//! Connections that are not logged in yet, and those that are and wait to be taken.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::endpoint::Arrival;
use super::shared::remember;
use crate::admission::{
    Admission, AdmissionConfig, Admitted, HalfOpenId, Ticket, TooManyFailures, TooManyHalfOpen,
};
use crate::message::SenderId;
use crate::time::Time;

/// Arrivals that nobody has taken yet, at which no more connections are let in.
const ARRIVALS: usize = 64;

/// The endpoint's side.
pub(super) struct Lobby {
    state: Arc<Mutex<State>>,
}

/// One connection that logs in.
pub(super) struct Guest {
    state: Arc<Mutex<State>>,
    id: HalfOpenId,
    /// Until it is given back.
    ticket: Option<Ticket>,
}

struct State {
    admission: Admission,
    /// Who may stay, and whom to wake when he may not.
    guests: BTreeMap<HalfOpenId, Option<Waker>>,
    arrivals: VecDeque<Arrival>,
    taker: Option<Waker>,
    /// Nobody takes arrivals any more.
    closed: bool,
}

impl Lobby {
    pub(super) fn new(config: AdmissionConfig) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                admission: Admission::new(config),
                guests: BTreeMap::new(),
                arrivals: VecDeque::new(),
                taker: None,
                closed: false,
            })),
        }
    }

    /// The next arrival; without one the task is woken when one comes.
    pub(super) fn poll_arrival(&self, cx: &Context<'_>) -> Option<Arrival> {
        let mut state = lock(&self.state);
        let arrival = state.arrivals.pop_front();
        if arrival.is_none() {
            remember(&mut state.taker, cx.waker());
        }
        arrival
    }

    /// Whether to take in more connections.
    pub(super) fn has_room(&self) -> bool {
        lock(&self.state).arrivals.len() < ARRIVALS
    }

    /// Lets one more in, or not. The one whose place he takes is shown out.
    pub(super) fn enter(&self, address: IpAddr) -> Result<Guest, TooManyHalfOpen> {
        let mut state = lock(&self.state);
        let Admitted {
            ticket,
            in_place_of,
        } = state.admission.arrive(address)?;
        state.guests.insert(ticket.id(), None);
        let shown_out = in_place_of.and_then(|oldest| state.guests.remove(&oldest));
        drop(state);
        shown_out.flatten().into_iter().for_each(Waker::wake);
        Ok(Guest {
            state: Arc::clone(&self.state),
            id: ticket.id(),
            ticket: Some(ticket),
        })
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
    /// What `login` comes to, or `None` if a newcomer takes its place before.
    pub(super) async fn unless_shown_out<F, T>(&mut self, login: F) -> Option<T>
    where
        F: AsyncFnOnce(&mut Self) -> T,
    {
        let state = Arc::clone(&self.state);
        let id = self.id;
        let mut login = pin!(login(self));
        poll_fn(|cx| {
            match lock(&state).guests.get_mut(&id) {
                Some(waker) => remember(waker, cx.waker()),
                None => return Poll::Ready(None),
            }
            login.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Whether to look at the key that was shown.
    pub(super) fn authenticating(
        &mut self,
        now: Time,
        sender: &SenderId,
    ) -> Result<(), TooManyFailures> {
        match &mut self.ticket {
            Some(ticket) => lock(&self.state)
                .admission
                .authenticating(now, ticket, sender),
            None => Ok(()),
        }
    }

    /// Its login is over. Without an endpoint to take it, the connection is closed.
    pub(super) fn arrive(mut self, now: Time, arrival: Arrival) {
        let mut state = lock(&self.state);
        state.guests.remove(&self.id);
        match (&arrival, self.ticket.take()) {
            (Arrival::Connected { .. }, Some(ticket)) => state.admission.succeeded(ticket),
            (Arrival::Refused { .. }, Some(ticket)) => state.admission.ended(now, ticket),
            (_, None) => {}
        }
        let nobody_takes = if state.closed {
            Some(arrival)
        } else {
            state.arrivals.push_back(arrival);
            None
        };
        let taker = state.taker.take();
        drop(state);
        // Without the lock: this closes its connection.
        drop(nobody_takes);
        taker.into_iter().for_each(Waker::wake);
    }
}

/// A login whose task was dropped, as after a panic of the application's: its place is free again, and it is no failure of
/// the peer's.
impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let mut state = lock(&self.state);
            state.guests.remove(&self.id);
            state.admission.succeeded(ticket);
        }
    }
}

/// Nothing panics under this lock; a state that was left is whole.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_login_whose_task_was_dropped_leaves_its_place() {
        let lobby = Lobby::new(AdmissionConfig {
            half_open_per_address: 1,
            ..AdmissionConfig::default()
        });
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let mut guest = lobby.enter(address).unwrap();
        let sender = "1".parse().unwrap();
        guest.authenticating(Time::ZERO, &sender).unwrap();
        assert!(lobby.enter(address).is_err(), "one at a time");
        drop(guest);
        assert!(lobby.enter(address).is_ok());
    }
}
