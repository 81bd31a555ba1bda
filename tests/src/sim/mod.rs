//! Whole histories of app servers and an endpoint, made up from a seed, with everything that can go wrong.
//!
//! One seed is one run: one or more app servers, each a [`Session`](ccs_proto::session::Session) with its router and a store;
//! one endpoint, a [`Hub`](ccs_proto::hub::Hub) with its connections and a store, with devices behind it; byte pipes in between; and a plan of what is sent and
//! what goes wrong. Nothing in here reads
//! a clock, starts a thread or depends on the order of a hash map. After every event the rules of
//! [`Rule`] are checked against what went over the wire; then the faults stop, and everything must come to its end.

mod answers;
mod app;
mod bounds;
mod calm;
mod devices;
mod dice;
mod endpoint;
mod faults;
mod invariants;
mod links;
mod plan;
mod scope;
mod seen;
mod sender;
mod settings;
mod shrink;
mod stage;
mod stray;
mod strikes;
mod wire;
mod wiretap;
mod world;

pub use invariants::{Rule, Violation};
pub use scope::{Counterexample, Explored, explore};
pub use seen::{Seen, Sight};

use plan::Plan;
use world::World;

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The first rule that was broken.
    pub violation: Option<Violation>,
    /// What happened in it.
    pub seen: Seen,
    /// One number for everything that happened in it.
    pub hash: u64,
    /// Events.
    pub steps: u64,
    /// Everything that happened, in words, if that was asked for.
    pub history: Vec<String>,
}

/// A run to be made.
#[derive(Debug, Clone)]
pub struct Run {
    plan: Plan,
    record: bool,
}

impl Run {
    /// The run of this seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let plan = Plan::of(seed);
        let record = false;
        Self { plan, record }
    }

    /// The same with these actions of the plan only.
    #[must_use]
    pub fn keeping(mut self, actions: &[usize]) -> Self {
        self.plan = self.plan.keeping(actions);
        self
    }

    /// The same with a history in words.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.record = true;
        self
    }

    /// The same with a bug in the session.
    #[cfg(ccs_planted)]
    #[must_use]
    pub fn with(mut self, bug: ccs_proto::session::Planted) -> Self {
        self.plan.settings.planted = Some(bug);
        self
    }

    /// The same with a bug in the hub.
    #[cfg(ccs_planted)]
    #[must_use]
    pub fn with_hub(mut self, bug: ccs_proto::hub::Planted) -> Self {
        self.plan.settings.planted_in_hub = Some(bug);
        self
    }

    /// The plan's actions, in words.
    pub fn actions(&self) -> impl Iterator<Item = String> {
        self.plan.actions.iter().map(ToString::to_string)
    }

    /// The numbers of the plan's actions.
    #[must_use]
    pub fn numbers(&self) -> Vec<usize> {
        self.plan.numbers()
    }

    /// Makes the run.
    #[must_use]
    pub fn run(&self) -> Report {
        let ran = World::new(self.plan.clone(), self.record).run();
        Report {
            violation: ran.violation,
            seen: ran.seen,
            hash: ran.hash,
            steps: ran.steps,
            history: ran.history,
        }
    }

    /// The shortest run that was found to break the same rule.
    #[must_use]
    pub fn shrunk(&self, rule: Rule) -> Self {
        shrink::shrink(self, rule)
    }
}
