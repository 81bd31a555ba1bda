//! How long to wait before another try: exponential, with full jitter.

use std::time::Duration;

use super::random::Random;

/// Delays that double from `base` to `cap`. The wait is a random part of the delay, so that those who failed together
/// do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay.
    pub base: Duration,
    /// No delay is longer.
    pub cap: Duration,
}

impl Backoff {
    /// Delays from `base` to `cap`.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }

    /// The longest wait before another try, when `failed` tries before this one failed in a row.
    ///
    /// ```
    /// use ccs_proto::session::Backoff;
    /// use std::time::Duration;
    ///
    /// let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    /// assert_eq!(backoff.ceiling(0), Duration::from_secs(1));
    /// assert_eq!(backoff.ceiling(3), Duration::from_secs(8));
    /// assert_eq!(backoff.ceiling(1_000), Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn ceiling(&self, failed: u32) -> Duration {
        let factor = 1_u32.checked_shl(failed).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// A wait from nothing to the ceiling.
    pub(super) fn wait(&self, failed: u32, random: &mut Random) -> Duration {
        random.up_to(self.ceiling(failed))
    }

    /// A wait of at least half the ceiling, where at once is out of the question.
    pub(super) fn long_wait(&self, failed: u32, random: &mut Random) -> Duration {
        let half = self.ceiling(failed) / 2;
        half.saturating_add(random.up_to(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_below_a_ceiling_that_doubles_to_the_cap() {
        let second = Duration::from_secs(1);
        let backoff = Backoff::new(second, 60 * second);
        let ceilings: Vec<_> = (0..9).map(|n| backoff.ceiling(n).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let mut random = Random::new(1);
        for failed in [0, 3, 31, 32, u32::MAX] {
            let ceiling = backoff.ceiling(failed);
            let waits: Vec<_> = (0..200)
                .map(|_| backoff.wait(failed, &mut random))
                .collect();
            assert!(waits.iter().all(|wait| *wait <= ceiling));
            assert!(waits.iter().any(|wait| *wait < ceiling / 4), "full jitter");
            assert!(waits.iter().any(|wait| *wait > ceiling / 4 * 3));
            let long = backoff.long_wait(failed, &mut random);
            assert!(long >= ceiling / 2 && long <= ceiling);
        }
    }
}
