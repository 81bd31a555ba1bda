//! Messages that the peer sent and we owe an answer, each under a token that can be spent once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ConnectionId;
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
    waiting: BTreeMap<u64, (T, Time)>,
    next: u64,
    /// Messages before this place have been reported as overdue.
    reported: u64,
}

impl<T> Unsettled<T> {
    /// An empty book of this connection.
    #[must_use]
    pub fn new(connection: ConnectionId) -> Self {
        Self {
            connection,
            waiting: BTreeMap::new(),
            next: 0,
            reported: 0,
        }
    }

    /// Takes a message down and gives out the only token for it.
    pub fn issue(&mut self, message: T, now: Time) -> Token {
        let place = self.next;
        // 2^64 messages on one connection do not happen.
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(place, (message, now));
        Token {
            connection: self.connection,
            place,
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
        match self.waiting.remove(&token.place) {
            Some((message, _)) => Ok(message),
            // Two connections were given one id: not ours after all.
            None => Err(TokenError(token)),
        }
    }

    /// When the next message that was not reported yet has waited for `patience`.
    #[must_use]
    pub fn next_overdue(&self, patience: Duration) -> Option<Time> {
        let (_, (_, since)) = self.waiting.range(self.reported..).next()?;
        Some(since.after(patience))
    }

    /// A message that has waited for `patience` and was not reported before.
    pub fn take_overdue(&mut self, patience: Duration, now: Time) -> Option<&T> {
        let (place, (message, since)) = self.waiting.range(self.reported..).next()?;
        if since.after(patience) > now {
            return None;
        }
        self.reported = place.wrapping_add(1);
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
        self.waiting.is_empty()
    }

    /// The messages that wait, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.values().map(|(message, _)| message)
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
