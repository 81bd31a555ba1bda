//! Numbers for jitter, all from the one seed that the session was given.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): jitter needs spread, not secrecy.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A span from nothing to `most`, each as likely as the other.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        // The high half of the product is uniform but for 2^-64 of it.
        let scaled = (u128::from(self.next()) * (u128::from(most) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_all_of_the_span() {
        let most = Duration::from_millis(100);
        let mut random = Random::new(7);
        let mut again = Random::new(7);
        let spans: Vec<_> = (0..1_000).map(|_| random.up_to(most)).collect();
        assert!(spans.iter().all(|span| *span == again.up_to(most)));
        assert!(spans.iter().all(|span| *span <= most));
        for part in 0..10 {
            let from = most / 10 * part;
            let within = spans
                .iter()
                .filter(|s| (from..from + most / 10).contains(s));
            assert!(within.count() > 50, "part {part} is hardly ever hit");
        }
        assert_eq!(random.up_to(Duration::ZERO), Duration::ZERO);
    }
}
