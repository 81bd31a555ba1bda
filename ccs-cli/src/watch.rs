//! What becomes of a service's connections, line by line, and what of it ends a command.

use std::time::Duration;

use ccs_tokio::proto::session::{
    DeadLetter, DeadMessage, DialFailure, ReconnectReason, SessionEvent,
};
use ccs_tokio::{ConnectionError, MessageId};
use tokio::time::{Instant, sleep_until};

use crate::exit::Failure;
use crate::ndjson::Line;
use crate::received;
use crate::terminal::say;

/// Looks at events. A login or TLS failure does not mend itself while a command runs, so it ends it at once; an endpoint that
/// cannot be reached is waited for.
pub struct Watch {
    /// How long an endpoint may be out of reach.
    patience: Duration,
    /// What to add when the login is refused.
    hint: String,
    out_of_reach: Option<(Instant, String)>,
    /// What became of the last connection or dial that came to nothing.
    last: Option<String>,
    connected: bool,
}

impl Watch {
    pub fn new(patience: Duration, hint: String) -> Self {
        Self {
            patience,
            hint,
            out_of_reach: None,
            last: None,
            connected: false,
        }
    }

    /// Why messages are left of which nothing was heard in time.
    pub fn why(&self) -> Failure {
        match (&self.last, self.connected) {
            (Some(what), true) => {
                Failure::Lost(format!("connection after connection was lost: {what}"))
            }
            (None, true) => Failure::Lost("the connection was lost".to_owned()),
            (Some(what), false) => Failure::unreachable(what),
            (None, false) => Failure::unreachable(
                "no connection came about within --retry-for: whoever listens there does not answer",
            ),
        }
    }

    /// Whether there ever was a connection, so that what is lost may have arrived.
    pub fn was_connected(&self) -> bool {
        self.connected
    }

    /// The line of what is to be seen. A failure ends the command.
    pub fn see(&mut self, event: SessionEvent) -> Result<Option<Line>, Failure> {
        match event {
            SessionEvent::Connected { .. } => {
                self.connected = true;
                self.out_of_reach = None;
            }
            SessionEvent::Draining { .. } => return Ok(Some(Line::new("draining"))),
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
            } => return self.reconnecting(attempt, after, why).map(Some),
            SessionEvent::Retrying {
                id,
                attempt,
                after,
                code,
            } => {
                let line = retrying(&id, attempt, after).with("error", code.as_str());
                return Ok(Some(line));
            }
            SessionEvent::HandlerRetrying {
                message_id,
                attempt,
                after,
            } => return Ok(Some(retrying(&message_id, attempt, after))),
            // Of a message to a device its own line tells.
            SessionEvent::DeadLetter(DeadLetter {
                message: DeadMessage::Received(received),
                reason,
            }) => return Ok(Some(received::dead(&received, &reason.to_string()))),
            SessionEvent::Ignored(ignored) => say(format!("passed over: {ignored:?}")),
            _ => {}
        }
        Ok(None)
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
    ) -> Result<Line, Failure> {
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
        self.last = Some(reason.clone());
        Ok(Line::new("reconnecting")
            .with("attempt", attempt)
            .with("after", seconds(after))
            .with("reason", reason))
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

fn retrying(id: &MessageId, attempt: u32, after: Duration) -> Line {
    Line::new("retrying")
        .with("message_id", id.as_str())
        .with("attempt", attempt)
        .with("after", seconds(after))
}

/// To the millisecond: more would be noise.
fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}
