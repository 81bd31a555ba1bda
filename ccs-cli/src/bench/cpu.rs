//! The processor time of this process.

use std::time::Duration;

/// What all threads of this process have used up to now; `None` where the system does not tell.
#[cfg(unix)]
pub fn used() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.try_into().ok()
}

#[cfg(not(unix))]
pub fn used() -> Option<Duration> {
    None
}
