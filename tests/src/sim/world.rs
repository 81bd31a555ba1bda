//! Discrete events in virtual time: what is next, and what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use ccs_proto::message::NackCode;
use ccs_proto::session::{DialId, RunEnd, RunId};
use ccs_proto::{ConnectionId, StreamCondition, Time};

use super::app::App;
use super::dice::Dice;
use super::endpoint::{Endpoint, Link};
use super::faults::{Fault, Mood, Point};
use super::invariants::{Books, Rule};
use super::plan::{Killer, Plan, What};
use super::seen::Sight;
use super::wire::End;

/// Steps of one run, far beyond what any takes that comes to its end.
const STEPS: u64 = 400_000;
/// Rounds without time passing.
const ROUNDS: usize = 20_000;
/// Deadlines in a row that are due at the same moment.
const SAME_MOMENT: u32 = 1_000;
/// For so long nothing need be settled once the faults are over.
const PATIENCE: Duration = Duration::from_secs(24 * 3_600);

/// Something that happens at its time.
#[derive(Debug)]
pub(super) enum Due {
    Act(usize),
    Answer(u64),
    Dialled(u64, DialId),
    HandlerEnds(u64, RunId, RunEnd),
    AppStarts,
    Submit,
    Receipt(String, String),
    Drain(ConnectionId),
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) now: Time,
    pub(super) books: Books,
    pub(super) app: App,
    pub(super) endpoint: Endpoint,
    pub(super) links: BTreeMap<ConnectionId, Link>,
    pub(super) next_connection: u64,
    pub(super) moods: Vec<(Mood, Time)>,
    /// The next crash.
    pub(super) crash_at: Option<Point>,
    /// The faults are over.
    pub(super) calm: bool,
    /// The last shutdown was asked for.
    pub(super) ending: bool,
    queue: BTreeMap<(Time, u64), Due>,
    next_due: u64,
    hash: u64,
    steps: u64,
    history: Option<Vec<String>>,
}

/// What came of a run.
pub(super) struct Ran {
    pub(super) books: Books,
    pub(super) hash: u64,
    pub(super) steps: u64,
    pub(super) history: Vec<String>,
}

impl World {
    pub(super) fn new(plan: Plan, record: bool) -> Self {
        let mut world = Self {
            now: Time::ZERO,
            books: Books::new(plan.settings.clone()),
            app: App::new(),
            endpoint: Endpoint::new(),
            links: BTreeMap::new(),
            next_connection: 0,
            moods: Vec::new(),
            crash_at: None,
            calm: false,
            ending: false,
            queue: BTreeMap::new(),
            next_due: 0,
            hash: 0,
            steps: 0,
            history: record.then(Vec::new),
            plan,
        };
        for index in 0..world.plan.actions.len() {
            let at = world.plan.actions[index].at;
            world.after(at, Due::Act(index));
        }
        world
    }

    /// Runs it to its end, or to the first broken rule.
    pub(super) fn run(mut self) -> Ran {
        self.app_starts();
        self.pump();
        while self.is_right() && self.has_actions() && self.step(None) {}
        self.calm = true;
        self.moods.clear();
        self.crash_at = None;
        self.note(|| "no more faults".to_owned());
        let end = self.now + PATIENCE;
        while self.is_right() && !self.is_settled() && self.step(Some(end)) {}
        if self.is_right() && !self.is_settled() {
            let left = format!(
                "unsettled {}, unacked {}, waiting {}, in the session {:?}",
                self.unsettled(),
                self.endpoint.unacked(),
                self.app.backlog.len(),
                self.app.session.as_ref().map(|s| (s.queued(), s.undone())),
            );
            self.books.broken(Rule::Progress, || left);
        }
        self.shut_down_last();
        Ran {
            books: self.books,
            hash: self.hash,
            steps: self.steps,
            history: self.history.unwrap_or_default(),
        }
    }

    fn shut_down_last(&mut self) {
        let patience = Duration::from_secs(60);
        self.ending = true;
        self.shut_down(patience);
        self.pump();
        let end = self.now + patience * 2;
        while self.is_right() && self.app.session.is_some() && self.step(Some(end)) {}
        if self.is_right() && self.app.session.is_some() {
            self.books
                .broken(Rule::Progress, || "the shutdown has no end".to_owned());
        }
    }

    fn is_right(&self) -> bool {
        self.books.violation.is_none()
    }

    fn has_actions(&self) -> bool {
        self.queue.values().any(|due| matches!(due, Due::Act(_)))
    }

    fn is_settled(&self) -> bool {
        self.app.backlog.is_empty()
            && self.app.store.is_idle()
            && self
                .app
                .session
                .as_ref()
                .is_some_and(|session| session.queued() == 0 && session.undone() == 0)
            && self.unsettled() == 0
            && self.endpoint.unacked() == 0
    }

    pub(super) fn after(&mut self, span: Duration, due: Due) {
        self.next_due += 1;
        self.queue.insert((self.now + span, self.next_due), due);
    }

    /// For a replay: what happened, in words.
    pub(super) fn note(&mut self, words: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            let at = self.now.since_origin().as_secs_f64();
            history.push(format!("{at:>10.3}  {}", words()));
        }
    }

    pub(super) fn hash_word(&mut self, word: u64) {
        let mut dice = Dice::of(self.hash, &[word]);
        self.hash = dice.next();
    }

    pub(super) fn is(&self, mood: &Mood) -> bool {
        self.moods.iter().any(|(there, _)| there == mood)
    }

    pub(super) fn plan_killer(&self, number: usize) -> Option<Killer> {
        let action = self.plan.actions.iter().find(|a| a.number == number)?;
        match &action.what {
            What::Submit(message) => message.killer,
            _ => None,
        }
    }

    /// Goes on to what is next; `false` if there is nothing, or not before `end`.
    fn step(&mut self, end: Option<Time>) -> bool {
        let queued = self.queue.first_key_value().map(|((due, _), _)| *due);
        let moods = self.moods.iter().map(|(_, until)| *until);
        let dues = [queued, self.app_due(), self.endpoint_due()];
        let Some(next) = dues.into_iter().flatten().chain(moods).min() else {
            return false;
        };
        if end.is_some_and(|end| next > end) {
            return false;
        }
        self.steps += 1;
        if self.steps > STEPS {
            self.books
                .broken(Rule::Progress, || format!("{STEPS} steps and no end"));
            return false;
        }
        self.now = self.now.max(next);
        self.books.now = self.now;
        self.hash_word(u64::try_from(self.now.since_origin().as_nanos()).unwrap_or_default());
        let now = self.now;
        self.moods.retain(|(_, until)| *until > now);
        if queued.is_some_and(|due| due <= now)
            && let Some((_, due)) = self.queue.pop_first()
        {
            self.happens(due);
        }
        self.fire();
        self.pump();
        true
    }

    /// Timers.
    fn fire(&mut self) {
        let now = self.now;
        for link in self.links.values_mut() {
            if let Some(server) = &mut link.server
                && server.poll_timeout().is_some_and(|due| due <= now)
            {
                server.handle_timeout(now);
            }
        }
        let mut rounds = 0;
        while let Some(session) = &mut self.app.session
            && session.poll_timeout().is_some_and(|due| due <= now)
        {
            session.handle_timeout(now);
            self.look();
            rounds += 1;
            if rounds > SAME_MOMENT {
                self.books
                    .broken(Rule::Progress, || "a deadline stays due".to_owned());
                return;
            }
            self.run_app();
        }
    }

    /// Moves what can be moved, without time passing.
    fn pump(&mut self) {
        for _ in 0..ROUNDS {
            if !self.is_right() {
                return;
            }
            let mut moved = self.run_store();
            moved |= self.stop_handlers();
            for link in self.links.values_mut() {
                moved |= link.up.arrive(self.now) | link.down.arrive(self.now);
            }
            moved |= self.run_app();
            moved |= self.run_endpoint();
            if !moved {
                self.links
                    .retain(|_, link| link.held || link.server.is_some());
                return;
            }
        }
        self.books
            .broken(Rule::Progress, || "never comes to rest".to_owned());
    }

    fn happens(&mut self, due: Due) {
        let life = self.app.life;
        match due {
            Due::Act(index) => self.acts(index),
            Due::Answer(number) => self.endpoint_answers(number),
            Due::Dialled(whose, dial) => {
                if whose == life {
                    self.dialled(dial);
                }
            }
            Due::HandlerEnds(whose, run, end) => {
                if whose == life {
                    self.handler_ends(run, end);
                }
            }
            Due::AppStarts => self.app_starts(),
            Due::Submit => self.submit_waiting(),
            Due::Receipt(id, device) => self.send_receipt(&id, &device),
            Due::Drain(id) => self.drain(id),
        }
    }

    fn acts(&mut self, index: usize) {
        let action = self.plan.actions[index].clone();
        self.note(|| format!("-- {action}"));
        match action.what {
            What::Submit(message) => self.submit(action.number, &message),
            What::Cancel(number) => self.cancel(number),
            What::Device(device) => self.device_sends(device),
            What::Fault(fault) => self.strikes(action.number, fault),
        }
    }

    fn strikes(&mut self, number: usize, fault: Fault) {
        let mut dice = Dice::of(self.plan.seed, &[7, number as u64]);
        let links: Vec<ConnectionId> = self.links.keys().copied().collect();
        let victim = (!links.is_empty()).then(|| *dice.pick(&links));
        let now = self.now;
        match (fault, victim) {
            (Fault::AppCrash, _) => {
                self.books.see(Sight::AppCrash);
                self.app_crashes();
            }
            (Fault::CrashAt(point), _) => self.crash_at = Some(point),
            (Fault::AppRestart(patience), _) => self.shut_down(patience),
            (Fault::EndpointCrash(span), _) => {
                self.books.see(Sight::EndpointCrash);
                for id in links {
                    self.cut(id);
                    self.drop_server(id);
                }
                self.moods.push((Mood::Refuse, now + span));
            }
            (Fault::Mood(mood, span), _) => self.moods.push((mood, now + span)),
            (Fault::Redeliver, _) => self.redeliver(&mut dice),
            (Fault::DrainRefused(span), victim) => {
                self.moods.push((Mood::Refuse, now + span));
                if let Some(id) = victim {
                    self.books.see(Sight::DrainRefused);
                    self.drain(id);
                }
            }
            (Fault::Cut, Some(id)) => self.cut(id),
            (Fault::Drain, Some(id)) => self.drain(id),
            (Fault::HalfCloseUp, Some(id)) => {
                self.books.see(Sight::HalfClosedUp);
                self.links
                    .get_mut(&id)
                    .into_iter()
                    .for_each(|link| link.up.finish(now, End::Eof));
            }
            (Fault::HalfCloseDown, Some(id)) => {
                self.books.see(Sight::HalfClosedDown);
                self.links
                    .get_mut(&id)
                    .into_iter()
                    .for_each(|link| link.down.finish(now, End::Eof));
            }
            (Fault::BlackHole, Some(id)) => {
                self.books.see(Sight::BlackHole);
                if let Some(link) = self.links.get_mut(&id) {
                    link.up.swallow();
                    link.down.swallow();
                }
            }
            (Fault::Stall(span), Some(id)) => {
                self.books.see(Sight::Stalled);
                let both = dice.below(3);
                if let Some(link) = self.links.get_mut(&id) {
                    if both != 1 {
                        link.up.stall(now + span);
                    }
                    if both != 0 {
                        link.down.stall(now + span);
                    }
                }
            }
            (Fault::StreamError(condition), Some(id)) => {
                self.books.see(match condition {
                    StreamCondition::SystemShutdown => Sight::SystemShutdown,
                    _ => Sight::StreamError,
                });
                if let Some(server) = self.server(id) {
                    server.end_with(now, condition, "");
                }
            }
            _ => {}
        }
    }

    /// Crashes the app server if it was to crash here; says whether it did.
    pub(super) fn crashes_at(&mut self, point: Point) -> bool {
        let now = self.crash_at == Some(point) && self.app.session.is_some();
        if now {
            self.crash_at = None;
            self.books.see(match point {
                Point::Stored => Sight::CrashBetweenStoreAndAck,
                Point::Said => Sight::CrashBetweenHandlerAndStore,
                Point::Acked => Sight::CrashAfterAck,
            });
            self.app_crashes();
        }
        now
    }

    fn drain(&mut self, id: ConnectionId) {
        let now = self.now;
        if let Some(server) = self.server(id) {
            server.drain(now);
        }
    }

    /// The connection breaks.
    pub(super) fn cut(&mut self, id: ConnectionId) {
        self.note(|| format!("cut {}", id.0));
        self.books.cut(id);
        let now = self.now;
        if let Some(link) = self.links.get_mut(&id) {
            let within = link.up.cut(now) | link.down.cut(now);
            if within {
                self.books.see(Sight::CutMidStanza);
            }
        }
    }

    /// Storms come from the plan.
    pub(super) fn storm(&self) -> Option<NackCode> {
        self.moods.iter().find_map(|(mood, _)| match mood {
            Mood::Storm(code) => Some(code.clone()),
            _ => None,
        })
    }
}
