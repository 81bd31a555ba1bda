//! A line of tasks that wait for a place in the window, served in the order in which they came.

use std::collections::BTreeMap;
use std::task::Waker;

use super::shared::remember;

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next: u64,
    line: BTreeMap<u64, Option<Waker>>,
}

/// A place in the line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(u64);

impl Waiters {
    pub(crate) fn join(&mut self) -> Ticket {
        let ticket = self.next;
        self.next = self.next.wrapping_add(1);
        self.line.insert(ticket, None);
        Ticket(ticket)
    }

    /// Takes the same place again, if it was left.
    pub(crate) fn rejoin(&mut self, ticket: Ticket) {
        self.line.entry(ticket.0).or_default();
    }

    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.line.remove(&ticket.0);
    }

    pub(crate) fn is_first(&self, ticket: Ticket) -> bool {
        self.line.first_key_value().map(|(first, _)| *first) == Some(ticket.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(crate) fn wait(&mut self, ticket: Ticket, waker: &Waker) {
        if let Some(slot) = self.line.get_mut(&ticket.0) {
            remember(slot, waker);
        }
    }

    /// There is a place: the first in line may take it, and looks again at the line when he has.
    pub(crate) fn wake_first(&mut self, woken: &mut Vec<Waker>) {
        if let Some(mut first) = self.line.first_entry() {
            woken.extend(first.get_mut().take());
        }
    }

    /// There never will be a place.
    pub(crate) fn wake_all(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.line.values_mut().filter_map(Option::take));
    }
}
