//! What all parts of one run share: the plan, the time, what is due, the connections, and what was found.

use std::collections::BTreeMap;
use std::time::Duration;

use ccs_proto::hub::{DeliveryId, Device};
use ccs_proto::message::NackCode;
use ccs_proto::session::{DialId, RunEnd, RunId};
use ccs_proto::{ConnectionId, Time};

use super::dice::Dice;
use super::faults::Mood;
use super::invariants::Findings;
use super::links::Links;
use super::plan::Plan;
use super::sender::Sender;
use super::stray::Stray;

/// Something that happens at its time.
#[derive(Debug)]
pub(super) enum Due {
    Act(usize),
    Answer(u64),
    App(Sender, AppDue),
    /// The next delivery of this device is there.
    Device(Device),
    /// A device has confirmed a delivery of this life of the endpoint.
    Confirmed(u64, DeliveryId),
    /// Devices send what they have.
    Post,
    EndpointStarts,
    /// If it is still in this life.
    EndpointStops(u64),
    /// A sender may have the usual number of connections.
    Limits(Sender),
    Stray(ConnectionId, Stray, String),
    Drain(ConnectionId),
}

/// Something that happens to one app server; what belongs to a life that is over is not told any more.
#[derive(Debug)]
pub(super) enum AppDue {
    Starts,
    Submit,
    Dialled(u64, DialId),
    HandlerEnds(u64, RunId, RunEnd),
}

pub(super) struct Stage {
    pub(super) plan: Plan,
    pub(super) now: Time,
    pub(super) findings: Findings,
    pub(super) links: Links,
    /// The faults are over.
    pub(super) calm: bool,
    moods: Vec<(Mood, Time)>,
    queue: BTreeMap<(Time, u64), Due>,
    next_due: u64,
    hash: u64,
    history: Option<Vec<String>>,
}

impl Stage {
    pub(super) fn new(plan: Plan, record: bool) -> Self {
        let mut stage = Self {
            now: Time::ZERO,
            findings: Findings::default(),
            links: Links::new(plan.seed),
            calm: false,
            moods: Vec::new(),
            queue: BTreeMap::new(),
            next_due: 0,
            hash: 0,
            history: record.then(Vec::new),
            plan,
        };
        for index in 0..stage.plan.actions.len() {
            let at = stage.plan.actions[index].at;
            stage.after(at, Due::Act(index));
        }
        stage
    }

    /// The dice of the thing that these words name.
    pub(super) fn dice(&self, name: &[u64]) -> Dice {
        Dice::of(self.plan.seed, name)
    }

    pub(super) fn after(&mut self, span: Duration, due: Due) {
        self.next_due += 1;
        self.queue.insert((self.now + span, self.next_due), due);
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        let queued = self.queue.keys().next().map(|(due, _)| *due);
        let moods = self.moods.iter().map(|(_, until)| *until);
        queued.into_iter().chain(moods).min()
    }

    /// Goes on to this time.
    pub(super) fn advance(&mut self, next: Time) {
        self.now = self.now.max(next);
        self.findings.set_now(self.now);
        self.hash_word(u64::try_from(self.now.since_origin().as_nanos()).unwrap_or_default());
        let now = self.now;
        self.moods.retain(|(_, until)| *until > now);
    }

    /// What is due by now.
    pub(super) fn take_due(&mut self) -> Option<Due> {
        let (due, _) = *self.queue.keys().next()?;
        if due > self.now {
            return None;
        }
        self.queue.pop_first().map(|(_, due)| due)
    }

    /// When everything has happened that is due at a known time.
    pub(super) fn last_due(&self) -> Time {
        let queued = self.queue.keys().next_back().map(|(due, _)| *due);
        let arrives = self.links.all_arrived();
        queued.into_iter().chain(arrives).fold(self.now, Time::max)
    }

    pub(super) fn has_actions(&self) -> bool {
        self.queue.values().any(|due| matches!(due, Due::Act(_)))
    }

    pub(super) fn starts(&mut self, mood: Mood, span: Duration) {
        self.moods.push((mood, self.now + span));
    }

    pub(super) fn is(&self, mood: &Mood) -> bool {
        self.moods.iter().any(|(there, _)| there == mood)
    }

    /// The code that every message is refused with now.
    pub(super) fn storm(&self) -> Option<NackCode> {
        self.moods.iter().find_map(|(mood, _)| match mood {
            Mood::Storm(code) => Some(code.clone()),
            _ => None,
        })
    }

    /// From now on nothing goes wrong.
    pub(super) fn calms_down(&mut self) {
        self.calm = true;
        self.moods.clear();
        self.note(|| "no more faults".to_owned());
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

    /// One number for everything that happened, and all of it in words if that was asked for.
    pub(super) fn into_history(self) -> (u64, Vec<String>) {
        (self.hash, self.history.unwrap_or_default())
    }
}
