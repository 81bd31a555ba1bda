//! Both books of a connection against models of them that are too simple to be wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use ccs_proto::internals::{Full, Token, TokenError, Unsettled, Window};
use ccs_proto::{ConnectionId, Time};

use crate::input::Input;

/// The first byte of a case is the window; each that follows is an operation, with its argument in the byte after it
/// where it takes one.
pub fn run(case: &[u8]) {
    let mut input = Input(case);
    let limit = usize::from(input.byte() & 15);
    let mut ops = Vec::new();
    while !input.is_empty() {
        ops.push(Op::decode(&mut input));
    }
    let mut window = WindowCase::new(limit);
    let mut books = Books::new();
    for op in ops {
        window.apply(op);
        window.check();
        books.apply(op);
        books.check();
    }
    window.finish();
    books.finish();
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Wait(u8),
    TakeOverdue(u8),
    // Of the window.
    Reserve,
    GiveBack,
    Enqueue(u8),
    HandOut,
    Settle(u8),
    Cancel(u8),
    FirstFrom(u8),
    TakeQueued,
    TakeInFlight,
    // Of the messages that we owe an answer.
    Issue(u8),
    Spend(u8),
    SpendElsewhere(u8),
    Lose(u8),
}

impl Op {
    fn decode(input: &mut Input<'_>) -> Self {
        match input.byte() % 16 {
            0 => Self::Wait(input.byte()),
            1 => Self::TakeOverdue(input.byte()),
            2 | 3 => Self::Reserve,
            4 => Self::GiveBack,
            5 => Self::Enqueue(input.byte()),
            6 => Self::HandOut,
            7 => Self::Settle(input.byte()),
            8 => Self::Cancel(input.byte()),
            9 => Self::FirstFrom(input.byte()),
            10 => Self::TakeQueued,
            11 => Self::TakeInFlight,
            12 => Self::Issue(input.byte()),
            13 => Self::Spend(input.byte()),
            14 => Self::SpendElsewhere(input.byte()),
            _ => Self::Lose(input.byte()),
        }
    }
}

/// Few keys, so that they meet.
type Key = u8;
const KEYS: u8 = 16;

struct WindowCase {
    window: Window<Key, u32>,
    now: Time,
    limit: usize,
    reserved: usize,
    queued: Vec<(Key, u32)>,
    in_flight: Vec<Sent>,
    accepted: u32,
    ended: BTreeSet<u32>,
}

struct Sent {
    key: Key,
    message: u32,
    since: Time,
    reported: bool,
}

impl WindowCase {
    fn new(limit: usize) -> Self {
        Self {
            window: Window::new(limit),
            now: Time::ZERO,
            limit,
            reserved: 0,
            queued: Vec::new(),
            in_flight: Vec::new(),
            accepted: 0,
            ended: BTreeSet::new(),
        }
    }

    fn under_way(&self) -> usize {
        self.reserved + self.queued.len() + self.in_flight.len()
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Wait(seconds) => self.now = self.now + Duration::from_secs(seconds.into()),
            Op::TakeOverdue(patience) => {
                let patience = Duration::from_secs(patience.into());
                let next = self.in_flight.iter_mut().find(|sent| !sent.reported);
                let due = next.filter(|sent| sent.since + patience <= self.now);
                let expected = due.map(|sent| {
                    sent.reported = true;
                    sent.message
                });
                let overdue = self.window.take_overdue(patience, self.now);
                assert_eq!(overdue.copied(), expected, "overdue");
            }
            Op::Reserve => {
                let room = self.under_way() < self.limit;
                let expected = if room { Ok(()) } else { Err(Full) };
                assert_eq!(self.window.reserve(), expected, "reserve");
                self.reserved += usize::from(room);
            }
            // A place can only be used by who has it.
            Op::GiveBack if self.reserved > 0 => {
                self.window.give_back();
                self.reserved -= 1;
            }
            Op::Enqueue(key) if self.reserved > 0 => self.enqueue(key % KEYS),
            Op::HandOut => self.hand_out(),
            Op::Settle(key) => {
                let key = key % KEYS;
                let at = self.in_flight.iter().position(|sent| sent.key == key);
                let expected = at.map(|at| self.in_flight.remove(at).message);
                assert_eq!(self.window.settle(&key), expected, "settle {key}");
                self.end(expected);
                assert_eq!(self.window.settle(&key), None, "settled twice");
            }
            Op::Cancel(key) => {
                let key = key % KEYS;
                let at = self.queued.iter().position(|(queued, _)| *queued == key);
                let expected = at.map(|at| self.queued.remove(at).1);
                assert_eq!(self.window.cancel(&key), expected, "cancel {key}");
                self.end(expected);
            }
            Op::FirstFrom(key) => {
                let key = key % KEYS;
                let keys = self.in_flight.iter().map(|sent| sent.key);
                let expected = keys.filter(|sent| *sent >= key).min();
                let first = self.window.first_from(key..).copied();
                assert_eq!(first, expected, "first from {key}");
            }
            Op::TakeQueued => self.take_queued(),
            Op::TakeInFlight => self.take_in_flight(),
            _ => {}
        }
    }

    fn enqueue(&mut self, key: Key) {
        let message = self.accepted;
        self.accepted += 1;
        self.reserved -= 1;
        let queued = self.queued.iter().any(|(queued, _)| *queued == key);
        if queued || self.in_flight.iter().any(|sent| sent.key == key) {
            assert_eq!(self.window.enqueue(key, message), Err(message), "{key}");
            self.end([message]);
        } else {
            assert_eq!(self.window.enqueue(key, message), Ok(()), "{key}");
            self.queued.push((key, message));
        }
    }

    fn hand_out(&mut self) {
        let handed = self.window.hand_out(self.now).copied();
        if self.queued.is_empty() {
            assert_eq!(handed, None, "nothing was queued");
            return;
        }
        let (key, message) = self.queued.remove(0);
        assert_eq!(handed, Some(message), "the oldest goes first");
        self.in_flight.push(Sent {
            key,
            message,
            since: self.now,
            reported: false,
        });
    }

    fn take_queued(&mut self) {
        let expected: Vec<u32> = self.queued.drain(..).map(|(_, message)| message).collect();
        assert_eq!(self.window.take_queued(), expected, "left in the queue");
        self.end(expected);
    }

    fn take_in_flight(&mut self) {
        let left = self.in_flight.drain(..).map(|sent| sent.message);
        let expected: Vec<u32> = left.collect();
        assert_eq!(self.window.take_in_flight(), expected, "left in flight");
        self.end(expected);
    }

    fn end(&mut self, messages: impl IntoIterator<Item = u32>) {
        for message in messages {
            assert!(self.ended.insert(message), "message {message} ends twice");
        }
    }

    fn check(&self) {
        let window = &self.window;
        assert!(self.under_way() <= self.limit, "over the limit");
        assert_eq!(window.capacity(), self.limit - self.under_way(), "capacity");
        assert_eq!(window.in_flight(), self.in_flight.len(), "in flight");
        assert_eq!(window.queued(), self.queued.len(), "queued");
        let oldest = self.in_flight.first().map(|sent| (&sent.key, sent.since));
        assert_eq!(window.oldest(), oldest, "oldest");
        let patience = Duration::from_secs(7);
        let next = self.in_flight.iter().find(|sent| !sent.reported);
        let next = next.map(|sent| sent.since + patience);
        assert_eq!(window.next_overdue(patience), next, "next overdue");
    }

    fn finish(mut self) {
        self.take_in_flight();
        self.take_queued();
        let all = self.accepted as usize;
        assert_eq!(self.ended.len(), all, "a message is lost");
        assert_eq!(self.window.capacity() + self.reserved, self.limit, "a leak");
    }
}

/// Two connections, whose tokens get mixed up.
struct Books {
    books: [Book; 2],
    tokens: Vec<(Token, usize, u32)>,
    now: Time,
    issued: u32,
}

struct Book {
    book: Unsettled<u32>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    message: u32,
    since: Time,
    reported: bool,
}

impl Books {
    fn new() -> Self {
        let book = |id| Book {
            book: Unsettled::new(ConnectionId(id)),
            waiting: Vec::new(),
        };
        Self {
            books: [book(1), book(2)],
            tokens: Vec::new(),
            now: Time::ZERO,
            issued: 0,
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Wait(seconds) => self.now = self.now + Duration::from_secs(seconds.into()),
            Op::TakeOverdue(patience) => {
                let patience = Duration::from_secs(patience.into());
                for book in &mut self.books {
                    book.take_overdue(patience, self.now);
                }
            }
            Op::Issue(at) => {
                let message = self.issued;
                self.issued += 1;
                let at = usize::from(at) % self.books.len();
                let book = &mut self.books[at];
                let token = book.book.issue(message, self.now);
                assert_eq!(token.connection(), ConnectionId(at as u64 + 1));
                book.waiting.push(Waiting {
                    message,
                    since: self.now,
                    reported: false,
                });
                self.tokens.push((token, at, message));
            }
            Op::Spend(token) => {
                if let Some((token, at, message)) = self.pick(token) {
                    self.spend(token, at, message);
                }
            }
            Op::SpendElsewhere(token) => {
                if let Some((token, at, message)) = self.pick(token) {
                    let elsewhere = &mut self.books[1 - at].book;
                    let TokenError(token) = match elsewhere.settle(token) {
                        Err(back) => back,
                        Ok(other) => panic!("the token of {message} settled {other}"),
                    };
                    // It is as good as it was.
                    self.spend(token, at, message);
                }
            }
            Op::Lose(token) => drop(self.pick(token)),
            _ => {}
        }
    }

    fn pick(&mut self, at: u8) -> Option<(Token, usize, u32)> {
        let at = usize::from(at).checked_rem(self.tokens.len())?;
        Some(self.tokens.swap_remove(at))
    }

    fn spend(&mut self, token: Token, at: usize, message: u32) {
        let book = &mut self.books[at];
        assert_eq!(book.book.settle(token), Ok(message), "spend");
        book.waiting.retain(|waiting| waiting.message != message);
    }

    fn check(&self) {
        self.books.iter().for_each(Book::check);
    }

    fn finish(mut self) {
        while let Some((token, at, message)) = self.tokens.pop() {
            self.spend(token, at, message);
        }
        self.check();
    }
}

impl Book {
    fn take_overdue(&mut self, patience: Duration, now: Time) {
        let next = self.waiting.iter_mut().find(|waiting| !waiting.reported);
        let due = next.filter(|waiting| waiting.since + patience <= now);
        let expected = due.map(|waiting| {
            waiting.reported = true;
            waiting.message
        });
        let overdue = self.book.take_overdue(patience, now).copied();
        assert_eq!(overdue, expected, "overdue");
    }

    fn check(&self) {
        let book = &self.book;
        let messages = self.waiting.iter().map(|waiting| &waiting.message);
        assert!(book.iter().eq(messages), "the order of what waits");
        assert_eq!(book.len(), self.waiting.len(), "how many wait");
        assert_eq!(book.is_empty(), self.waiting.is_empty());
        let patience = Duration::from_secs(7);
        let next = self.waiting.iter().find(|waiting| !waiting.reported);
        let next = next.map(|waiting| waiting.since + patience);
        assert_eq!(book.next_overdue(patience), next, "next overdue");
    }
}
