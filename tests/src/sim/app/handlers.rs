//! Handlers that are slow, fail, panic, hang or give up.

use ccs_proto::session::{DeliveryToken, Received, Run, RunEnd, RunId, Verdict};

use super::App;
use super::store::key_of;
use crate::sim::devices::{Poison, SENDER};
use crate::sim::dice::word;
use crate::sim::faults::{Mood, Point};
use crate::sim::invariants::{Key, Rule};
use crate::sim::seen::Sight;
use crate::sim::stage::{AppDue, Stage};

/// Tries of a handler that a session makes.
const TRIES: u32 = 5;

/// What a handler has in hand.
#[derive(Debug)]
pub(super) struct InHand {
    key: Key,
    lane: bool,
    attempt: u32,
}

impl App {
    pub(super) fn handler_starts(&mut self, stage: &mut Stage, run: Run) {
        let key = key_of(&run.received);
        let lane = matches!(run.received, Received::Upstream(_));
        stage.note(|| format!("handler {key:?} #{}", run.attempt));
        self.books.handler_starts(&key, lane);
        if let Received::Upstream(message) = &run.received {
            let to = message.data().and_then(|data| data.get(SENDER));
            let own = to.as_deref() == Some(self.sender.id().as_str());
            self.books.check(own, Rule::Identity, || {
                format!("{key:?} is handled and is for {to:?}")
            });
        }
        let name = word(&key.0) ^ word(&key.1).rotate_left(1);
        let mut dice = self.dice(stage, &[30, name, u64::from(run.attempt)]);
        let trouble = !stage.calm && dice.percent(stage.plan.settings.handler_trouble);
        let wrong = dice.below(100);
        let mut span = dice.millis(0, 300);
        if trouble && dice.percent(30) {
            self.books.see(Sight::HandlerSlow);
            span = dice.seconds(1, 29);
        }
        let poison = match &run.received {
            Received::Upstream(message) => Poison::in_message(message),
            _ => None,
        };
        if poison.is_some() {
            self.books.see(Sight::Poison);
        }
        let hangs =
            stage.is(&Mood::HandlersHang) || poison == Some(Poison::Hangs) || trouble && wrong < 15;
        let end = if let Some(Poison::Panics) = poison {
            RunEnd::Panicked
        } else if poison.is_some() {
            RunEnd::Said(Verdict::Retry)
        } else if stage.is(&Mood::HandlersFail) || trouble && wrong < 60 {
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
        self.runs.insert(run.id, InHand { key, lane, attempt });
        if hangs {
            self.books.see(Sight::HandlerHung);
        } else {
            let due = AppDue::HandlerEnds(self.life, run.id, end);
            self.after(stage, span, due);
        }
    }

    pub(super) fn handler_ends(&mut self, stage: &mut Stage, id: RunId, end: RunEnd) {
        if let Some((token, verdict)) = self.router.finished(id, end) {
            self.say(stage, id, token, verdict);
        }
    }

    /// Runs that have taken too long are given up.
    pub(super) fn stop_handlers(&mut self, stage: &mut Stage) -> bool {
        let mut any = false;
        while let Some((id, token, verdict)) = self.router.overdue(stage.now) {
            any = true;
            self.say(stage, id, token, verdict);
        }
        any
    }

    fn say(&mut self, stage: &mut Stage, id: RunId, token: DeliveryToken, verdict: Verdict) {
        let Some(run) = self.runs.remove(&id) else {
            return;
        };
        let tries_over = verdict == Verdict::Retry && run.attempt >= TRIES;
        let done = verdict != Verdict::Retry || tries_over;
        stage.note(|| format!("handler {:?} says {verdict:?}", run.key));
        if tries_over {
            self.books.see(Sight::DeadOfTries);
        }
        if verdict == Verdict::Dead {
            self.books.see(Sight::DeadByHandler);
        }
        self.books.handler_ends(&run.key, run.lane, done);
        if let Some(session) = &mut self.session {
            session.handled(stage.now, token, verdict);
        }
        self.look(stage);
        if done {
            self.crashes_at(stage, Point::Said);
        }
    }
}
