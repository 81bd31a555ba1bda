//! What becomes of a service's connections, line by line, and what of it ends a command.

use std::time::Duration;

use ccs_tokio::ConnectionError;
use ccs_tokio::proto::session::{
    DeadMessage, DialFailure, Received, ReconnectReason, SessionEvent,
};
use tokio::time::{Instant, sleep_until};

use crate::exit::Failure;
use crate::ndjson::Line;
use crate::terminal::say;

/// Looks at events. A login or TLS failure does not mend itself while a command runs, so it ends it at once; an endpoint that
/// cannot be reached is waited for.
pub struct Watch {
    /// How long an endpoint may be out of reach.
    patience: Duration,
    /// What to add when the login is refused.
    hint: String,
    out_of_reach: Option<(Instant, String)>,
    connected: bool,
}

impl Watch {
    pub fn new(patience: Duration, hint: String) -> Self {
        Self {
            patience,
            hint,
            out_of_reach: None,
            connected: false,
        }
    }

    /// Whether there ever was a connection, so that what is lost may have arrived.
    pub fn was_connected(&self) -> bool {
        self.connected
    }

    /// Prints what is to be seen. A failure ends the command.
    pub fn see(&mut self, event: SessionEvent) -> Result<(), Failure> {
        match event {
            SessionEvent::Connected { .. } => {
                self.connected = true;
                self.out_of_reach = None;
            }
            SessionEvent::Draining { .. } => Line::new("draining").print(),
            SessionEvent::LoginFailed { error, .. } => {
                return Err(Failure::from(error).and(&self.hint));
            }
            SessionEvent::Disconnected {
                end: Err(error), ..
            } if !self.connected => self.failed_before_login(error)?,
            SessionEvent::Reconnecting {
                attempt,
                after,
                why,
            } => self.reconnecting(attempt, after, why)?,
            SessionEvent::Retrying {
                id,
                attempt,
                after,
                code,
            } => Line::new("retrying")
                .with("message_id", id.as_str())
                .with("attempt", attempt)
                .with("after", seconds(after))
                .with("error", code.as_str())
                .print(),
            SessionEvent::HandlerRetrying {
                message_id,
                attempt,
                after,
            } => Line::new("retrying")
                .with("message_id", message_id.as_str())
                .with("attempt", attempt)
                .with("after", seconds(after))
                .print(),
            SessionEvent::DeadLetter(dead) => {
                // Of a message to a device its own line tells.
                if let DeadMessage::Received(received) = &dead.message {
                    let from = match received {
                        Received::Upstream(message) => Some(message.from().as_str()),
                        _ => None,
                    };
                    Line::new("dead")
                        .with("message_id", received.message_id().as_str())
                        .maybe("from", from)
                        .with("reason", dead.reason.to_string())
                        .print();
                }
            }
            SessionEvent::Ignored(ignored) => say(format!("passed over: {ignored:?}")),
            _ => {}
        }
        Ok(())
    }

    /// A peer that does not speak the protocol will not learn it. One that just went away is dialled again, and a refused
    /// login has an event of its own.
    fn failed_before_login(&self, error: ConnectionError) -> Result<(), Failure> {
        match Failure::from(error) {
            failure @ Failure::Protocol(_) => Err(failure),
            _ => Ok(()),
        }
    }

    fn reconnecting(
        &mut self,
        attempt: u32,
        after: Duration,
        why: ReconnectReason,
    ) -> Result<(), Failure> {
        let reason = match why {
            ReconnectReason::DialFailed(DialFailure::Tls(what)) => return Err(Failure::tls(&what)),
            ReconnectReason::DialFailed(DialFailure::Unreachable(what)) => {
                self.out_of_reach
                    .get_or_insert_with(|| (Instant::now(), what.clone()));
                what
            }
            ReconnectReason::Drained => "the endpoint drains the connection".to_owned(),
            ReconnectReason::Lost(Err(error)) => error.to_string(),
            _ => "the endpoint closed the connection".to_owned(),
        };
        Line::new("reconnecting")
            .with("attempt", attempt)
            .with("after", seconds(after))
            .with("reason", reason)
            .print();
        Ok(())
    }

    /// Waits until the endpoint has been out of reach for too long.
    pub async fn given_up(&self) -> Failure {
        match &self.out_of_reach {
            Some((since, what)) => {
                sleep_until(*since + self.patience).await;
                Failure::unreachable(what)
            }
            None => std::future::pending().await,
        }
    }
}

/// To the millisecond: more would be noise.
fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}
