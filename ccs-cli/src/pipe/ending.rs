//! The end: what is pending is finished, with or without a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::Pipe;
use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::ndjson::Line;
use crate::outcome::{self, Tally};
use crate::terminal::say;

/// After the deadline connections are closed, and the last lines written; neither is waited for longer.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How far the end has come.
pub struct Ending {
    /// How long it may take once somebody is in a hurry.
    timeout: Duration,
    deadline: Option<Instant>,
    /// Why it cannot go on.
    failure: Option<Failure>,
}

impl Ending {
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            deadline: None,
            failure: None,
        }
    }

    pub fn has_deadline(&self) -> bool {
        self.deadline.is_some()
    }

    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Waits until nothing is to be waited for any more.
    pub async fn over(&self) {
        match self.deadline {
            Some(deadline) => sleep_until(deadline + LAST_WORDS).await,
            None => std::future::pending().await,
        }
    }
}

impl Pipe {
    /// Takes nothing new, of neither side, and ends when what is pending is finished.
    pub(super) async fn finish_pending(&mut self) {
        self.shut_down(Duration::MAX).await;
    }

    /// Nothing can be acked any more, so nothing that is not acked is pending.
    pub(super) async fn stdin_ended(&mut self) {
        self.stdin = None;
        self.finish_pending().await;
        self.upstreams.release();
    }

    /// The first signal sets a deadline, the second is one.
    pub(super) async fn interrupted(&mut self) {
        let patience = if self.ending.has_deadline() {
            Duration::ZERO
        } else {
            self.ending.timeout
        };
        self.finish_within(patience).await;
    }

    /// What becomes of messages can be told to nobody.
    pub(super) async fn nobody_reads(&mut self) {
        say("nobody reads stdout any more; ending");
        self.finish_within(self.ending.timeout).await;
    }

    pub(super) async fn fail(&mut self, failure: Failure) {
        self.ending.failure.get_or_insert(failure);
        self.finish_within(Duration::ZERO).await;
    }

    async fn finish_within(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let before = self.ending.deadline.unwrap_or(deadline);
        self.ending.deadline = Some(before.min(deadline));
        self.shut_down(patience).await;
    }

    /// Asks the service to end, and no more: `Inbound` tells when it has.
    async fn shut_down(&self, patience: Duration) {
        let _ = timeout(Duration::ZERO, self.service.shutdown(patience)).await;
    }

    /// The last words, and why it ended.
    pub(super) async fn finish(mut self, mut interrupts: Interrupts) -> Result<(), Failure> {
        let last = self.without_outcome().await;
        let written = tokio::select! {
            written = self.output.finish(last) => written.map_err(Failure::from),
            () = interrupts.next() => Err(not_read()),
            () = self.ending.over() => Err(not_read()),
        };
        let Tally {
            unknown, unsent, ..
        } = self.tally;
        let unacked = self.upstreams.len() as u64;
        let left = unknown + unsent + unacked > 0;
        let late = || Failure::TimedOut("not all was finished within --drain-timeout".to_owned());
        let failure = self.ending.failure.or_else(|| left.then(late));
        let Some(mut failure) = failure else {
            return written;
        };
        if unknown + unsent > 0 {
            failure = failure.and(&outcome::without_outcome(unknown, unsent));
        }
        if unacked > 0 {
            let unacked = outcome::messages(unacked);
            failure = failure.and(&format!("{unacked} of devices not acked: to come again"));
        }
        Err(failure)
    }

    /// The lines of messages of which no outcome came. They alone are counted from now on.
    async fn without_outcome(&mut self) -> Vec<Line> {
        self.tally = Tally::default();
        let mut lines = Vec::new();
        // The service is over, or is cut off now: either is known at once.
        if let Some(submitting) = self.submitting.take()
            && let Ok(submitted) = timeout(Duration::ZERO, submitting).await
        {
            lines.push(self.taken_over(submitted));
        }
        let left = timeout(Duration::ZERO, self.service.ended()).await;
        let mut under_way = std::mem::take(&mut self.under_way);
        for left in left.unwrap_or_default() {
            let id = left.message.id();
            if let Some(to) = under_way.remove(id) {
                lines.push(self.tally.gone(left.unknown, Some(id), &to));
            }
        }
        for (id, to) in under_way {
            lines.push(self.tally.gone(true, Some(&id), &to));
        }
        lines
    }
}

fn not_read() -> Failure {
    Failure::TimedOut("stdout was not read to the end".to_owned())
}
