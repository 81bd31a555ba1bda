//! Numbers from one seed. What each thing draws depends on the seed and on its own name, not on what others drew before:
//! so a history with one action less is still much the same history.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014), as for the jitter of sessions.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Dice {
    /// The dice of the thing that these words name.
    pub(super) fn of(seed: u64, name: &[u64]) -> Self {
        let mut state = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
        for word in name {
            state = mix(state ^ mix(word.wrapping_add(0x9e37_79b9_7f4a_7c15)));
        }
        Self(state)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 to below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let scaled = (u128::from(self.next()) * u128::from(end.max(1))) >> 64;
        u64::try_from(scaled).unwrap_or_default()
    }

    /// The same for places in a list.
    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or_default()
    }

    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to.saturating_sub(from) + 1))
    }

    pub(super) fn seconds(&mut self, from: u64, to: u64) -> Duration {
        self.millis(from * 1_000, to * 1_000)
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }
}

/// A name in one word (FNV-1a).
pub(super) fn word(text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    text.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
