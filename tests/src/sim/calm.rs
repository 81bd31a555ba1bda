//! What comes after the faults: all that is left is done within a bound, and so is a new backlog over healthy connections.

use std::ops::Range;
use std::time::Duration;

use ccs_proto::Time;
use ccs_proto::message::Upstream;
use ccs_proto::session::SessionConfig;

use super::app::App;
use super::bounds::{Bounds, FRESH_ROUND_TRIP};
use super::devices::Poison;
use super::dice::Dice;
use super::invariants::{Key, Outcome, Rule};
use super::plan::{Killer, Message};
use super::seen::Sight;
use super::sender::Sender;
use super::world::World;

/// The number of the first message that is submitted here, and of the first device.
const FIRST: usize = 1_000_000;
const DEVICES: u64 = 1_000;

/// What is sent to and from one app server, and by when it is done.
struct Trial {
    sender: Sender,
    messages: Range<usize>,
    messages_by: Time,
    deliveries: Vec<Key>,
    deliveries_by: Time,
}

/// What one app server has to bear besides.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Killer(Killer),
    Poison(Poison),
}

impl World {
    /// No more faults: goes on until all is settled, and shows what is possible then.
    pub(super) fn calms_down(&mut self) {
        self.stage.calms_down();
        for app in &mut self.apps {
            app.crash_at = None;
        }
        self.endpoint.crash_at = None;
        for app in &self.apps {
            self.endpoint.limits(&app.sender.id(), None);
        }
        self.endpoint_starts();
        self.all_are_online();
        self.pump();
        let apps = self.apps.iter().map(App::last_due);
        let endpoint = self.endpoint.last_due();
        let known = apps.fold(self.stage.last_due().max(endpoint), Time::max);
        while self.is_right() && !self.is_settled() && self.step(Some(known)) {}
        self.settles();
        let mut dice = self.stage.dice(&[40]);
        if self.is_right() && dice.percent(40) && self.steadies() {
            self.tries(&mut dice);
        }
    }

    fn config(&self, app: &App) -> SessionConfig {
        app.config(&self.stage, &self.stage.plan.settings)
    }

    /// Everything that is left is done within its bound.
    fn settles(&mut self) {
        let bounds = self.apps.iter().map(|app| {
            let sender = app.sender.id();
            let unacked = self.endpoint.unacked(&sender);
            let poison = |message: &&Upstream| Poison::in_message(message).is_some();
            let poisons = self.endpoint.unacked(&sender).filter(poison);
            let config = self.config(app);
            self.bounds(app.sender, &config, true)
                .leftovers(app.backlog(unacked.count(), poisons.count()))
        });
        let bound = bounds.max().unwrap_or_default();
        let end = self.stage.now + bound;
        while self.is_right() && !self.is_settled() && self.step(Some(end)) {}
        for app in &self.apps {
            let unacked = self.endpoint.unacked(&app.sender.id()).count();
            let settled = app.is_settled() && unacked == 0;
            app.books.check(settled, Rule::Progress, || {
                let left = app.what_is_left();
                format!("after {bound:?} without faults {left}, unacked {unacked}")
            });
        }
        let delivered = self.endpoint.is_idle() && self.devices.are_idle();
        self.stage.findings.check(delivered, Rule::Progress, || {
            format!("after {bound:?} without faults something waits for its device")
        });
        self.promises_hold(false);
        self.endpoint.mail.ends_well();
    }

    /// Goes on until every app server has healthy connections only; a row of failed dials is forgotten then.
    fn steadies(&mut self) -> bool {
        let Some(app) = self.apps.first() else {
            return false;
        };
        let config = self.config(app);
        let healthy_after = config.healthy_after;
        let bound = self.bounds(app.sender, &config, true).steadies();
        let end = self.stage.now + bound;
        let mut since = None;
        while self.is_right() {
            let steady = self.apps.iter().all(|app| self.is_steady(app));
            since = since.or(Some(self.stage.now)).filter(|_| steady);
            if since.is_some_and(|since| since + healthy_after < self.stage.now) {
                return true;
            }
            if !self.step(Some(end)) {
                let never = || format!("no healthy connections after {bound:?} without faults");
                self.stage.findings.broken(Rule::Progress, never);
            }
        }
        false
    }

    fn is_steady(&self, app: &App) -> bool {
        let own = self.stage.links.of(app.sender);
        !own.is_empty()
            && own.iter().all(|id| {
                let link = self.stage.links.get(*id);
                link.is_some_and(|link| link.is_whole(self.stage.now))
                    && self.endpoint.is_open(*id)
                    && app.is_bound(*id)
                    && !app.books.is_draining(*id)
            })
    }

    /// A backlog for every app server at once. One of them may have to bear a message that nobody else is to suffer from.
    fn tries(&mut self, dice: &mut Dice) {
        let trouble = match dice.below(8) {
            0 => Some(Trouble::Killer(Killer::StreamError)),
            1 => Some(Trouble::Killer(Killer::Cut)),
            2 | 3 => Some(Trouble::Poison(*dice.pick(&Poison::ALL))),
            _ => None,
        };
        let victim = Sender(dice.index(self.apps.len()));
        self.stage
            .note(|| format!("a new backlog, and for {victim} {trouble:?}"));
        let senders: Vec<Sender> = self.apps.iter().map(|app| app.sender).collect();
        let trials: Vec<Trial> = senders
            .into_iter()
            .map(|sender| self.sends(sender, trouble.filter(|_| sender == victim), dice))
            .collect();
        self.pump();
        let deadlines = trials.iter().flat_map(|trial| {
            let messages = (trial.messages_by, trial, true);
            [messages, (trial.deliveries_by, trial, false)]
        });
        let mut deadlines: Vec<_> = deadlines.collect();
        deadlines.sort_by_key(|(by, _, _)| *by);
        let start = self.stage.now;
        let rule = match trouble {
            Some(_) => Rule::Isolation,
            None => Rule::Progress,
        };
        for (by, trial, messages) in deadlines {
            while self.is_right() && !self.is_done(trial, messages) && self.step(Some(by)) {}
            let done = self.is_done(trial, messages);
            let app = &self.apps[trial.sender.0];
            app.books.check(done, rule, || {
                let left = app.what_is_left();
                format!("{:?} after a new backlog: {left}", by - start)
            });
        }
        self.settles();
    }

    fn sends(&mut self, sender: Sender, trouble: Option<Trouble>, dice: &mut Dice) -> Trial {
        let settings = &self.stage.plan.settings;
        let window = settings.window;
        let count = window * dice.index(3) + dice.index(window + 1);
        let deliveries = dice.index(15);
        let findings = &self.stage.findings;
        if count > window {
            findings.see(Sight::BacklogOfWindows);
        }
        let app = &self.apps[sender.0];
        let config = self.config(app);
        let own = self.stage.links.of(sender);
        let killer = matches!(trouble, Some(Trouble::Killer(_)));
        let dials = killer || own.len() < config.connections;
        let bounds = self.bounds(sender, &config, dials);
        let (mut held_up, mut handlers_held_up) = (Duration::ZERO, Duration::ZERO);
        match trouble {
            Some(Trouble::Killer(killer)) => {
                held_up = bounds.killer(killer, 0);
                handlers_held_up = held_up;
                findings.see(Sight::KillerAmongOthers);
            }
            Some(Trouble::Poison(poison)) => {
                handlers_held_up = bounds.poison(poison);
                if settings.handlers == 1 || settings.upstream_messages == 1 {
                    findings.see(Sight::PoisonHoldsPlace);
                }
            }
            None => {}
        }
        let now = self.stage.now;
        let messages_by = now + bounds.messages(count) + held_up;
        let deliveries_by = now + bounds.deliveries(deliveries) + handlers_held_up;
        let messages = FIRST..FIRST + count;
        let killed = dice.index(count + 1);
        for place in 0..=count {
            if let Some(Trouble::Killer(killer)) = trouble.filter(|_| place == killed) {
                let mut message = Message::small(DEVICES);
                message.killer = Some(killer);
                self.apps[sender.0].submit(&mut self.stage, FIRST - 1, &message);
            }
            if place < count {
                let message = Message::small(DEVICES + dice.below(3));
                self.apps[sender.0].submit(&mut self.stage, FIRST + place, &message);
            }
        }
        if let Some(Trouble::Poison(poison)) = trouble {
            self.device_sends(DEVICES + 3, sender, Some(poison), None);
        }
        let deliveries = (0..deliveries).map(|_| {
            let device = DEVICES + dice.below(3);
            self.device_sends(device, sender, None, None)
        });
        let deliveries = deliveries.collect();
        Trial {
            sender,
            messages,
            messages_by,
            deliveries,
            deliveries_by,
        }
    }

    fn is_done(&self, trial: &Trial, messages: bool) -> bool {
        let app = &self.apps[trial.sender.0];
        if !messages {
            return app.books.has_handled(&trial.deliveries);
        }
        let gives_up = self.stage.plan.settings.give_up_after.is_some();
        trial.messages.clone().all(|number| {
            let outcome = app.outcome_of(number);
            outcome == Some(Outcome::Acked) || gives_up && outcome == Some(Outcome::Dead)
        })
    }

    /// The bounds for one app server, over the connections that it has, and those that it `dials`.
    fn bounds<'a>(&'a self, sender: Sender, config: &'a SessionConfig, dials: bool) -> Bounds<'a> {
        let fresh = if dials {
            FRESH_ROUND_TRIP
        } else {
            Duration::ZERO
        };
        let own = self.stage.links.of(sender);
        let links = own.iter().filter_map(|id| self.stage.links.get(*id));
        let round_trips = links.map(super::links::Link::round_trip);
        Bounds {
            config,
            settings: &self.stage.plan.settings,
            round_trip: round_trips.fold(fresh, Duration::max),
        }
    }
}
