//! When to dial again.

use std::fmt;
use std::time::Duration;

use super::config::SessionConfig;
use super::random::Random;
use crate::error::ConnectionError;
use crate::message::Retry;
use crate::time::Time;

/// Why no connection came about, in the driver's words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialFailure {
    /// No transport: the name is not known, the dial was refused, nobody answers.
    Unreachable(String),
    /// The TLS handshake failed, most often because a certificate is not what it should be.
    Tls(String),
}

impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(what) => write!(f, "the endpoint cannot be reached: {what}"),
            Self::Tls(what) => write!(f, "the TLS handshake failed: {what}"),
        }
    }
}

/// What a failure means for the next dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It may well work the next time.
    Passing,
    /// Something is set up wrong.
    Tls,
    /// The sender is not let in.
    Login,
}

impl Class {
    pub(super) fn of_dial(failure: &DialFailure) -> Self {
        match failure {
            DialFailure::Unreachable(_) => Self::Passing,
            DialFailure::Tls(_) => Self::Tls,
        }
    }

    /// A login that was refused, or that is not possible as things are, is seldom mended by the program.
    pub(super) fn of_end(end: &Result<(), ConnectionError>) -> Self {
        match end {
            Err(ConnectionError::LoginRefused { .. } | ConnectionError::BindRefused { .. }) => {
                Self::Login
            }
            Err(error) if error.retry() == Retry::Never => Self::Login,
            _ => Self::Passing,
        }
    }
}

/// Failures in a row, and the wait that they call for.
#[derive(Debug, Default)]
pub(super) struct Reconnect {
    failures: u32,
    /// When the last of them was.
    failed_at: Option<Time>,
    not_before: Option<Time>,
}

impl Reconnect {
    /// A connection has held for so long. What failed beside it, such as the dial for a further one, is forgotten when
    /// nothing has failed for as long: the waits of dials that go on failing still grow to that length.
    pub(super) fn healthy(&mut self, now: Time, after: Duration) {
        if self.failed_at.is_none_or(|failed| failed + after <= now) {
            self.failures = 0;
        }
    }

    /// Puts the next dial off, and says for how long: the last failure decides, whatever one before it called for. Even the
    /// shortest wait counts up, so a row of them grows slow.
    pub(super) fn failed(
        &mut self,
        now: Time,
        class: Class,
        config: &SessionConfig,
        random: &mut Random,
    ) -> Duration {
        let wait = match class {
            Class::Passing => config.reconnect.wait(self.failures, random),
            Class::Tls => config.reconnect_tls.long_wait(self.failures, random),
            Class::Login => {
                let spread = random.up_to(config.reconnect_login / 10);
                config.reconnect_login.saturating_add(spread)
            }
        };
        self.count(now);
        self.not_before = Some(now + wait);
        wait
    }

    /// After a drain the next connection is wanted at once, but for a moment of jitter: the endpoint may be draining a
    /// whole fleet. Whoever drains what it has just let in is treated as failing.
    pub(super) fn drained(
        &mut self,
        now: Time,
        healthy: bool,
        config: &SessionConfig,
        random: &mut Random,
    ) -> Duration {
        let wait = config.reconnect.wait(self.failures, random);
        if !healthy {
            self.count(now);
        }
        // A drain does not cut short what a failure called for.
        let due = self
            .not_before
            .map_or(now + wait, |before| before.max(now + wait));
        self.not_before = Some(due);
        due - now
    }

    fn count(&mut self, now: Time) {
        self.failures = self.failures.saturating_add(1);
        self.failed_at = Some(now);
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// When a dial is allowed.
    pub(super) fn not_before(&self) -> Option<Time> {
        self.not_before
    }
}
