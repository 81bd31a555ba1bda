//! What was handled, so that a copy of it is acked and not handled again.

use std::collections::{BTreeSet, VecDeque};

use super::deliveries::DeliveryKey;

/// The names of the last messages that were handled, bounded in number and bytes. The oldest go first.
#[derive(Debug)]
pub(super) struct Remembered {
    order: VecDeque<DeliveryKey>,
    keys: BTreeSet<DeliveryKey>,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
}

impl Remembered {
    pub(super) fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self {
            order: VecDeque::new(),
            keys: BTreeSet::new(),
            bytes: 0,
            max_messages,
            max_bytes,
        }
    }

    pub(super) fn contains(&self, key: &DeliveryKey) -> bool {
        self.keys.contains(key)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Remembers a name, and gives those that it drives out.
    pub(super) fn insert(&mut self, key: &DeliveryKey) -> Vec<DeliveryKey> {
        // The names of a message are parts of its body, which shall not be kept.
        let key = key.detached();
        if self.keys.insert(key.clone()) {
            self.bytes = self.bytes.saturating_add(key.size());
            self.order.push_back(key);
        }
        let mut forgotten = Vec::new();
        while self.order.len() > self.max_messages || self.bytes > self.max_bytes {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.size());
            self.keys.remove(&oldest);
            forgotten.push(oldest);
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> DeliveryKey {
        DeliveryKey::new("phone-1", id)
    }

    #[test]
    fn the_oldest_names_go_first_by_number_and_by_bytes() {
        let mut names = Remembered::new(2, 1_000);
        assert_eq!(names.insert(&key("a")), []);
        assert_eq!(names.insert(&key("a")), [], "once is enough");
        assert_eq!(names.insert(&key("b")), []);
        assert_eq!(names.insert(&key("c")), [key("a")]);
        assert!(!names.contains(&key("a")) && names.contains(&key("c")));
        let long = "x".repeat(990);
        assert_eq!(names.insert(&key(&long)), [key("b"), key("c")]);
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn one_id_of_two_devices_is_two_messages() {
        let mut names = Remembered::new(10, 1_000);
        names.insert(&key("a"));
        assert!(!names.contains(&DeliveryKey::new("phone-2", "a")));
    }
}
