//! What goes over the wire at the app server's end, in few words. The invariants are checked against this and not
//! against what a session says of itself.

use std::sync::{Arc, Mutex, PoisonError};

use ccs_proto::{ConnectionId, Direction, Tap};

/// One stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stanza {
    /// A message to a device goes out.
    Sent { id: String },
    /// An ack goes out.
    Acked { to: String, id: String },
    /// A nack goes out, which never happens.
    Nacked,
    /// An answer came.
    Answered { id: String, answer: Answer },
    /// The endpoint says that it drains.
    Draining,
    /// Something from a device came, or a receipt.
    Came { from: String, id: String },
    /// The stream is bound.
    Bound,
    /// Part of a login, a ping and the like.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Ack,
    Nack { code: String, duplicate: bool },
}

impl Answer {
    pub(super) fn is_draining(&self) -> bool {
        matches!(self, Self::Nack { code, .. } if code == "CONNECTION_DRAINING")
    }

    /// The sender is not let in any more: the session leaves this connection, and logs in on another.
    pub(super) fn shuts_out(&self) -> bool {
        matches!(self, Self::Nack { code, .. } if code == "AUTHENTICATION_FAILED")
    }
}

/// The stanzas that were not looked at yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Wiretap(Arc<Mutex<Vec<(ConnectionId, Stanza)>>>);

impl Wiretap {
    pub(super) fn tap(&self) -> Tap {
        let queue = Arc::clone(&self.0);
        Tap::new(move |connection, direction, stanza| {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push((connection, read(direction, stanza)));
        })
    }

    pub(super) fn take(&self) -> Vec<(ConnectionId, Stanza)> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *queue)
    }
}

fn read(direction: Direction, stanza: &str) -> Stanza {
    let Some(id) = value(stanza, "\"message_id\":\"") else {
        return if stanza.contains("CONNECTION_DRAINING") {
            Stanza::Draining
        } else if direction == Direction::In && stanza.contains("<jid>") {
            Stanza::Bound
        } else {
            Stanza::Other
        };
    };
    let id = id.to_owned();
    let text = |name| value(stanza, name).unwrap_or_default().to_owned();
    match (direction, value(stanza, "\"message_type\":\"")) {
        (Direction::Out, None) => Stanza::Sent { id },
        (Direction::Out, Some("ack")) => Stanza::Acked {
            to: text("\"to\":\""),
            id,
        },
        (Direction::Out, Some(_)) => Stanza::Nacked,
        (Direction::In, Some("ack")) => Stanza::Answered {
            id,
            answer: Answer::Ack,
        },
        (Direction::In, Some("nack")) => Stanza::Answered {
            id,
            answer: Answer::Nack {
                code: text("\"error\":\""),
                duplicate: stanza.contains("same id has been received"),
            },
        },
        (Direction::In, None | Some("receipt")) => Stanza::Came {
            from: text("\"from\":\""),
            id,
        },
        (Direction::In, Some(_)) => Stanza::Other,
    }
}

fn value<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = stanza.split_once(name)?;
    rest.split_once('"').map(|(value, _)| value)
}
