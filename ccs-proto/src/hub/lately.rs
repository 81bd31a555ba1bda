//! What is remembered until it is asked for, within a bound.

use std::collections::BTreeMap;

/// Values by key, each given once. Beyond the bound the one that was not touched for longest is forgotten.
#[derive(Debug)]
pub(super) struct Lately<K, V> {
    /// With the place of each in the order.
    values: BTreeMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Self {
            values: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<K: Ord + Clone, V> Lately<K, V> {
    /// Remembers a value in place of the one before, as the newest of at most `limit`.
    pub(super) fn insert(&mut self, key: K, value: V, limit: usize) {
        self.take(&key);
        self.values.insert(key.clone(), (self.next, value));
        self.order.insert(self.next, key);
        self.next = self.next.wrapping_add(1);
        while self.values.len() > limit
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.values.remove(&oldest);
        }
    }

    /// Takes a value that fulfils a condition.
    pub(super) fn take_if(&mut self, key: &K, fits: impl FnOnce(&V) -> bool) -> Option<V> {
        let (_, value) = self.values.get(key)?;
        fits(value).then(|| self.take(key)).flatten()
    }

    pub(super) fn take(&mut self, key: &K) -> Option<V> {
        let (place, value) = self.values.remove(key)?;
        self.order.remove(&place);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_given_once_and_the_oldest_makes_room() {
        let mut lately = Lately::default();
        lately.insert("a", 1, 2);
        lately.insert("b", 2, 2);
        lately.insert("a", 3, 2);
        lately.insert("c", 4, 2);
        assert_eq!(lately.take(&"b"), None, "it was the oldest");
        assert_eq!(lately.take_if(&"a", |value| *value == 1), None);
        assert_eq!(lately.take(&"a"), Some(3));
        assert_eq!(lately.take(&"a"), None);
        assert_eq!(lately.take(&"c"), Some(4));
    }
}
