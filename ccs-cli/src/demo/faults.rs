//! What goes wrong at the endpoint: as the story says, or as a seed decides.

use std::collections::BTreeMap;
use std::time::Duration;

use ccs_tokio::proto::hub::Arrival;
use ccs_tokio::proto::message::NackCode;
use ccs_tokio::{RegistrationToken, Upstream};

use crate::dice::Dice;

/// Tokens that no phone has.
const BAD_PREFIX: &str = "bad-";
/// How long a random fault puts off an answer, or a message that comes again.
const PUT_OFF: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(60));

/// The name of a fault that is counted.
pub const CUT: &str = "connections cut";

/// What becomes of a message of the app server.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Accept,
    Refuse(NackCode),
    /// Answered when the story says so.
    Hold,
    /// Accepted after a while.
    Late(Duration),
    /// Never answered.
    Silence,
    /// Its connection is cut.
    Cut,
}

/// What the story has asked for, and the seed of random faults while there are any.
#[derive(Debug, Default)]
pub struct Faults {
    holding: bool,
    held: Vec<Arrival>,
    /// How often each phone's messages are still refused for a while.
    busy: BTreeMap<String, u32>,
    /// Messages of phones that come once more after their ack.
    again: Vec<String>,
    seed: Option<u64>,
    /// Arrivals on which a seed has decided.
    decided: u64,
    /// How often each kind of fault happened.
    pub counts: BTreeMap<&'static str, u32>,
}

impl Faults {
    /// Random ones from now on.
    pub fn begin(&mut self, seed: u64) {
        self.seed = Some(seed);
    }

    /// None from now on.
    pub fn end(&mut self) {
        self.seed = None;
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Answers are held back from now on, so that messages stay in flight.
    pub fn hold(&mut self) {
        self.holding = true;
    }

    /// What was held back; from now on nothing is.
    pub fn let_go(&mut self) -> Vec<Arrival> {
        self.holding = false;
        std::mem::take(&mut self.held)
    }

    pub fn keep(&mut self, arrival: Arrival) {
        self.held.push(arrival);
    }

    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// A phone's next messages are refused for a while, so many of them.
    pub fn busy(&mut self, phone: &str, times: u32) {
        self.busy.insert(phone.to_owned(), times);
    }

    /// What phones send under this id comes once more after its ack.
    pub fn repeat(&mut self, id: &str) {
        self.again.push(id.to_owned());
    }

    pub fn fate(&mut self, to: &RegistrationToken) -> Fate {
        if to.as_str().starts_with(BAD_PREFIX) {
            return Fate::Refuse(NackCode::BadRegistration);
        }
        if let Some(times) = self.busy.get_mut(to.as_str())
            && *times > 0
        {
            *times -= 1;
            return Fate::Refuse(NackCode::ServiceUnavailable);
        }
        if self.holding {
            return Fate::Hold;
        }
        let Some(seed) = self.seed else {
            return Fate::Accept;
        };
        self.decided += 1;
        let dice = Dice::new(seed, &format!("message {}", self.decided));
        let (fate, what) = match dice.percent() {
            0..70 => return Fate::Accept,
            70..82 => (Fate::Late(dice.within(PUT_OFF)), "answers that came late"),
            82..96 => {
                let busy = Fate::Refuse(NackCode::ServiceUnavailable);
                (busy, "messages refused for a while")
            }
            96..98 => (Fate::Silence, "messages without an answer"),
            _ => (Fate::Cut, CUT),
        };
        self.count(what);
        fate
    }

    /// How long after its ack a message comes again, if it does.
    pub fn redelivery(&mut self, message: &Upstream, acks: u32) -> Option<Duration> {
        let id = message.message_id().as_str();
        if let Some(at) = self.again.iter().position(|again| again == id) {
            self.again.swap_remove(at);
            return Some(Duration::ZERO);
        }
        let dice = Dice::new(self.seed?, &format!("again {id} {acks}"));
        if !dice.falls_within(10) {
            return None;
        }
        self.count("acked messages that came again");
        Some(dice.within(PUT_OFF))
    }
}
