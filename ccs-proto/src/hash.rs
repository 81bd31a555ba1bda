//! Hashes that are cheap and, under the same key, the same in every run.

use std::hash::{BuildHasher, Hash};

use foldhash::{fast, quality};

/// A key for hashes, out of a connection's random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashKey(u64);

impl HashKey {
    pub(crate) fn new(nonce: [u8; 20]) -> Self {
        let bytes = nonce.first_chunk().copied().unwrap_or_default();
        Self(u64::from_le_bytes(bytes))
    }

    pub(crate) fn hash(self, what: &impl Hash) -> u64 {
        quality::FixedState::with_seed(self.0).hash_one(what)
    }
}

/// A name in a large book: its hash is compared first, since numbers are compared faster than texts. Where two hashes are the
/// same the names decide, so whoever chooses names can slow it down to what it costs without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hashed<K>(u64, K);

impl<K: Hash> Hashed<K> {
    pub(crate) fn new(name: K) -> Self {
        Self(fast::FixedState::default().hash_one(&name), name)
    }

    pub(crate) fn name(&self) -> &K {
        &self.1
    }
}
