//! Messages from devices that the application has and has not acked.

use std::collections::BTreeMap;
use std::time::Duration;

use ccs_tokio::proto::driver::Runtime;
use ccs_tokio::proto::session::Received;
use ccs_tokio::{Handling, Tokio};
use tokio::time::{Instant, sleep_until};

use crate::ndjson::Line;

/// Each is known by a handle that is good once, in this process: another one must not ack what it does not have. As many are
/// held as the service lets through before it takes nothing more from the endpoint.
#[derive(Debug)]
pub struct Upstreams {
    run: u64,
    next: u64,
    patience: Duration,
    /// By number, which is the order of their deadlines too.
    held: BTreeMap<u64, Held>,
    /// Why those were rejected of which no `dead` line has told yet.
    reasons: BTreeMap<(String, String), String>,
}

#[derive(Debug)]
struct Held {
    message: Handling,
    until: Instant,
}

impl Upstreams {
    /// The application has so long for each.
    pub fn new(patience: Duration) -> Self {
        Self {
            run: u64::from_be_bytes(Tokio::random()),
            next: 0,
            patience,
            held: BTreeMap::new(),
            reasons: BTreeMap::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Holds a message until the application has said something of it. Gives its line with what it is to be named by.
    pub fn hold(&mut self, message: Handling, line: Line) -> Line {
        let number = self.next;
        self.next += 1;
        let line = line
            .with("upstream", self.handle(number))
            .with("attempt", message.attempt());
        let until = Instant::now() + self.patience;
        self.held.insert(number, Held { message, until });
        line
    }

    fn handle(&self, number: u64) -> String {
        format!("{:016x}-{number}", self.run)
    }

    /// It is handled. `false` where the handle is not known.
    pub fn ack(&mut self, handle: &str) -> bool {
        let message = self.take(handle);
        message.map(Handling::ack).is_some()
    }

    /// It can never be handled. `false` where the handle is not known.
    pub fn reject(&mut self, handle: &str, reason: Option<String>) -> bool {
        let Some(message) = self.take(handle) else {
            return false;
        };
        if let Some(reason) = reason {
            self.reasons.insert(name(&message), reason);
        }
        message.dead();
        true
    }

    fn take(&mut self, handle: &str) -> Option<Handling> {
        let number = handle.rsplit_once('-')?.1.parse().ok()?;
        if self.handle(number) != handle {
            return None;
        }
        self.held.remove(&number).map(|held| held.message)
    }

    /// Why the application rejected this message, if it said so. Asked once.
    pub fn reason(&mut self, message: &Received) -> Option<String> {
        self.reasons.remove(&name(message))
    }

    /// Waits until the application has had one for too long.
    pub async fn overdue(&self) {
        match self.held.first_key_value() {
            Some((_, held)) => sleep_until(held.until).await,
            None => std::future::pending().await,
        }
    }

    /// Those that the application has had for too long come again, under another handle.
    pub fn retry_overdue(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.held.first_entry()
            && entry.get().until <= now
        {
            entry.remove().message.retry();
        }
    }

    /// Gives all back, un-acked.
    pub fn release(&mut self) {
        self.held.clear();
    }
}

/// What tells a message from every other.
fn name(message: &Received) -> (String, String) {
    let from = match message {
        Received::Upstream(message) => message.from().as_str(),
        _ => "",
    };
    (from.to_owned(), message.message_id().as_str().to_owned())
}
