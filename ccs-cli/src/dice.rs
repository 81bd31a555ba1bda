//! What a seed decides: numbers that depend on the seed and on what they are about, and on nothing that lies between.

use std::time::Duration;

use ring::digest::{SHA256, digest};

/// Two numbers about one thing.
pub struct Dice([u64; 2]);

impl Dice {
    pub fn new(seed: u64, about: &str) -> Self {
        let digest = digest(&SHA256, format!("{seed} {about}").as_bytes());
        let number = |from: usize| {
            let bytes = digest.as_ref().get(from..from + 8);
            let bytes: Option<[u8; 8]> = bytes.and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_be_bytes)
        };
        Self([number(0), number(8)])
    }

    /// So often of a hundred.
    pub fn falls_within(&self, percent: u32) -> bool {
        self.percent() < percent
    }

    /// From 0 to 99; what [`falls_within`](Self::falls_within) looks at.
    pub fn percent(&self) -> u32 {
        (self.0[0] % 100) as u32
    }

    /// One of so many, from 0; there is at least one.
    pub fn one_of(&self, many: u32) -> u32 {
        (self.0[1] % u64::from(many.max(1))) as u32
    }

    pub fn within(&self, (from, to): (Duration, Duration)) -> Duration {
        let span = to.saturating_sub(from).as_micros() as u64;
        from + Duration::from_micros(self.0[1] % (span + 1))
    }
}
