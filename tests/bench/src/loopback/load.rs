//! The other side of whoever is measured. It reads nothing of a stanza but the number in its id.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Context;
use std::time::{Duration, Instant};

use super::counting::stanzas;
use super::numbered::{Numbered, Numbers};
use super::pace::Pace;
use super::pump::Role;
use super::{Direction, WINDOW};
use crate::corpus::Corpus;

/// What came of the messages so far.
#[derive(Default)]
pub struct Tally {
    /// Messages with an ack.
    pub acked: Cell<u64>,
    /// From when a message was due to its ack, with a [`Pace`] only.
    pub latencies: RefCell<Vec<Duration>>,
}

/// Sends messages, within the window and as they are due.
pub struct Sends {
    messages: Numbered,
    pace: Option<Pace>,
    acks: Numbers,
    sent: u64,
    tally: Rc<Tally>,
}

impl Sends {
    /// Without a pace, as many as the window lets.
    pub fn new(corpus: &Corpus, direction: Direction, pace: Option<Pace>) -> Self {
        Self {
            messages: stanzas(corpus, direction).0,
            pace,
            acks: Numbers::default(),
            sent: 0,
            tally: Rc::default(),
        }
    }

    pub fn tally(&self) -> Rc<Tally> {
        Rc::clone(&self.tally)
    }
}

impl Role for Sends {
    fn receive(&mut self, input: &[u8]) {
        let Self {
            acks, pace, tally, ..
        } = self;
        let now = pace.as_ref().map(|pace| (pace, Instant::now()));
        acks.read(input, |number| {
            tally.acked.update(|acked| acked + 1);
            if let Some((pace, now)) = now {
                tally.latencies.borrow_mut().push(pace.since(number, now));
            }
        });
    }

    fn transmit(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) {
        let open = self.tally.acked.get() + WINDOW;
        let due = self.pace.as_ref().map_or(open, |pace| pace.due(cx));
        while self.sent < open.min(due) {
            self.messages.write(self.sent, out);
            self.sent += 1;
        }
    }
}

/// Acks messages.
pub struct Acks {
    acks: Numbered,
    messages: Numbers,
    arrived: Vec<u64>,
    tally: Rc<Tally>,
}

impl Acks {
    pub fn new(corpus: &Corpus, direction: Direction) -> Self {
        Self {
            acks: stanzas(corpus, direction).1,
            messages: Numbers::default(),
            arrived: Vec::new(),
            tally: Rc::default(),
        }
    }

    pub fn tally(&self) -> Rc<Tally> {
        Rc::clone(&self.tally)
    }
}

impl Role for Acks {
    fn receive(&mut self, input: &[u8]) {
        let arrived = &mut self.arrived;
        self.messages.read(input, |number| arrived.push(number));
    }

    fn transmit(&mut self, _: &mut Context<'_>, out: &mut Vec<u8>) {
        for number in self.arrived.drain(..) {
            self.acks.write(number, out);
            self.tally.acked.update(|acked| acked + 1);
        }
    }
}
