//! When each message is due.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Gives messages to whoever can send one: at once, or evenly by a rate. A message that nobody could take when it was
/// due is due since then, so what holds senders up is seen in its latency (no coordinated omission).
pub struct Schedule {
    messages: u32,
    rate: Option<NonZeroU32>,
    started: OnceLock<Instant>,
    /// One permit for each message that is due and was not taken.
    due: Semaphore,
    taken: AtomicU32,
}

impl Schedule {
    /// `rate` is in messages a second. Nothing is due before the [`start`](Self::start).
    pub fn new(messages: u32, rate: Option<NonZeroU32>) -> Self {
        Self {
            messages,
            rate,
            started: OnceLock::new(),
            due: Semaphore::new(0),
            taken: AtomicU32::new(0),
        }
    }

    /// The first message is due now.
    pub fn start(self: &Arc<Self>, now: Instant) {
        let started = *self.started.get_or_init(|| now);
        let Some(rate) = self.rate else {
            return self.due.add_permits(self.messages as usize);
        };
        let schedule = Arc::clone(self);
        // tokio's timer is only good to a millisecond, which would be most of the latency.
        tokio::task::spawn_blocking(move || schedule.pace(started, rate));
    }

    fn pace(&self, started: Instant, rate: NonZeroU32) {
        for number in 0..self.messages {
            let due = started + after(number, rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.due.is_closed() {
                return;
            }
            self.due.add_permits(1);
        }
    }

    /// Waits for the next message to be due, and says since when it is. `None` after the last. No message is lost when the
    /// future is dropped.
    pub async fn next(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number.checked_add(1) == Some(self.messages) {
            self.end();
        }
        match (self.rate, self.started.get()) {
            (Some(rate), Some(started)) => Some(*started + after(number, rate)),
            _ => Some(Instant::now()),
        }
    }

    /// Nothing more is due.
    pub fn end(&self) {
        self.due.close();
    }
}

/// When a message is due, from the start; numbers begin with 0.
fn after(number: u32, rate: NonZeroU32) -> Duration {
    Duration::from_secs(number.into()) / rate.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_message_is_given_once_and_due_evenly_however_late_it_is_taken() {
        let rate = NonZeroU32::new(1_000).unwrap();
        let schedule = Arc::new(Schedule::new(20, Some(rate)));
        let started = Instant::now();
        schedule.start(started);
        let mut due = Vec::new();
        while let Some(since) = schedule.next().await {
            assert!(since <= Instant::now(), "not before it is due");
            due.push(since - started);
        }
        let evenly: Vec<_> = (0..20).map(Duration::from_millis).collect();
        assert_eq!(due, evenly);
    }

    #[tokio::test]
    async fn without_a_rate_everything_is_due_at_once() {
        let schedule = Arc::new(Schedule::new(3, None));
        schedule.start(Instant::now());
        for _ in 0..3 {
            assert!(schedule.next().await.is_some());
        }
        assert_eq!(schedule.next().await, None);
    }
}
