//! The limit: moves the bytes that the protocol would, and looks at none of them. It knows what comes, so counting is
//! enough.

use std::task::Context;

use super::numbered::Numbered;
use super::pump::Role;
use super::{Direction, WINDOW};
use crate::corpus::Corpus;

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    AppServer,
    Endpoint,
}

/// The role of one who only counts bytes.
pub fn role(corpus: &Corpus, end: End, direction: Direction) -> Counting {
    let (messages, acks) = stanzas(corpus, direction);
    let sends = matches!(
        (end, direction),
        (End::AppServer, Direction::Down) | (End::Endpoint, Direction::Up)
    );
    let (coming, answers) = if sends {
        (acks, messages)
    } else {
        (messages, acks)
    };
    Counting {
        coming: coming.weights(),
        answers,
        ahead: if sends { WINDOW } else { 0 },
        bytes: 0,
        received: 0,
        sent: 0,
    }
}

/// Messages that go this way, and their acks.
pub fn stanzas(corpus: &Corpus, direction: Direction) -> (Numbered, Numbered) {
    use crate::corpus::Quotes::Raw;
    match direction {
        Direction::Up => (
            Numbered::upstream(corpus, Raw),
            Numbered::upstream_acks(corpus),
        ),
        Direction::Down => (
            Numbered::downstream(corpus),
            Numbered::downstream_acks(corpus),
        ),
    }
}

pub struct Counting {
    /// Bytes of each stanza that comes; they come again and again.
    coming: Vec<usize>,
    answers: Numbered,
    /// How many more to have sent than received: none for one who acks, the window for one who sends.
    ahead: u64,
    /// Of the stanza that is not here whole.
    bytes: usize,
    received: u64,
    sent: u64,
}

impl Role for Counting {
    fn receive(&mut self, input: &[u8]) {
        self.bytes += input.len();
        let coming = &self.coming;
        let weight = |number: u64| coming[number as usize % coming.len()];
        while let Some(rest) = self.bytes.checked_sub(weight(self.received)) {
            self.bytes = rest;
            self.received += 1;
        }
    }

    fn transmit(&mut self, _: &mut Context<'_>, out: &mut Vec<u8>) {
        while self.sent < self.received + self.ahead {
            self.answers.write(self.sent, out);
            self.sent += 1;
        }
    }
}
