//! What lies between an app server and the endpoint: bytes that are late, in other pieces, or never come.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ccs_proto::Time;

use super::dice::Dice;

/// Bytes on their way at which the writer has to wait.
const CAPACITY: usize = 64 * 1024;

/// How long a byte is on its way at most, over a connection that is dialled when nothing goes wrong any more: a login of
/// four round trips is done in time.
pub(super) const SLOWEST: Duration = Duration::from_millis(550);

/// How one direction of a connection ends, as its reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In order: the end of the file.
    Eof,
    /// By a reset.
    Reset,
}

#[derive(Debug)]
enum Flight {
    Bytes(Bytes),
    End(End),
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Pipe {
    flying: VecDeque<(Time, Flight)>,
    flying_bytes: usize,
    /// What has arrived and was not read.
    arrived: BytesMut,
    end: Option<End>,
    end_read: bool,
    /// Nothing that is written from now on arrives.
    sealed: bool,
    latency: Duration,
    jitter: u64,
    /// Pieces into which one write is cut, at most.
    pieces: usize,
    last: Time,
    stalled_until: Time,
    dice: Dice,
}

impl Pipe {
    /// `slow`: it may take its time.
    pub(super) fn new(mut dice: Dice, slow: bool) -> Self {
        let latency = match dice.below(10) {
            0 => Duration::ZERO,
            1..=6 => dice.millis(1, 60),
            _ => dice.millis(60, if slow { 2_000 } else { 500 }),
        };
        Self {
            flying: VecDeque::new(),
            flying_bytes: 0,
            arrived: BytesMut::new(),
            end: None,
            end_read: false,
            sealed: false,
            latency,
            jitter: *dice.pick(&[0, 5, 50]),
            pieces: *dice.pick(&[1, 1, 2, 8]),
            last: Time::ZERO,
            stalled_until: Time::ZERO,
            dice,
        }
    }

    /// How long a byte is on its way, at most.
    pub(super) fn slowest(&self) -> Duration {
        self.latency + Duration::from_millis(self.jitter)
    }

    /// Whether what is written from now on arrives without a stall.
    pub(super) fn is_whole(&self, now: Time) -> bool {
        !self.sealed && self.stalled_until <= now
    }

    /// When everything that was written has arrived.
    pub(super) fn all_arrived(&self) -> Time {
        self.last
    }

    /// Whether what is written arrives in other pieces.
    pub(super) fn cuts_writes(&self) -> bool {
        self.pieces > 1
    }

    /// Whether a writer may write now.
    pub(super) fn takes_bytes(&self) -> bool {
        self.sealed || self.flying_bytes < CAPACITY
    }

    pub(super) fn write(&mut self, now: Time, bytes: Bytes) {
        let mut rest = bytes;
        if self.sealed {
            return;
        }
        for left in (1..=self.pieces).rev() {
            if rest.is_empty() {
                return;
            }
            let length = if left == 1 {
                rest.len()
            } else {
                1 + self.dice.index(rest.len())
            };
            let piece = rest.split_to(length);
            self.send(now, Flight::Bytes(piece));
        }
    }

    /// The writer is done.
    pub(super) fn finish(&mut self, now: Time, end: End) {
        if !self.sealed {
            self.send(now, Flight::End(end));
            self.sealed = true;
        }
    }

    fn send(&mut self, now: Time, flight: Flight) {
        let jitter = self.dice.millis(0, self.jitter);
        let due = now + self.latency + jitter;
        let due = due.max(self.last).max(self.stalled_until);
        self.last = due;
        if let Flight::Bytes(bytes) = &flight {
            self.flying_bytes += bytes.len();
        }
        self.flying.push_back((due, flight));
    }

    /// The connection breaks: some of what is on its way still arrives, cut off anywhere.
    /// Says whether that is within a piece.
    pub(super) fn cut(&mut self, now: Time) -> bool {
        let mut keep = match self.dice.below(3) {
            0 => 0,
            1 => self.flying_bytes,
            _ => self.dice.index(self.flying_bytes + 1),
        };
        let mut within = false;
        for (due, flight) in std::mem::take(&mut self.flying) {
            let Flight::Bytes(mut bytes) = flight else {
                continue;
            };
            within |= keep > 0 && keep < bytes.len();
            bytes.truncate(keep);
            keep -= bytes.len();
            if !bytes.is_empty() {
                self.flying.push_back((due, Flight::Bytes(bytes)));
            }
        }
        let due = self.flying.back().map_or(now, |(due, _)| (*due).max(now));
        self.flying.push_back((due, Flight::End(End::Reset)));
        self.sealed = true;
        within
    }

    /// From now on nothing arrives any more, and nobody is told.
    pub(super) fn swallow(&mut self) {
        self.flying.clear();
        self.flying_bytes = 0;
        self.sealed = true;
    }

    /// Nothing arrives for a while.
    pub(super) fn stall(&mut self, until: Time) {
        self.stalled_until = self.stalled_until.max(until);
        self.last = self.last.max(until);
        for (due, _) in &mut self.flying {
            *due = (*due).max(until);
        }
    }

    /// When something arrives next.
    pub(super) fn next_arrival(&self) -> Option<Time> {
        self.flying.front().map(|(due, _)| *due)
    }

    /// Lets arrive what is due, and says whether there was anything.
    pub(super) fn arrive(&mut self, now: Time) -> bool {
        let mut any = false;
        while let Some((due, _)) = self.flying.front()
            && *due <= now
            && let Some((_, flight)) = self.flying.pop_front()
        {
            any = true;
            match flight {
                Flight::Bytes(bytes) => {
                    self.flying_bytes = self.flying_bytes.saturating_sub(bytes.len());
                    self.arrived.extend_from_slice(&bytes);
                }
                Flight::End(end) => self.end = Some(end),
            }
        }
        any
    }

    /// What can be read.
    pub(super) fn read(&mut self) -> Option<BytesMut> {
        (!self.arrived.is_empty()).then(|| self.arrived.split())
    }

    /// The end, once, behind the last byte.
    pub(super) fn read_end(&mut self) -> Option<End> {
        let end = self.end.filter(|_| self.arrived.is_empty())?;
        (!std::mem::replace(&mut self.end_read, true)).then_some(end)
    }
}
