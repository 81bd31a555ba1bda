//! A store that is slow, refuses, and after a crash has only what it had written: in the order in which it was asked.

use std::collections::{BTreeMap, VecDeque};

use ccs_proto::Time;
use ccs_proto::session::{DeadMessage, DeliveryKey, Forgotten, Received, Record, StoreId};

use super::App;
use crate::sim::dice::word;
use crate::sim::faults::{Mood, Point};
use crate::sim::invariants::Key;
use crate::sim::seen::Sight;
use crate::sim::stage::Stage;

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Message(String),
    DeadMessage(String),
    Delivery(Key),
}

#[derive(Debug)]
enum Step {
    Keep {
        id: StoreId,
        record: Record,
        asked: Time,
        refused: bool,
    },
    Forget(Name),
}

#[derive(Debug, Default)]
pub(super) struct Store {
    steps: VecDeque<(Time, Step)>,
    /// What is to be told of what was done: to whom, what, and whether it is kept.
    answers: VecDeque<(Time, StoreId, bool)>,
    kept: BTreeMap<u64, (Name, Record, Time)>,
    names: BTreeMap<Name, u64>,
    next: u64,
    drawn: u64,
    last: Time,
}

pub(in crate::sim) fn key_of(received: &Received) -> Key {
    let from = match received {
        Received::Upstream(message) => message.from().as_str(),
        Received::Receipt(receipt) => receipt.from().as_str(),
        other => unreachable!("{other:?}"),
    };
    (from.to_owned(), received.message_id().to_string())
}

fn key(key: &DeliveryKey) -> Key {
    (key.from().to_owned(), key.message_id().to_owned())
}

impl Name {
    fn of(record: &Record) -> Self {
        match record {
            Record::Downstream(message) => Self::Message(message.id().to_string()),
            Record::Handled(handled) => Self::Delivery(key(handled)),
            Record::DeadLetter(dead) => match &dead.message {
                DeadMessage::Downstream(message) => Self::DeadMessage(message.id().to_string()),
                DeadMessage::Received(received) => Self::Delivery(key_of(received)),
                other => unreachable!("{other:?}"),
            },
            other => unreachable!("{other:?}"),
        }
    }
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

    pub(super) fn is_idle(&self) -> bool {
        self.steps.is_empty() && self.answers.is_empty()
    }

    fn insert(&mut self, name: Name, record: Record, asked: Time) {
        self.remove(&name);
        if let Name::DeadMessage(id) = &name {
            self.remove(&Name::Message(id.clone()));
        }
        self.next += 1;
        self.names.insert(name.clone(), self.next);
        self.kept.insert(self.next, (name, record, asked));
    }

    fn remove(&mut self, name: &Name) {
        if let Some(number) = self.names.remove(name) {
            self.kept.remove(&number);
        }
    }

    /// Everything that is kept, in the order in which it was, with the time at which that was asked for.
    pub(super) fn records(&self) -> Vec<(Record, Time)> {
        let kept = self.kept.values();
        kept.map(|(_, record, asked)| (record.clone(), *asked))
            .collect()
    }
}

impl App {
    fn store_delay(&mut self, stage: &mut Stage) -> Time {
        self.store.drawn += 1;
        let mut dice = self.dice(stage, &[20, self.store.drawn]);
        let slow = stage.is(&Mood::StoreSlow) || !stage.calm && dice.percent(2);
        let delay = if slow {
            self.books.see(Sight::StoreSlow);
            dice.seconds(0, 40)
        } else {
            dice.millis(0, 3)
        };
        let due = (stage.now + delay).max(self.store.last);
        self.store.last = due;
        due
    }

    pub(super) fn store(&mut self, stage: &mut Stage, id: StoreId, record: Record) {
        let due = self.store_delay(stage);
        let name = word(&format!("{:?}", Name::of(&record)));
        let drawn = self.store.drawn;
        let mut dice = self.dice(stage, &[21, name, drawn]);
        let trouble = stage.plan.settings.store_trouble;
        let refused = stage.is(&Mood::StoreFails) || !stage.calm && dice.percent(trouble);
        let asked = stage.now;
        let step = Step::Keep {
            id,
            record,
            asked,
            refused,
        };
        self.store.steps.push_back((due, step));
    }

    pub(super) fn forget(&mut self, stage: &mut Stage, forgotten: Forgotten) {
        let name = match forgotten {
            Forgotten::Downstream(id) => Name::Message(id.to_string()),
            Forgotten::Handled(handled) => {
                let key = key(&handled);
                self.books.delivery_forgotten(&key);
                Name::Delivery(key)
            }
            other => unreachable!("{other:?}"),
        };
        let due = self.store_delay(stage);
        self.store.steps.push_back((due, Step::Forget(name)));
    }

    /// Does what is due, and says whether there was anything.
    pub(super) fn run_store(&mut self, stage: &mut Stage) -> bool {
        let mut any = false;
        while let Some((due, _)) = self.store.steps.front()
            && *due <= stage.now
            && let Some((_, step)) = self.store.steps.pop_front()
        {
            any = true;
            self.store_step(stage, step, true);
            let answer = self.store.answers.back();
            let kept = answer.is_some_and(|(_, _, kept)| *kept);
            if kept && self.crashes_at(stage, Point::Stored) {
                return true;
            }
        }
        while let Some((due, _, _)) = self.store.answers.front()
            && *due <= stage.now
            && let Some((_, id, kept)) = self.store.answers.pop_front()
        {
            any = true;
            if let Some(session) = &mut self.session {
                session.stored(stage.now, id, kept);
            }
            self.look(stage);
        }
        any
    }

    fn store_step(&mut self, stage: &mut Stage, step: Step, tell: bool) {
        let mut answer = None;
        match step {
            Step::Keep {
                id, refused: true, ..
            } => {
                self.books.see(Sight::StoreRefused);
                answer = Some((id, false));
            }
            Step::Keep {
                id, record, asked, ..
            } => {
                let name = Name::of(&record);
                stage.note(|| format!("stored {name:?}"));
                match &name {
                    Name::Message(id) => self.books.message_kept(id, true),
                    Name::DeadMessage(id) => self.books.message_buried(id),
                    Name::Delivery(key) => self.books.delivery_kept(key, true),
                }
                self.store.insert(name, record, asked);
                answer = Some((id, true));
            }
            Step::Forget(name) => {
                stage.note(|| format!("forgotten {name:?}"));
                match &name {
                    Name::Message(id) => self.books.message_kept(id, false),
                    Name::Delivery(key) => self.books.delivery_kept(key, false),
                    Name::DeadMessage(_) => {}
                }
                self.store.remove(&name);
            }
        }
        if let Some((id, kept)) = answer.filter(|_| tell) {
            let mut dice = self.dice(stage, &[22, self.store.next]);
            let due = if dice.percent(70) {
                stage.now
            } else {
                stage.now + dice.millis(0, 20)
            };
            let last = self.store.answers.back().map(|(due, _, _)| *due);
            let due = last.map_or(due, |last| last.max(due));
            self.store.answers.push_back((due, id, kept));
        }
    }

    /// Of what was asked for, the first part is still done; nobody hears of it.
    pub(super) fn store_crashes(&mut self, stage: &mut Stage) {
        let mut dice = self.dice(stage, &[23, self.life]);
        let done = dice.index(self.store.steps.len() + 1);
        self.store.answers.clear();
        for (_, step) in std::mem::take(&mut self.store.steps).into_iter().take(done) {
            self.store_step(stage, step, false);
        }
        self.store.last = stage.now;
    }

    /// A process that ends in order does all that was asked for; nobody hears of it.
    pub(super) fn finish_store(&mut self, stage: &mut Stage) {
        self.store.answers.clear();
        for (_, step) in std::mem::take(&mut self.store.steps) {
            self.store_step(stage, step, false);
        }
        self.store.last = stage.now;
    }
}
