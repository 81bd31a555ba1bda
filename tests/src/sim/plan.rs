//! What a seed stands for: what is sent, and what goes wrong when. A plan is a list, so that a failing one can be made
//! shorter.

use std::fmt;
use std::time::Duration;

use ccs_proto::hub::Reach;

use super::devices::Poison;
use super::dice::Dice;
use super::faults::{Fault, Kind};
use super::sender::Sender;
use super::settings::Settings;

/// One thing that happens at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) at: Duration,
    /// Its name, under which it draws from the dice.
    pub(super) number: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// An application submits a message.
    Submit(Sender, Message),
    /// An application takes back a message that it submitted, the one of this number.
    Cancel(Sender, usize),
    /// A device sends to somebody.
    /// A device sends to somebody, with so many seconds to live.
    Device(Sender, u64, Option<Poison>, Option<u64>),
    /// Whether a device can be reached from now on.
    Reach(u64, Reach),
    Fault(Fault),
}

/// A message to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) device: u64,
    pub(super) time_to_live: Option<Duration>,
    pub(super) own_id: bool,
    pub(super) receipt: bool,
    pub(super) collapse_key: Option<u64>,
    pub(super) waits_while_idle: bool,
    pub(super) killer: Option<Killer>,
}

/// What a message does to the stream that it is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Killer {
    /// The endpoint ends the stream with an error.
    StreamError,
    /// The connection is lost.
    Cut,
}

/// A whole run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) settings: Settings,
    pub(super) actions: Vec<Action>,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, &[1]);
        let settings = Settings::of(&mut dice);
        let span = *dice.pick(&[20, 120, 1_200]);
        let mut whats = Vec::new();
        let whose = |dice: &mut Dice| Sender(dice.index(settings.senders));
        let killers = dice.percent(15);
        let poisons = dice.percent(20);
        let lives = dice.percent(40);
        let cancels = dice.percent(30);
        let keys = dice.percent(30);
        let leaves = dice.percent(50);
        let submits = 3 + dice.index(if settings.window == 100 { 30 } else { 25 });
        for number in 0..submits {
            let at = dice.millis(0, span * 1_000);
            let sender = whose(&mut dice);
            let burst = if dice.percent(8) {
                settings.window + dice.index(settings.window / 2 + 2)
            } else {
                1
            };
            for _ in 0..burst {
                let killer = (killers && dice.percent(6)).then(|| {
                    let cut = dice.percent(30);
                    if cut {
                        Killer::Cut
                    } else {
                        Killer::StreamError
                    }
                });
                let message = Message {
                    device: dice.below(settings.devices),
                    time_to_live: (lives && dice.percent(40))
                        .then(|| Duration::from_secs(*dice.pick(&[0, 5, 60, 3_600]))),
                    own_id: dice.percent(50),
                    receipt: dice.percent(20),
                    collapse_key: (keys && dice.percent(50)).then(|| dice.below(5)),
                    waits_while_idle: dice.percent(10),
                    killer,
                };
                whats.push((at, What::Submit(sender, message)));
            }
            if cancels && dice.percent(10) {
                let later = at + dice.millis(0, 5_000);
                whats.push((later, What::Cancel(sender, number)));
            }
        }
        if settings.window == 100 && dice.percent(25) {
            let at = dice.millis(1_000, span * 1_000);
            let sender = whose(&mut dice);
            for _ in 0..110 {
                let message = Message::small(dice.below(settings.devices));
                whats.push((at, What::Submit(sender, message)));
            }
            let soon = at + dice.millis(100, 2_000);
            whats.push((soon, What::Fault(Fault::Drain)));
        }
        for _ in 0..dice.index(25) {
            let at = dice.millis(0, span * 1_000);
            let burst = if dice.percent(10) {
                1 + dice.index(12)
            } else {
                1
            };
            let sender = whose(&mut dice);
            for _ in 0..burst {
                let device = dice.below(settings.devices);
                let poison = (poisons && dice.percent(5)).then(|| *dice.pick(&Poison::ALL));
                let life = (lives && dice.percent(30)).then(|| *dice.pick(&[0, 5, 60, 3_600]));
                whats.push((at, What::Device(sender, device, poison, life)));
            }
        }
        if leaves {
            for _ in 0..1 + dice.index(12) {
                let at = dice.millis(0, span * 1_000);
                let device = dice.below(settings.devices);
                let reach =
                    *dice.pick(&[Reach::Offline, Reach::Offline, Reach::Idle, Reach::Online]);
                whats.push((at, What::Reach(device, reach)));
            }
        }
        // Few kinds in one run, so that each gets far (swarm testing, Groce et al. 2012).
        let kinds: Vec<Kind> = {
            let all = Kind::ALL.iter().copied();
            let share = *dice.pick(&[0, 5, 15, 40]);
            all.filter(|_| dice.percent(share)).collect()
        };
        if !kinds.is_empty() {
            for _ in 0..1 + dice.index(10) {
                let at = dice.millis(0, span * 1_000);
                let fault = Fault::of(*dice.pick(&kinds), &mut dice);
                whats.push((at, What::Fault(fault)));
            }
        }
        whats.sort_by_key(|(at, _)| *at);
        let actions = whats.into_iter().enumerate();
        let actions = actions.map(|(number, (at, what))| Action { at, number, what });
        Self {
            seed,
            settings,
            actions: actions.collect(),
        }
    }

    /// The same with these actions only.
    pub(super) fn keeping(&self, kept: &[usize]) -> Self {
        let mut plan = self.clone();
        plan.actions.retain(|action| kept.contains(&action.number));
        plan
    }

    pub(super) fn numbers(&self) -> Vec<usize> {
        self.actions.iter().map(|action| action.number).collect()
    }
}

impl Message {
    pub(super) fn small(device: u64) -> Self {
        Self {
            device,
            time_to_live: None,
            own_id: true,
            receipt: false,
            collapse_key: None,
            waits_while_idle: false,
            killer: None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64();
        write!(f, "{:>5}  at {at:.3} s  {:?}", self.number, self.what)
    }
}
