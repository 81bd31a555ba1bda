//! When each message is due.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Whoever is woken more often than this does nothing else.
const TICK: Duration = Duration::from_micros(50);

/// Messages at a fixed rate. Each is due at its time, whoever is late with those before it.
pub struct Pace {
    period: Duration,
    started: Instant,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    due: AtomicU64,
    waiting: Mutex<Option<Waker>>,
    ended: AtomicBool,
}

impl Pace {
    /// The first is due now. A thread keeps the time: tokio's timers are good to a millisecond only.
    pub fn start(rate: f64) -> Self {
        let pace = Self {
            period: Duration::from_secs_f64(1.0 / rate),
            started: Instant::now(),
            shared: Arc::default(),
        };
        let (period, started, shared) = (pace.period, pace.started, Arc::clone(&pace.shared));
        thread::spawn(move || keep(period, started, &shared));
        pace
    }

    /// How many are due. The task is woken when there are more.
    pub fn due(&self, cx: &mut Context<'_>) -> u64 {
        let mut waiting = lock(&self.shared.waiting);
        *waiting = Some(cx.waker().clone());
        self.shared.due.load(Ordering::Acquire)
    }

    /// How long ago the message of this number was due.
    pub fn since(&self, number: u64, now: Instant) -> Duration {
        let nanos = self.period.as_nanos() as u64 * number;
        now.saturating_duration_since(self.started + Duration::from_nanos(nanos))
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
    }
}

fn keep(period: Duration, started: Instant, shared: &Shared) {
    // A sleep is 50 us longer than asked for by default.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    while !shared.ended.load(Ordering::Acquire) {
        let passed = started.elapsed().as_nanos() / period.as_nanos();
        let due = passed as u64 + 1;
        shared.due.store(due, Ordering::Release);
        let waiting = lock(&shared.waiting).take();
        waiting.into_iter().for_each(Waker::wake);
        let next = started + Duration::from_nanos(period.as_nanos() as u64 * due);
        thread::sleep(next.saturating_duration_since(Instant::now()).max(TICK));
    }
}

fn lock(waiting: &Mutex<Option<Waker>>) -> std::sync::MutexGuard<'_, Option<Waker>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
