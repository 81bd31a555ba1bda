//! Messages that the peer sent and we owe an answer, each under a token that can be spent once.

use std::time::Duration;

use super::ConnectionId;
use super::line::Line;
use crate::time::Time;

/// The right to answer one message, on the connection that it came by. Not `Clone`: it is spent by value.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    connection: ConnectionId,
    place: u64,
}

impl Token {
    /// The connection that takes it.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }
}

/// The token is another connection's; here it is back.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenError(pub Token);

/// The messages of one connection that wait for our answer, oldest first.
///
/// A token that is dropped means *not answered*: its message stays here until the connection ends, as it holds a place
/// in the peer's window until then.
#[derive(Debug)]
pub struct Unsettled<T> {
    connection: ConnectionId,
    waiting: Line<(T, Time)>,
    /// The place of the first message that was not reported as overdue.
    unreported: u64,
}

impl<T> Unsettled<T> {
    /// An empty book of this connection.
    #[must_use]
    pub fn new(connection: ConnectionId) -> Self {
        Self {
            connection,
            waiting: Line::new(),
            unreported: 0,
        }
    }

    /// Takes a message down and gives out the only token for it.
    pub fn issue(&mut self, message: T, now: Time) -> Token {
        Token {
            connection: self.connection,
            place: self.waiting.push((message, now)),
        }
    }

    /// Spends a token.
    ///
    /// # Errors
    /// A token of another connection comes back.
    pub fn settle(&mut self, token: Token) -> Result<T, TokenError> {
        if token.connection != self.connection {
            return Err(TokenError(token));
        }
        let Some((message, _)) = self.waiting.remove(token.place) else {
            // Two connections were given one id: not ours after all.
            return Err(TokenError(token));
        };
        if token.place == self.unreported {
            self.unreported = self.waiting.after(token.place);
        }
        Ok(message)
    }

    /// When the next message that was not reported yet has waited for `patience`.
    #[must_use]
    pub fn next_overdue(&self, patience: Duration) -> Option<Time> {
        let (_, since) = self.waiting.get(self.unreported)?;
        Some(since.after(patience))
    }

    /// A message that has waited for `patience` and was not reported before.
    pub fn take_overdue(&mut self, patience: Duration, now: Time) -> Option<&T> {
        let place = self.unreported;
        let (message, since) = self.waiting.get(place)?;
        if since.after(patience) > now {
            return None;
        }
        self.unreported = self.waiting.after(place);
        Some(message)
    }

    /// Messages that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.len() == 0
    }

    /// The messages that wait, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|(message, _)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_another_connection_comes_back() {
        let mut here = Unsettled::new(ConnectionId(1));
        let mut there = Unsettled::new(ConnectionId(2));
        here.issue("a", Time::ZERO);
        let foreign = there.issue("b", Time::ZERO);
        let TokenError(foreign) = here.settle(foreign).unwrap_err();
        assert_eq!(here.len(), 1);
        assert_eq!(there.settle(foreign), Ok("b"));
        assert!(there.is_empty());
    }

    #[test]
    fn a_message_is_reported_as_overdue_once_and_an_answered_one_never() {
        let second = Duration::from_secs(1);
        let mut book = Unsettled::new(ConnectionId(1));
        let first = book.issue("first", Time::ZERO);
        book.issue("second", Time::ZERO + second);
        book.issue("third", Time::ZERO + 2 * second);
        book.settle(first).unwrap();
        let patience = 10 * second;
        assert_eq!(book.next_overdue(patience), Some(Time::ZERO + 11 * second));
        assert_eq!(book.take_overdue(patience, Time::ZERO + 10 * second), None);
        let now = Time::ZERO + 11 * second;
        assert_eq!(book.take_overdue(patience, now), Some(&"second"));
        assert_eq!(book.take_overdue(patience, now), None);
        assert_eq!(book.next_overdue(patience), Some(Time::ZERO + 12 * second));
        assert_eq!(book.len(), 2, "overdue is not answered");
        assert!(!book.is_empty());
        assert!(book.iter().eq(&["second", "third"]), "oldest first");
    }
}
