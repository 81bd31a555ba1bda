//! Events that wait for the application, bounded in number and bytes.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// The queue between the state machine and the application. At its bound the caller stops reading; what one read held
/// may still overshoot it.
///
/// Events come out in the order in which they happened, but a caller with tasks that wait for an answer can take the
/// answers out ahead: a task that waits for an answer may be the very one that would take the events before it.
#[derive(Debug)]
pub(crate) struct Inbox<E> {
    deliveries: VecDeque<Entry<E>>,
    answers: VecDeque<Entry<E>>,
    next: u64,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
    /// Events that were taken and not settled. Who takes without end and settles nothing is full as well.
    unsettled: usize,
    full_since: Option<Time>,
}

#[derive(Debug)]
struct Entry<E> {
    place: u64,
    bytes: usize,
    event: E,
}

impl<E> Inbox<E> {
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self {
            deliveries: VecDeque::new(),
            answers: VecDeque::new(),
            next: 0,
            bytes: 0,
            max_events,
            max_bytes,
            unsettled: 0,
            full_since: None,
        }
    }

    /// How many of the events that were ever pushed wait to be settled.
    pub(crate) fn set_unacked(&mut self, unsettled: usize) {
        self.unsettled = unsettled;
        self.note_fullness(None);
    }

    pub(crate) fn push(&mut self, now: Time, bytes: usize, event: E) {
        let entry = self.entry(bytes, event);
        if self.deliveries.capacity() == 0 {
            // For the event of the login. Most connections idle, and the room that a queue takes at first would be a tenth of
            // what one of them weighs.
            self.deliveries.reserve_exact(1);
        }
        self.deliveries.push_back(entry);
        self.note_fullness(Some(now));
    }

    pub(crate) fn push_answer(&mut self, now: Time, bytes: usize, event: E) {
        let entry = self.entry(bytes, event);
        self.answers.push_back(entry);
        self.note_fullness(Some(now));
    }

    /// The place of the next event, in the order of all.
    pub(crate) fn next_place(&self) -> u64 {
        self.next
    }

    /// Whether an answer waits that has a place before this one.
    pub(crate) fn has_answer_before(&self, place: u64) -> bool {
        let first = self.answers.front();
        first.is_some_and(|entry| entry.place < place)
    }

    fn entry(&mut self, bytes: usize, event: E) -> Entry<E> {
        let place = self.next;
        self.next = self.next.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        Entry {
            place,
            bytes,
            event,
        }
    }

    /// The oldest event.
    pub(crate) fn pop(&mut self) -> Option<E> {
        let place = |lane: &VecDeque<Entry<E>>| lane.front().map_or(u64::MAX, |entry| entry.place);
        let entry = if place(&self.answers) < place(&self.deliveries) {
            self.answers.pop_front()
        } else {
            self.deliveries.pop_front()
        };
        self.take(entry)
    }

    /// The oldest answer.
    pub(crate) fn pop_answer(&mut self) -> Option<E> {
        let entry = self.answers.pop_front();
        self.take(entry)
    }

    fn take(&mut self, entry: Option<Entry<E>>) -> Option<E> {
        let entry = entry?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        self.note_fullness(None);
        Some(entry.event)
    }

    fn note_fullness(&mut self, now: Option<Time>) {
        if !self.is_full() {
            self.full_since = None;
        } else if self.full_since.is_none() {
            self.full_since = now;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.answers.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        let events = self.deliveries.len().saturating_add(self.answers.len());
        let too_many = events >= self.max_events || self.unsettled / 2 >= self.max_events;
        too_many || self.bytes >= self.max_bytes
    }

    /// When it will have been full for `patience`.
    pub(crate) fn overdue_at(&self, patience: Duration) -> Option<Time> {
        self.full_since.map(|since| since + patience)
    }

    pub(crate) fn into_events(mut self) -> Vec<E> {
        std::iter::from_fn(|| self.pop()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_by_number_or_by_bytes_and_remembers_since_when() {
        let patience = Duration::from_secs(30);
        let mut inbox = Inbox::new(2, 100);
        inbox.push(Time::ZERO, 10, 'a');
        assert!(!inbox.is_full());
        let later = Time::ZERO + Duration::from_secs(1);
        inbox.push(later, 10, 'b');
        assert!(inbox.is_full());
        inbox.push(later + patience, 0, 'c');
        assert_eq!(inbox.overdue_at(patience), Some(later + patience));
        assert_eq!(inbox.pop(), Some('a'));
        assert!(inbox.is_full(), "two are left");
        assert_eq!(inbox.pop(), Some('b'));
        assert_eq!(inbox.overdue_at(patience), None);
        inbox.push(later, 100, 'd');
        assert!(inbox.is_full(), "by bytes");
        assert_eq!(inbox.into_events(), ['c', 'd']);
    }

    #[test]
    fn answers_keep_their_place_among_the_events() {
        let mut inbox = Inbox::new(10, 100);
        inbox.push(Time::ZERO, 0, 'a');
        inbox.push_answer(Time::ZERO, 0, 'B');
        inbox.push(Time::ZERO, 0, 'c');
        inbox.push_answer(Time::ZERO, 0, 'D');
        assert_eq!(inbox.into_events(), ['a', 'B', 'c', 'D']);
    }

    #[test]
    fn who_takes_events_and_settles_none_fills_it_as_well() {
        let mut inbox = Inbox::new(2, 100);
        inbox.set_unacked(3);
        assert!(!inbox.is_full());
        inbox.set_unacked(4);
        assert!(inbox.is_full(), "twice as many as may wait");
        inbox.push(Time::ZERO, 0, 'a');
        inbox.set_unacked(0);
        assert_eq!(inbox.overdue_at(Duration::ZERO), None);
    }

    #[test]
    fn it_is_empty_when_neither_lane_holds_anything() {
        let mut inbox = Inbox::new(10, 100);
        assert!(inbox.is_empty());
        inbox.push(Time::ZERO, 0, 'a');
        assert!(!inbox.is_empty());
        inbox.pop();
        inbox.push_answer(Time::ZERO, 0, 'B');
        assert!(!inbox.is_empty());
        inbox.pop();
        assert!(inbox.is_empty());
    }

    #[cfg(feature = "driver")]
    #[test]
    fn an_answer_can_be_taken_ahead() {
        let mut inbox = Inbox::new(2, 100);
        inbox.push(Time::ZERO, 0, 'a');
        inbox.push_answer(Time::ZERO, 100, 'B');
        assert_eq!(inbox.pop_answer(), Some('B'));
        assert_eq!(inbox.pop_answer(), None);
        assert!(!inbox.is_full(), "its bytes went with it");
        assert_eq!(inbox.pop(), Some('a'));
    }
}
