//! Targets of which the endpoint says that they get too much: slower there, and nowhere else.

use std::collections::BTreeMap;

use super::backoff::Backoff;
use super::random::Random;
use crate::text::Text;
use crate::time::Time;

/// Targets that are remembered as slow. Beyond these the refused messages themselves are still delayed.
const TARGETS: usize = 10_000;

/// The targets that are slow for now. One message at a time goes there, as a probe; each one that is taken makes the
/// target faster again.
#[derive(Debug)]
pub(super) struct Pace {
    backoff: Backoff,
    slow: BTreeMap<Text, Slow>,
}

#[derive(Debug)]
struct Slow {
    level: u32,
    next: Time,
    /// A message was let through and is not answered.
    probing: bool,
}

impl Slow {
    fn new(level: u32, next: Time) -> Self {
        Self {
            level,
            next,
            probing: false,
        }
    }
}

impl Pace {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            slow: BTreeMap::new(),
        }
    }

    /// The endpoint refused a message to `target` as one too many. Says when the next one may go.
    pub(super) fn slow_down(&mut self, now: Time, target: &str, random: &mut Random) -> Time {
        if self.slow.len() >= TARGETS {
            self.slow.retain(|_, slow| slow.next > now);
        }
        let known = self.slow.get_mut(target);
        let level = known.as_ref().map_or(0, |slow| slow.level);
        let next = now + self.backoff.long_wait(level, random);
        match known {
            Some(slow) => {
                // Refusals of messages that were sent together are one.
                if slow.probing || slow.next <= now {
                    *slow = Slow::new(level.saturating_add(1), next);
                }
                slow.next
            }
            None => {
                if self.slow.len() < TARGETS {
                    self.slow.insert(Text::from(target), Slow::new(1, next));
                }
                next
            }
        }
    }

    /// Whether a message to `target` may go now; if so, the next one waits for its answer or a good while. Else when.
    pub(super) fn let_through(&mut self, now: Time, target: &str) -> Result<(), Time> {
        if self.slow.is_empty() {
            return Ok(());
        }
        match self.slow.get_mut(target) {
            Some(slow) if slow.next > now => Err(slow.next),
            Some(slow) => {
                slow.next = now + self.backoff.ceiling(0);
                slow.probing = true;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The endpoint took a message to `target`.
    pub(super) fn taken(&mut self, target: &str) {
        if let Some(slow) = self.slow.get_mut(target) {
            slow.level = slow.level.saturating_sub(1);
            if slow.level == 0 {
                self.slow.remove(target);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_target_is_slowed_and_probed_and_others_are_not_concerned() {
        let minute = Duration::from_secs(60);
        let mut pace = Pace::new(Backoff::new(minute, 10 * minute));
        let mut random = Random::new(1);
        let start = Time::ZERO;
        let next = pace.slow_down(start, "a", &mut random);
        assert!(next >= start + minute / 2 && next <= start + minute);
        assert_eq!(pace.slow_down(start, "a", &mut random), next, "one refusal");
        assert_eq!(pace.let_through(start, "a"), Err(next));
        assert_eq!(pace.let_through(start, "b"), Ok(()));
        assert_eq!(pace.let_through(next, "a"), Ok(()), "one probe");
        assert_eq!(pace.let_through(next, "a"), Err(next + minute));
        let later = pace.slow_down(next, "a", &mut random);
        assert!(later >= next + minute, "twice as long");
        pace.taken("a");
        assert!(pace.let_through(next, "a").is_err(), "half as slow");
        pace.taken("a");
        assert_eq!(pace.let_through(next, "a"), Ok(()));
    }
}
