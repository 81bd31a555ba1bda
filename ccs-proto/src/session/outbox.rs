//! What waits to be taken: events, and dead letters to look at. Bounded in number and in bytes.

use std::collections::VecDeque;

/// Things in order, each with what it weighs.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    waiting: VecDeque<(usize, T)>,
    bytes: usize,
    max_items: usize,
    max_bytes: usize,
}

impl<T> Outbox<T> {
    pub(crate) fn new(max_items: usize, max_bytes: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            max_items,
            max_bytes,
        }
    }

    pub(crate) fn push(&mut self, bytes: usize, item: T) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.waiting.push_back((bytes, item));
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let (bytes, item) = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(item)
    }

    /// Lets the oldest go until the rest is within the bounds.
    pub(crate) fn trim(&mut self) {
        while self.waiting.len() > self.max_items || self.bytes > self.max_bytes {
            if self.pop().is_none() {
                return;
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= self.max_items || self.bytes >= self.max_bytes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|(_, item)| item)
    }

    pub(crate) fn take_all(&mut self) -> Vec<T> {
        self.bytes = 0;
        self.waiting.drain(..).map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_in_number_and_in_bytes() {
        let mut outbox = Outbox::new(3, 10);
        outbox.push(4, 'a');
        outbox.push(4, 'b');
        assert!(!outbox.is_full());
        outbox.push(4, 'c');
        assert!(outbox.is_full());
        outbox.trim();
        assert_eq!(
            outbox.iter().collect::<String>(),
            "bc",
            "12 bytes are too many"
        );
        outbox.push(0, 'd');
        outbox.push(0, 'e');
        outbox.trim();
        assert_eq!(outbox.pop(), Some('c'));
        assert_eq!(outbox.take_all(), ['d', 'e']);
    }
}
