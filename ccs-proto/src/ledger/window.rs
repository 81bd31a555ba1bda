//! Messages that we send and the peer answers, never more than the window at once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeFrom;
use std::time::Duration;

use super::line::Line;
use crate::time::Time;

/// The window is full: nothing can be reserved before something is settled or given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A bounded book of messages by key, each of which is queued, then in flight, then settled once.
///
/// A place is taken by `reserve` and spent by `enqueue`. A message is in flight from the moment at which
/// `hand_out` gave its bytes to the caller. Keys under way are unique. Every operation costs the logarithm of the window
/// at most, whatever order the answers come in.
#[derive(Debug)]
pub struct Window<K, T> {
    limit: usize,
    reserved: usize,
    /// Everything under way, in the order in which it was accepted.
    messages: Line<UnderWay<K, T>>,
    /// The place of every key under way.
    keys: BTreeMap<K, u64>,
    /// The place of the first message that was not handed out.
    unsent: u64,
    queued: usize,
    /// The place of the first message that was not reported as overdue.
    unreported: u64,
}

#[derive(Debug)]
struct UnderWay<K, T> {
    key: K,
    message: T,
    /// When it was handed out, if it was.
    sent: Option<Time>,
}

impl<K: Ord + Clone, T> Window<K, T> {
    /// An empty window for `limit` messages.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            reserved: 0,
            messages: Line::new(),
            keys: BTreeMap::new(),
            unsent: 0,
            queued: 0,
            unreported: 0,
        }
    }

    /// Sets the limit anew. What is under way beyond it stays so.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Places that are free: the limit less what is in flight, queued or reserved.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.limit
            .saturating_sub(self.messages.len())
            .saturating_sub(self.reserved)
    }

    /// Takes a place, to be spent by [`enqueue`](Self::enqueue) or returned by [`give_back`](Self::give_back).
    ///
    /// # Errors
    /// [`Full`] when there is none.
    pub fn reserve(&mut self) -> Result<(), Full> {
        if self.capacity() == 0 {
            return Err(Full);
        }
        self.reserved = self.reserved.saturating_add(1);
        Ok(())
    }

    /// Returns a reserved place.
    pub fn give_back(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// Spends a reserved place on a message.
    ///
    /// # Errors
    /// The message comes back, and the place is free again, when its key is under way already.
    pub fn enqueue(&mut self, key: K, message: T) -> Result<(), T> {
        self.give_back();
        let Entry::Vacant(place) = self.keys.entry(key) else {
            return Err(message);
        };
        let queued = UnderWay {
            key: place.key().clone(),
            message,
            sent: None,
        };
        place.insert(self.messages.push(queued));
        self.queued = self.queued.saturating_add(1);
        Ok(())
    }

    /// The oldest queued message, which counts as in flight from now on.
    pub fn hand_out(&mut self, now: Time) -> Option<&T> {
        let place = self.unsent;
        // Of an empty queue there is no first, and what is behind it is the same.
        self.unsent = self.messages.after(place);
        let oldest = self.messages.get_mut(place)?;
        oldest.sent = Some(now);
        self.queued = self.queued.saturating_sub(1);
        Some(&oldest.message)
    }

    /// Ends the message in flight with this key and frees its place. `None`, and nothing freed, when there is none:
    /// never sent, or settled before.
    pub fn settle(&mut self, key: &K) -> Option<T> {
        let place = self.place_in_flight(key)?;
        self.keys.remove(key);
        self.remove(place)
    }

    fn remove(&mut self, place: u64) -> Option<T> {
        let removed = self.messages.remove(place)?;
        for first in [&mut self.unsent, &mut self.unreported] {
            if *first == place {
                *first = self.messages.after(place);
            }
        }
        Some(removed.message)
    }

    /// The message in flight with this key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&T> {
        let place = self.place_in_flight(key)?;
        Some(&self.messages.get(place)?.message)
    }

    fn place_in_flight(&self, key: &K) -> Option<u64> {
        let place = *self.keys.get(key)?;
        (place < self.unsent).then_some(place)
    }

    /// The key in flight that is the first one not below `from`. Walks over those that are queued.
    pub fn first_from(&self, from: RangeFrom<K>) -> Option<&K> {
        self.keys
            .range(from)
            .find(|&(_, &place)| place < self.unsent)
            .map(|(key, _)| key)
    }

    /// The message that has been in flight for longest, and since when.
    #[must_use]
    pub fn oldest(&self) -> Option<(&K, Time)> {
        let oldest = self.messages.first()?;
        Some((&oldest.key, oldest.sent?))
    }

    /// When the next message that was not reported yet has been in flight for `patience`.
    #[must_use]
    pub fn next_overdue(&self, patience: Duration) -> Option<Time> {
        let next = self.messages.get(self.unreported)?;
        Some(next.sent?.after(patience))
    }

    /// A message that has been in flight for `patience` and was not reported before.
    pub fn take_overdue(&mut self, patience: Duration, now: Time) -> Option<&T> {
        let place = self.unreported;
        let next = self.messages.get(place)?;
        if next.sent?.after(patience) > now {
            return None;
        }
        self.unreported = self.messages.after(place);
        Some(&next.message)
    }

    /// Takes back a queued message. `None` when it is not queued: unknown, or in flight already.
    pub fn cancel(&mut self, key: &K) -> Option<T> {
        let place = *self.keys.get(key)?;
        if place < self.unsent {
            return None;
        }
        self.keys.remove(key);
        self.queued = self.queued.saturating_sub(1);
        self.remove(place)
    }

    /// Gives up the queued messages, in order. They were never sent.
    pub fn take_queued(&mut self) -> Vec<T> {
        let queued = self.messages.take_from(self.unsent);
        self.queued = 0;
        self.unsent = self.messages.first_from(self.unsent);
        self.unreported = self.messages.first_from(self.unreported);
        self.give_up(queued)
    }

    /// Gives up the messages in flight, in the order in which they were sent. What became of them is unknown.
    pub fn take_in_flight(&mut self) -> Vec<T> {
        let in_flight = self.messages.take_before(self.unsent);
        self.unreported = self.messages.first_from(self.unreported);
        self.give_up(in_flight)
    }

    fn give_up(&mut self, messages: Vec<UnderWay<K, T>>) -> Vec<T> {
        let given_up = messages.into_iter().map(|under_way| {
            self.keys.remove(&under_way.key);
            under_way.message
        });
        given_up.collect()
    }

    /// Messages sent and not settled.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.messages.len().saturating_sub(self.queued)
    }

    /// Messages accepted and not sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window_with(limit: usize, sent: &[u32]) -> Window<u32, u32> {
        let mut window = Window::new(limit);
        for key in sent {
            window.reserve().unwrap();
            window.enqueue(*key, *key).unwrap();
            window.hand_out(Time::ZERO + Duration::from_secs(u64::from(*key)));
        }
        window
    }

    #[test]
    fn the_window_counts_what_is_reserved_queued_and_in_flight() {
        let mut window = window_with(3, &[1]);
        window.reserve().unwrap();
        window.enqueue(2, 2).unwrap();
        window.reserve().unwrap();
        assert_eq!((window.in_flight(), window.queued()), (1, 1));
        assert_eq!((window.get(&1), window.get(&2)), (Some(&1), None));
        assert_eq!(window.capacity(), 0);
        assert_eq!(window.reserve(), Err(Full));
        window.give_back();
        assert_eq!(window.capacity(), 1);
        assert_eq!(window.settle(&2), None, "queued, so it cannot be answered");
        assert_eq!(window.settle(&1), Some(1));
        assert_eq!(window.capacity(), 2);
        assert_eq!(window.cancel(&2), Some(2));
        assert_eq!(window.queued(), 0);
    }

    #[test]
    fn a_message_is_settled_once() {
        let mut window = window_with(2, &[1, 2]);
        assert_eq!(window.settle(&2), Some(2));
        assert_eq!(window.settle(&2), None);
        assert_eq!(window.settle(&9), None);
        assert_eq!(window.in_flight(), 1);
        assert_eq!(window.capacity(), 1);
    }

    #[test]
    fn keys_under_way_are_unique_and_free_again_once_settled() {
        let mut window = window_with(3, &[1]);
        window.reserve().unwrap();
        assert_eq!(window.enqueue(1, 10), Err(10));
        assert_eq!(window.capacity(), 2, "the place came back");
        window.settle(&1);
        window.reserve().unwrap();
        assert_eq!(window.enqueue(1, 11), Ok(()));
        window.reserve().unwrap();
        assert_eq!(window.enqueue(1, 12), Err(12), "queued counts as well");
    }

    #[test]
    fn what_is_left_comes_out_told_apart_and_in_order() {
        let mut window = window_with(5, &[3, 1, 2]);
        window.settle(&1);
        window.reserve().unwrap();
        window.enqueue(9, 9).unwrap();
        assert_eq!(
            window.oldest(),
            Some((&3, Time::ZERO + Duration::from_secs(3)))
        );
        assert_eq!(window.take_in_flight(), [3, 2]);
        assert_eq!(window.take_queued(), [9]);
        assert_eq!(window.capacity(), 5);
    }

    #[test]
    fn a_message_can_be_taken_back_until_it_is_sent() {
        let mut window = window_with(3, &[1]);
        window.reserve().unwrap();
        window.enqueue(2, 2).unwrap();
        assert_eq!(window.cancel(&1), None);
        assert_eq!(window.cancel(&2), Some(2));
        assert_eq!(window.capacity(), 2);
        assert_eq!(window.hand_out(Time::ZERO), None);
    }

    #[test]
    fn a_range_finds_only_what_is_in_flight() {
        let mut window = window_with(5, &[3]);
        window.reserve().unwrap();
        window.enqueue(2, 2).unwrap();
        assert_eq!(window.first_from(1..), Some(&3));
        assert_eq!(window.first_from(4..), None);
    }

    #[test]
    fn a_message_is_reported_as_overdue_once_and_a_settled_one_never() {
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let patience = Duration::from_secs(10);
        let mut window = window_with(3, &[1, 2, 3]);
        window.settle(&1);
        assert_eq!(window.next_overdue(patience), Some(at(12)));
        assert_eq!(window.take_overdue(patience, at(11)), None);
        assert_eq!(window.take_overdue(patience, at(12)), Some(&2));
        assert_eq!(window.take_overdue(patience, at(12)), None);
        assert_eq!(window.next_overdue(patience), Some(at(13)));
        assert_eq!(window.take_overdue(patience, at(13)), Some(&3));
        assert_eq!(window.next_overdue(patience), None);
        assert_eq!(window.in_flight(), 2, "overdue is not settled");
    }
}
