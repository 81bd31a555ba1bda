//! What a peer may do a little of.

use std::time::Duration;

use crate::time::Time;

const MINUTE: Duration = Duration::from_secs(60);

/// How much of something there was within a minute, which begins anew with the first after the last one ended.
#[derive(Debug)]
pub(crate) struct Minute {
    since: Time,
    used: usize,
}

impl Minute {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            since: now,
            used: 0,
        }
    }

    /// Counts more of it, and says whether all of this minute is within the limit.
    pub(crate) fn allows(&mut self, now: Time, more: usize, limit: usize) -> bool {
        if now - self.since >= MINUTE {
            *self = Self::new(now);
        }
        self.used = self.used.saturating_add(more);
        self.used <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_a_minute() {
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let mut minute = Minute::new(Time::ZERO);
        assert!(minute.allows(at(0), 9, 10));
        assert!(minute.allows(at(59), 1, 10));
        assert!(!minute.allows(at(59), 1, 10));
        assert!(minute.allows(at(60), 10, 10));
        assert!(!minute.allows(at(119), 1, 10));
        assert!(minute.allows(at(1_000), 10, 10));
    }
}
