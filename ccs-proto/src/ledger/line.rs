//! What waits in the order in which it came, and leaves in any order.

use std::collections::VecDeque;

/// A line that holds more room than this gives it back once nobody is left.
const KEPT: usize = 32;
/// Gaps that are left alone, however few wait.
const GAPS: usize = 32;

/// Entries under places that are counted up. A place is never given twice.
///
/// Whoever leaves from the middle leaves a gap. There are never many more gaps than entries, so the line is about as long as
/// what waits in it, and finding a place takes the logarithm of that at most.
#[derive(Debug)]
pub(super) struct Line<T> {
    /// By place, ascending. The first is no gap.
    entries: VecDeque<(u64, Option<T>)>,
    len: usize,
    next: u64,
}

impl<T> Line<T> {
    pub(super) const fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            len: 0,
            next: 0,
        }
    }

    /// The place that this entry gets.
    pub(super) fn push(&mut self, entry: T) -> u64 {
        let place = self.next;
        // 2^64 messages on one connection do not happen.
        self.next = self.next.wrapping_add(1);
        self.entries.push_back((place, Some(entry)));
        self.len = self.len.saturating_add(1);
        place
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, place: u64) -> Option<&T> {
        self.entries.get(self.index(place)?)?.1.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        let index = self.index(place)?;
        self.entries.get_mut(index)?.1.as_mut()
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.entries.front()?.1.as_ref()
    }

    /// The place of the first entry that is not before this place, or of the next one to come. Walks over gaps.
    pub(super) fn first_from(&self, place: u64) -> u64 {
        let mut index = self.lower_bound(place);
        while let Some((place, entry)) = self.entries.get(index) {
            if entry.is_some() {
                return *place;
            }
            index = index.saturating_add(1);
        }
        self.next
    }

    /// The same behind this place.
    pub(super) fn after(&self, place: u64) -> u64 {
        self.first_from(place.wrapping_add(1))
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<T> {
        let index = self.index(place)?;
        let entry = self.entries.get_mut(index)?.1.take()?;
        self.len = self.len.saturating_sub(1);
        self.close_gaps();
        Some(entry)
    }

    /// Takes out all entries before this place, in order.
    pub(super) fn take_before(&mut self, place: u64) -> Vec<T> {
        let end = self.lower_bound(place);
        let taken = self.entries.drain(..end).filter_map(|(_, entry)| entry);
        let taken: Vec<T> = taken.collect();
        self.len = self.len.saturating_sub(taken.len());
        self.close_gaps();
        taken
    }

    /// Takes out the others, in order.
    pub(super) fn take_from(&mut self, place: u64) -> Vec<T> {
        let start = self.lower_bound(place);
        let taken = self.entries.drain(start..).filter_map(|(_, entry)| entry);
        let taken: Vec<T> = taken.collect();
        self.len = self.len.saturating_sub(taken.len());
        self.close_gaps();
        taken
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|(_, entry)| entry.as_ref())
    }

    fn close_gaps(&mut self) {
        if self.len == 0 && self.entries.capacity() > KEPT {
            self.entries = VecDeque::new();
        }
        while let Some((_, None)) = self.entries.front() {
            self.entries.pop_front();
        }
        if self.entries.len() / 2 > self.len.saturating_add(GAPS) {
            self.entries.retain(|(_, entry)| entry.is_some());
        }
    }

    fn index(&self, place: u64) -> Option<usize> {
        let index = self.lower_bound(place);
        let (found, _) = self.entries.get(index)?;
        (*found == place).then_some(index)
    }

    /// The index of the first entry or gap that is not before this place.
    fn lower_bound(&self, place: u64) -> usize {
        let Some((first, _)) = self.entries.front() else {
            return 0;
        };
        // Where it is, unless gaps were closed.
        let index = usize::try_from(place.saturating_sub(*first)).unwrap_or(usize::MAX);
        match self.entries.get(index) {
            Some((found, _)) if *found == place => index,
            None if self.entries.back().is_some_and(|(last, _)| *last < place) => {
                self.entries.len()
            }
            _ => self.entries.partition_point(|(found, _)| *found < place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(entries: u64) -> Line<u64> {
        let mut line = Line::new();
        for entry in 0..entries {
            assert_eq!(line.push(entry), entry);
        }
        line
    }

    #[test]
    fn one_who_stays_keeps_no_room_for_those_who_left() {
        let mut line = line_of(2);
        for entry in 2..10_000 {
            line.push(entry);
            assert_eq!(line.remove(entry - 1), Some(entry - 1));
            assert!(line.entries.len() <= 2 * (line.len() + GAPS) + 2);
        }
        assert!(line.iter().eq(&[0, 9_999]));
        assert_eq!(
            (line.get(0), line.get(5), line.after(0)),
            (Some(&0), None, 9_999)
        );
        assert_eq!(
            (line.remove(9_999), line.remove(9_999)),
            (Some(9_999), None)
        );
        assert_eq!(line.after(0), 10_000, "the next to come");
    }

    #[test]
    fn an_empty_line_is_small() {
        let mut line = line_of(1_000);
        for entry in (0..1_000).rev() {
            line.remove(entry);
        }
        assert_eq!((line.len(), line.entries.capacity()), (0, 0));
        assert_eq!((line.push(7), line.first()), (1_000, Some(&7)));
    }

    #[test]
    fn it_is_taken_apart_in_order() {
        let mut line = line_of(6);
        line.remove(1);
        line.remove(4);
        assert_eq!(line.take_from(3), [3, 5]);
        assert_eq!((line.push(6), line.len()), (6, 3));
        assert_eq!(line.take_before(6), [0, 2]);
        assert_eq!((line.len(), line.first()), (1, Some(&6)));
        assert_eq!(line.take_from(0), [6]);
    }
}
