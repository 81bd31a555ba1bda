//! Hashes that are cheap and, under the same key, the same in every run.

use std::hash::{BuildHasher, Hash, Hasher};

use crate::server::Nonce;

/// A key for hashes, out of a connection's random bytes: who writes what is hashed cannot make it look like something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashKey([u64; 2]);

impl HashKey {
    /// The one that everybody knows, for what fears no collision.
    const KNOWN: Self = Self(PI);

    pub(crate) fn new(nonce: Nonce) -> Self {
        let bytes = nonce.0.first_chunk().copied().unwrap_or_default();
        let ([first, second], [one, other]) = (halves(bytes), PI);
        Self([first ^ one, second ^ other])
    }
}

impl BuildHasher for HashKey {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        let [state, secret] = self.0;
        Fold { state, secret }
    }
}

/// A name in a large book: its hash is compared first, since numbers are compared faster than texts. Where two hashes are the
/// same the names decide, so whoever chooses names can slow it down to what it costs without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hashed<K>(u64, K);

impl<K: Hash> Hashed<K> {
    pub(crate) fn new(name: K) -> Self {
        Self(HashKey::KNOWN.hash_one(&name), name)
    }
}

/// Digits of π: a product with few bits in one factor spreads little, and not everybody's bytes are random.
const PI: [u64; 2] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];

fn halves(bytes: [u8; 16]) -> [u64; 2] {
    let whole = u128::from_le_bytes(bytes);
    [whole as u64, (whole >> 64) as u64]
}

/// Each step multiplies 16 bytes under the key and folds the product, as wyhash does.
pub(crate) struct Fold {
    state: u64,
    secret: u64,
}

impl Fold {
    fn step(&mut self, [first, second]: [u64; 2]) {
        let (left, right) = (first ^ self.state, second ^ self.secret);
        let product = u128::from(left).wrapping_mul(u128::from(right));
        self.state = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        // The length first: what is filled up with zeros is another text than one that ends in them.
        self.step([bytes.len() as u64, 0]);
        let (blocks, rest) = bytes.as_chunks();
        for block in blocks {
            self.step(halves(*block));
        }
        let mut last = [0; 16];
        if let Some(part) = last.get_mut(..rest.len()) {
            part.copy_from_slice(rest);
        }
        self.step(halves(last));
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.step([number, 0]);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}
