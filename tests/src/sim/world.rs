//! Discrete events in virtual time: what is next, and what comes of it.

use std::time::Duration;

use ccs_proto::{ConnectionId, Time};

use super::answers::Answers;
use super::app::App;
use super::devices::Devices;
use super::endpoint::Endpoint;
use super::invariants::{Rule, Violation};
use super::plan::{Plan, What};
use super::seen::Seen;
use super::sender::Sender;
use super::stage::{Due, Stage};

/// Steps of one run, far beyond what any takes that comes to its end.
const STEPS: u64 = 400_000;
/// Rounds without time passing.
const ROUNDS: usize = 20_000;

pub(super) struct World {
    pub(super) stage: Stage,
    pub(super) apps: Vec<App>,
    pub(super) endpoint: Endpoint,
    pub(super) answers: Answers,
    pub(super) devices: Devices,
    steps: u64,
}

/// What came of a run.
pub(super) struct Ran {
    pub(super) violation: Option<Violation>,
    pub(super) seen: Seen,
    pub(super) hash: u64,
    pub(super) steps: u64,
    pub(super) history: Vec<String>,
}

impl World {
    pub(super) fn new(plan: Plan, record: bool) -> Self {
        let senders = 0..plan.settings.senders;
        let stage = Stage::new(plan, record);
        let apps = senders.map(|number| App::new(Sender(number), &stage));
        Self {
            apps: apps.collect(),
            endpoint: Endpoint::new(&stage),
            answers: Answers::default(),
            devices: Devices::default(),
            steps: 0,
            stage,
        }
    }

    /// Runs it to its end, or to the first broken rule.
    pub(super) fn run(mut self) -> Ran {
        for app in &mut self.apps {
            app.starts(&mut self.stage);
        }
        self.pump();
        while self.is_right() && self.stage.has_actions() && self.step(None) {}
        if self.is_right() {
            self.calms_down();
        }
        self.shut_down_last();
        let (seen, violation) = self.stage.findings.take();
        let (hash, history) = self.stage.into_history();
        Ran {
            violation,
            seen,
            hash,
            steps: self.steps,
            history,
        }
    }

    fn shut_down_last(&mut self) {
        let patience = Duration::from_secs(60);
        for app in &mut self.apps {
            app.shut_down_last(&mut self.stage, patience);
        }
        self.pump();
        let end = self.stage.now + patience * 2;
        while self.is_right() && self.is_up() && self.step(Some(end)) {}
        if self.is_right() && self.is_up() {
            let endless = || "the shutdown has no end".to_owned();
            self.stage.findings.broken(Rule::Progress, endless);
        }
    }

    pub(super) fn is_right(&self) -> bool {
        self.stage.findings.is_right()
    }

    fn is_up(&self) -> bool {
        self.apps.iter().any(App::is_up)
    }

    pub(super) fn is_settled(&self) -> bool {
        let acked = |app: &App| self.endpoint.unacked(&app.sender.id()).next().is_none();
        let delivered = self.endpoint.is_idle() && self.devices.are_idle();
        delivered && self.apps.iter().all(|app| app.is_settled() && acked(app))
    }

    /// Goes on to what is next; `false` if there is nothing, or not before `end`.
    pub(super) fn step(&mut self, end: Option<Time>) -> bool {
        let dues = [
            self.stage.next_due(),
            self.endpoint.next_due(),
            self.stage.links.next_arrival(),
        ];
        let apps = self.apps.iter().filter_map(App::next_due);
        let Some(next) = dues.into_iter().flatten().chain(apps).min() else {
            return false;
        };
        if end.is_some_and(|end| next > end) {
            return false;
        }
        self.steps += 1;
        if self.steps > STEPS {
            let endless = || format!("{STEPS} steps and no end");
            self.stage.findings.broken(Rule::Progress, endless);
            return false;
        }
        self.stage.advance(next);
        if let Some(due) = self.stage.take_due() {
            self.happens(due);
        }
        self.endpoint.handle_timeout(self.stage.now);
        for app in &mut self.apps {
            app.fire(&mut self.stage);
        }
        self.pump();
        true
    }

    /// Moves what can be moved, without time passing.
    pub(super) fn pump(&mut self) {
        for _ in 0..ROUNDS {
            if !self.is_right() {
                return;
            }
            let mut moved = self.stage.links.arrive(self.stage.now);
            for app in &mut self.apps {
                moved |= app.run(&mut self.stage);
            }
            moved |= self.run_endpoint();
            if !moved {
                self.stage.links.sweep();
                return;
            }
        }
        let endless = || "never comes to rest".to_owned();
        self.stage.findings.broken(Rule::Progress, endless);
    }

    fn run_endpoint(&mut self) -> bool {
        let opened = self.stage.links.take_opened();
        if !opened.is_empty() {
            self.endpoint_starts();
        }
        for id in opened {
            self.endpoint.connect(self.stage.now, id);
        }
        let mut moved = self.endpoint.run_store(&mut self.stage) | self.listen();
        for id in self.stage.links.ids() {
            moved |= self.endpoint.exchange(&mut self.stage, id) | self.listen();
        }
        if self.endpoint.is_crashing() {
            let span = self.stage.dice(&[14, self.endpoint.life]).millis(0, 20_000);
            self.endpoint_crashes(span);
        }
        moved
    }

    /// Does what the endpoint asks for, and says whether there was anything.
    fn listen(&mut self) -> bool {
        let mut moved = false;
        loop {
            moved |= self.endpoint.listen(&mut self.stage);
            let Some(heard) = self.endpoint.poll() else {
                return moved;
            };
            self.heard(heard);
            moved = true;
        }
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::Act(index) => self.acts(index),
            Due::Answer(number) => self.answers(number),
            Due::App(sender, due) => self.apps[sender.0].happens(&mut self.stage, due),
            Due::Device(device) => self.device_gets(&device),
            Due::Confirmed(life, delivery) => {
                self.endpoint
                    .delivered(self.stage.now, life, delivery, true);
            }
            Due::Post => self.endpoint.submit_posted(self.stage.now),
            Due::EndpointStarts => self.endpoint_starts(),
            Due::EndpointStops(life) => self.endpoint_stops(life),
            Due::Limits(sender) => self.endpoint.limits(&sender.id(), None),
            Due::Stray(connection, stray, id) => self.strays(connection, &stray, &id),
            Due::Drain(id) => self.endpoint.drain(self.stage.now, id),
        }
    }

    fn acts(&mut self, index: usize) {
        let action = self.stage.plan.actions[index].clone();
        self.stage.note(|| format!("-- {action}"));
        match action.what {
            What::Submit(sender, message) => {
                self.apps[sender.0].submit(&mut self.stage, action.number, &message);
            }
            What::Cancel(sender, number) => {
                self.apps[sender.0].cancel(&mut self.stage, number);
            }
            What::Device(sender, device, poison, life) => {
                self.device_sends(device, sender, poison, life);
            }
            What::Reach(device, reach) => self.reaches(device, reach),
            What::Fault(fault) => self.strikes(action.number, fault),
        }
    }

    /// The connection breaks.
    pub(super) fn cut(&mut self, id: ConnectionId) {
        self.stage.note(|| format!("cut {}", id.0));
        let now = self.stage.now;
        if let Some(link) = self.stage.links.get_mut(id) {
            let within = link.up.cut(now) | link.down.cut(now);
            self.apps[link.sender.0].books.cut(id, within);
        }
    }
}
