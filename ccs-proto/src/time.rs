//! The clock that the caller reads for the core.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the caller's monotonic clock: the time since an origin of the caller's choice.
///
/// The core never reads a clock; every method that can start or end a timer takes `now`. An adapter
/// counts from the `Instant` at which it started, a simulator counts virtual time.
///
/// Arithmetic saturates: a deadline that does not fit is one that never comes.
///
/// ```
/// use ccs_proto::Time;
/// use std::time::Duration;
///
/// let start = Time::ZERO;
/// let later = start + Duration::from_secs(60);
/// assert_eq!(later - start, Duration::from_secs(60));
/// assert_eq!(start - later, Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(Duration);

impl Time {
    /// The origin of the caller's clock.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment that lies `since_origin` after the origin.
    #[must_use]
    pub const fn from_origin(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// The moment that lies `later` after this one.
    #[must_use]
    pub const fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }

    /// How long after the origin this moment lies.
    #[must_use]
    pub const fn since_origin(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        self.after(later)
    }
}

impl Sub for Time {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
