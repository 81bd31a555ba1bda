//! What goes wrong, and when: a file says so, and a seed decides what it leaves open.
//!
//! What happens to a message depends on the seed, the rule, the token and how many messages for that token came before,
//! and on nothing else: not on how messages for other tokens lie in between. So a run can be made again.

mod file;
mod pattern;

use std::path::Path;
use std::time::Duration;

use ccs_tokio::proto::Time;
use ccs_tokio::{RegistrationToken, Upstream};

pub use file::{Answer, ScenarioError};

use super::quirk::Memory;
use crate::dice::Dice;
use file::{File, Redeliver, Rule};

/// A scenario, and how far it has come.
#[derive(Debug)]
pub struct Scenario {
    file: File,
    /// The first login, from which all times count.
    started: Option<Time>,
    /// How many of `file.at` were done.
    done: usize,
    messages: Memory<(usize, RegistrationToken), Past>,
    redelivered: Memory<(usize, RegistrationToken), Past>,
}

/// What happened with a rule and a token so far.
#[derive(Debug, Default)]
struct Past {
    messages: u64,
    hits: u64,
    /// A second since the first login, and how many messages came in it.
    second: (u64, u64),
}

/// What a rule says to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// How long nothing happens.
    pub delay: Duration,
    /// What the answer is then; `None` as without the rule.
    pub answer: Option<Answer>,
}

impl Scenario {
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        Ok(Self::new(File::read(path)?))
    }

    fn new(file: File) -> Self {
        Self {
            file,
            started: None,
            done: 0,
            messages: Memory::default(),
            redelivered: Memory::default(),
        }
    }

    /// Part of the ids that the endpoint makes up, so that they are the same each time.
    pub fn seed(&self) -> u64 {
        self.file.seed
    }

    /// An app server has logged in; the first one starts the clock.
    pub fn login(&mut self, now: Time) {
        self.started.get_or_insert(now);
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Time> {
        let at = self.file.at.get(self.done)?;
        Some(self.started? + at.time)
    }

    /// When the endpoint ends by itself.
    pub fn end(&self) -> Option<Time> {
        Some(self.started? + self.file.end?)
    }

    /// The next thing that is due, as a line of stdin.
    pub fn take_due(&mut self, now: Time) -> Option<String> {
        if self.next_due()? > now {
            return None;
        }
        let at = self.file.at.get(self.done)?;
        self.done += 1;
        Some(at.line.clone())
    }

    /// What becomes of a message for this token: the first rule that is for it says so.
    pub fn fate(&mut self, now: Time, token: &RegistrationToken) -> Option<Fate> {
        let since = self.started.map_or(Duration::ZERO, |started| now - started);
        let seed = self.file.seed;
        let mut fate = None;
        // Every rule counts every message that it could be for, so that the dice do not depend on the rules before it.
        for (number, rule) in self.file.rule.iter().enumerate() {
            if !rule.to.matches(token.as_str()) {
                continue;
            }
            let past = self.messages.of((number, token.clone()));
            past.messages += 1;
            if past.second.0 != since.as_secs() {
                past.second = (since.as_secs(), 0);
            }
            past.second.1 += 1;
            let about = format!("message {number} {} {token}", past.messages);
            let dice = Dice::new(seed, &about);
            if fate.is_none() && rule.is_for(since, past, &dice) {
                past.hits += 1;
                fate = Some(Fate {
                    delay: dice.within(rule.delay),
                    answer: rule.answer.clone(),
                });
            }
        }
        fate
    }

    /// How long after its ack a message comes once more, if it does.
    pub fn redelivery(&mut self, message: &Upstream) -> Option<Duration> {
        let from = message.from();
        let seed = self.file.seed;
        let mut rules = self.file.redeliver.iter().enumerate();
        let (number, rule) = rules.find(|(_, rule)| rule.from.matches(from.as_str()))?;
        let past = self.redelivered.of((number, from.clone()));
        past.messages += 1;
        let about = format!("redelivery {number} {} {from}", past.messages);
        let dice = Dice::new(seed, &about);
        let Redeliver {
            percent,
            times,
            after,
            ..
        } = rule;
        if times.is_some_and(|times| past.hits >= times) || !dice.falls_within(*percent) {
            return None;
        }
        past.hits += 1;
        Some(*after)
    }
}

impl Rule {
    fn is_for(&self, since: Duration, past: &Past, dice: &Dice) -> bool {
        self.from <= since
            && self.until.is_none_or(|until| since < until)
            && self.times.is_none_or(|times| past.hits < times)
            && self
                .above_per_second
                .is_none_or(|most| past.second.1 > most)
            && dice.falls_within(self.percent)
    }
}

#[cfg(test)]
#[path = "scenario_tests.rs"]
mod tests;
