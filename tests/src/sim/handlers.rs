//! Handlers that are slow, fail, panic, hang or give up.

use ccs_proto::session::{Received, Run, RunEnd, RunId, Session, Verdict};

use super::dice::{Dice, word};
use super::faults::{Mood, Point};
use super::invariants::Key;
use super::seen::Sight;
use super::store::key_of;
use super::world::{Due, World};

/// Tries of a handler that a session makes.
const TRIES: u32 = 5;

/// What a handler has in hand.
#[derive(Debug)]
pub(super) struct InHand {
    key: Key,
    lane: bool,
    attempt: u32,
}

impl World {
    pub(super) fn handler_starts(&mut self, run: Run) {
        let key = key_of(&run.received);
        let lane = matches!(run.received, Received::Upstream(_));
        self.note(|| format!("handler {key:?} #{}", run.attempt));
        self.books.handler_starts(&key, lane);
        let name = word(&key.0) ^ word(&key.1).rotate_left(1);
        let mut dice = Dice::of(self.plan.seed, &[30, name, u64::from(run.attempt)]);
        let trouble = !self.calm && dice.percent(self.plan.settings.handler_trouble);
        let wrong = dice.below(100);
        let mut span = dice.millis(0, 300);
        if trouble && dice.percent(30) {
            self.books.see(Sight::HandlerSlow);
            span = dice.seconds(1, 29);
        }
        let hangs = self.is(&Mood::HandlersHang) || trouble && wrong < 15;
        let end = if self.is(&Mood::HandlersFail) || trouble && wrong < 60 {
            self.books.see(Sight::HandlerRetry);
            RunEnd::Said(Verdict::Retry)
        } else if trouble && wrong < 75 {
            self.books.see(Sight::HandlerPanic);
            RunEnd::Panicked
        } else if trouble && wrong < 85 {
            RunEnd::Said(Verdict::Dead)
        } else {
            RunEnd::Said(Verdict::Ack)
        };
        let attempt = run.attempt;
        self.app.runs.insert(run.id, InHand { key, lane, attempt });
        if hangs {
            self.books.see(Sight::HandlerHung);
        } else {
            let due = Due::HandlerEnds(self.app.life, run.id, end);
            self.after(span, due);
        }
    }

    pub(super) fn handler_ends(&mut self, id: RunId, end: RunEnd) {
        if let Some((token, verdict)) = self.app.router.finished(id, end) {
            self.say(id, token, verdict);
        }
    }

    /// Runs that have taken too long are given up.
    pub(super) fn stop_handlers(&mut self) -> bool {
        let mut any = false;
        while let Some((id, token, verdict)) = self.app.router.overdue(self.now) {
            any = true;
            self.say(id, token, verdict);
        }
        any
    }

    fn say(&mut self, id: RunId, token: ccs_proto::session::DeliveryToken, verdict: Verdict) {
        let Some(run) = self.app.runs.remove(&id) else {
            return;
        };
        // What a session that is being shut down could not handle comes again, whichever try it was.
        let closing = self.app.session.as_ref().is_none_or(Session::is_closing);
        let tries_over = verdict == Verdict::Retry && run.attempt >= TRIES && !closing;
        let done = verdict != Verdict::Retry || tries_over;
        self.note(|| format!("handler {:?} says {verdict:?}", run.key));
        if tries_over {
            self.books.see(Sight::DeadOfTries);
        }
        if verdict == Verdict::Dead {
            self.books.see(Sight::DeadByHandler);
        }
        self.books.handler_ends(&run.key, run.lane, done);
        if let Some(session) = &mut self.app.session {
            let _ = session.handled(self.now, token, verdict);
        }
        self.look();
        if done {
            self.crashes_at(Point::Said);
        }
    }
}
