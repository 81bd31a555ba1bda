//! A store that is slow, refuses, and after a crash has only what it had written: in the order in which it was asked.

use std::collections::{BTreeMap, VecDeque};

use ccs_proto::Time;
use ccs_proto::session::{DeadMessage, DeliveryKey, Forgotten, Received, Record, StoreId};

use super::dice::{Dice, word};
use super::faults::{Mood, Point};
use super::invariants::Key;
use super::seen::Sight;
use super::world::World;

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

pub(super) fn key_of(received: &Received) -> Key {
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

impl World {
    fn store_delay(&mut self) -> Time {
        self.app.store.drawn += 1;
        let mut dice = Dice::of(self.plan.seed, &[20, self.app.store.drawn]);
        let slow = self.is(&Mood::StoreSlow) || !self.calm && dice.percent(2);
        let delay = if slow {
            self.books.see(Sight::StoreSlow);
            dice.seconds(0, 40)
        } else {
            dice.millis(0, 3)
        };
        let due = (self.now + delay).max(self.app.store.last);
        self.app.store.last = due;
        due
    }

    pub(super) fn store(&mut self, id: StoreId, record: Record) {
        let due = self.store_delay();
        let name = word(&format!("{:?}", Name::of(&record)));
        let drawn = self.app.store.drawn;
        let mut dice = Dice::of(self.plan.seed, &[21, name, drawn]);
        let trouble = self.plan.settings.store_trouble;
        let refused = self.is(&Mood::StoreFails) || !self.calm && dice.percent(trouble);
        let asked = self.now;
        let step = Step::Keep {
            id,
            record,
            asked,
            refused,
        };
        self.app.store.steps.push_back((due, step));
    }

    pub(super) fn forget(&mut self, forgotten: Forgotten) {
        let name = match forgotten {
            Forgotten::Downstream(id) => Name::Message(id.to_string()),
            Forgotten::Handled(handled) => {
                let key = key(&handled);
                self.books.delivery_forgotten(&key);
                Name::Delivery(key)
            }
            other => unreachable!("{other:?}"),
        };
        let due = self.store_delay();
        self.app.store.steps.push_back((due, Step::Forget(name)));
    }

    /// Does what is due, and says whether there was anything.
    pub(super) fn run_store(&mut self) -> bool {
        let mut any = false;
        while let Some((due, _)) = self.app.store.steps.front()
            && *due <= self.now
            && let Some((_, step)) = self.app.store.steps.pop_front()
        {
            any = true;
            self.store_step(step, true);
            let kept = self
                .app
                .store
                .answers
                .back()
                .is_some_and(|(_, _, kept)| *kept);
            if kept && self.crashes_at(Point::Stored) {
                return true;
            }
        }
        while let Some((due, _, _)) = self.app.store.answers.front()
            && *due <= self.now
            && let Some((_, id, kept)) = self.app.store.answers.pop_front()
        {
            any = true;
            if let Some(session) = &mut self.app.session {
                if kept {
                    session.stored(self.now, id);
                } else {
                    session.refused(self.now, id);
                }
            }
            self.look();
        }
        any
    }

    fn store_step(&mut self, step: Step, tell: bool) {
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
                self.note(|| format!("stored {name:?}"));
                match &name {
                    Name::Message(id) => self.books.message_kept(id, true),
                    Name::DeadMessage(id) => self.books.message_buried(id),
                    Name::Delivery(key) => self.books.delivery_kept(key, true),
                }
                self.app.store.insert(name, record, asked);
                answer = Some((id, true));
            }
            Step::Forget(name) => {
                self.note(|| format!("forgotten {name:?}"));
                match &name {
                    Name::Message(id) => self.books.message_kept(id, false),
                    Name::Delivery(key) => self.books.delivery_kept(key, false),
                    Name::DeadMessage(_) => {}
                }
                self.app.store.remove(&name);
            }
        }
        if let Some((id, kept)) = answer.filter(|_| tell) {
            let mut dice = Dice::of(self.plan.seed, &[22, self.app.store.next]);
            let due = if dice.percent(70) {
                self.now
            } else {
                self.now + dice.millis(0, 20)
            };
            let last = self.app.store.answers.back().map(|(due, _, _)| *due);
            let due = last.map_or(due, |last| last.max(due));
            self.app.store.answers.push_back((due, id, kept));
        }
    }

    /// Of what was asked for, the first part is still done; nobody hears of it.
    pub(super) fn store_crashes(&mut self, life: u64) {
        let mut dice = Dice::of(self.plan.seed, &[23, life]);
        let done = dice.index(self.app.store.steps.len() + 1);
        self.app.store.answers.clear();
        for (_, step) in std::mem::take(&mut self.app.store.steps)
            .into_iter()
            .take(done)
        {
            self.store_step(step, false);
        }
        self.app.store.last = self.now;
    }

    /// A process that ends in order does all that was asked for; nobody hears of it.
    pub(super) fn finish_store(&mut self) {
        self.app.store.answers.clear();
        for (_, step) in std::mem::take(&mut self.app.store.steps) {
            self.store_step(step, false);
        }
        self.app.store.last = self.now;
    }
}
