//! The endpoint's store: slow, refusing, and after a crash with only what it had written, in the order in which it was asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ccs_proto::Time;
use ccs_proto::hub::{Record, StoreId};
use ccs_proto::message::{MessageId, SenderId};

use super::Endpoint;
use crate::sim::faults::{Mood, Point};
use crate::sim::invariants::{Key, key_of};
use crate::sim::seen::Sight;
use crate::sim::stage::Stage;

#[derive(Debug)]
enum Step {
    Keep {
        id: StoreId,
        record: Box<Record>,
        refused: bool,
    },
    Forget(StoreId),
}

#[derive(Debug, Default)]
pub(super) struct Store {
    steps: VecDeque<(Time, Step)>,
    /// What is to be told of what was done, and whether it is kept.
    answers: VecDeque<(Time, StoreId, bool)>,
    kept: BTreeMap<StoreId, Record>,
    drawn: u64,
    last: Time,
}

impl Store {
    pub(super) fn next_due(&self) -> Option<Time> {
        let step = self.steps.front().map(|(due, _)| *due);
        let answer = self.answers.front().map(|(due, _, _)| *due);
        step.into_iter().chain(answer).min()
    }

    pub(super) fn last_due(&self) -> Time {
        let answer = self.answers.back().map(|(due, _, _)| *due);
        answer.into_iter().fold(self.last, Time::max)
    }

    /// Everything that is kept, in the order in which it was.
    pub(super) fn records(&self) -> impl Iterator<Item = (&StoreId, &Record)> {
        self.kept.iter()
    }

    /// The messages to devices that are kept.
    pub(super) fn letters(&self) -> BTreeSet<(SenderId, MessageId)> {
        let letters = self.kept.values().filter_map(|record| match record {
            Record::Downstream {
                sender, message_id, ..
            } => Some((sender.clone(), message_id.clone())),
            _ => None,
        });
        letters.collect()
    }

    /// The messages of devices that are kept.
    pub(super) fn posts(&self) -> BTreeSet<(SenderId, Key)> {
        let posts = self.kept.values().filter_map(|record| match record {
            Record::Upstream {
                sender, message, ..
            } => Some((sender.clone(), key_of(message))),
            _ => None,
        });
        posts.collect()
    }
}

impl Endpoint {
    fn store_delay(&mut self, stage: &Stage) -> Time {
        self.store.drawn += 1;
        let mut dice = stage.dice(&[50, self.store.drawn]);
        let slow = stage.is(&Mood::EndpointStoreSlow) || !stage.calm && dice.percent(2);
        let delay = if slow {
            stage.findings.see(Sight::EndpointStoreSlow);
            dice.seconds(0, 40)
        } else {
            dice.millis(0, 3)
        };
        let due = (stage.now + delay).max(self.store.last);
        self.store.last = due;
        due
    }

    pub(super) fn store(&mut self, stage: &Stage, id: StoreId, record: Record) {
        let due = self.store_delay(stage);
        let mut dice = stage.dice(&[51, self.store.drawn]);
        let trouble = stage.plan.settings.endpoint_store_trouble;
        let refused = stage.is(&Mood::EndpointStoreFails) || !stage.calm && dice.percent(trouble);
        let step = Step::Keep {
            id,
            record: Box::new(record),
            refused,
        };
        self.store.steps.push_back((due, step));
    }

    pub(super) fn forget_record(&mut self, stage: &Stage, id: StoreId) {
        let due = self.store_delay(stage);
        self.store.steps.push_back((due, Step::Forget(id)));
    }

    /// Does what is due, and says whether there was anything.
    pub(in crate::sim) fn run_store(&mut self, stage: &mut Stage) -> bool {
        let mut any = false;
        while !self.crashing
            && let Some((due, _)) = self.store.steps.front()
            && *due <= stage.now
            && let Some((_, step)) = self.store.steps.pop_front()
        {
            any = true;
            if let Some((id, kept)) = self.store_step(stage, step) {
                let mut dice = stage.dice(&[52, id.0, self.store.drawn]);
                let wait = if dice.percent(70) {
                    dice.millis(0, 0)
                } else {
                    dice.millis(0, 20)
                };
                let last = self.store.answers.back().map(|(due, _, _)| *due);
                let due = last.map_or(stage.now + wait, |last| last.max(stage.now + wait));
                self.store.answers.push_back((due, id, kept));
                if kept {
                    self.crashes_at(stage, Point::Stored);
                }
            }
        }
        while !self.crashing
            && let Some((due, _, _)) = self.store.answers.front()
            && *due <= stage.now
            && let Some((_, id, kept)) = self.store.answers.pop_front()
        {
            any = true;
            match &mut self.hub {
                Some(hub) if kept => hub.stored(stage.now, id),
                Some(hub) => hub.refused(stage.now, id),
                None => {}
            }
        }
        any
    }

    /// Says of which record somebody waits to hear whether it is kept.
    fn store_step(&mut self, stage: &mut Stage, step: Step) -> Option<(StoreId, bool)> {
        match step {
            Step::Keep {
                id, refused: true, ..
            } => {
                stage.findings.see(Sight::EndpointStoreRefused);
                Some((id, false))
            }
            Step::Keep { id, record, .. } => {
                stage.note(|| format!("the endpoint has stored {id:?}"));
                self.store.kept.insert(id, *record);
                Some((id, true))
            }
            Step::Forget(id) => {
                self.store.kept.remove(&id);
                None
            }
        }
    }

    /// Of what was asked for, the first part is still done; nobody hears of it.
    pub(super) fn store_crashes(&mut self, stage: &mut Stage) {
        let mut dice = stage.dice(&[53, self.life]);
        let done = dice.index(self.store.steps.len() + 1);
        self.store.steps.truncate(done);
        self.finish_store(stage);
    }

    /// All that was asked for is done; nobody hears of it.
    pub(super) fn finish_store(&mut self, stage: &mut Stage) {
        self.store.answers.clear();
        for (_, step) in std::mem::take(&mut self.store.steps) {
            self.store_step(stage, step);
        }
        self.store.last = stage.now;
    }
}
