//! The application on top of a session: it submits messages, keeps what is not taken, and takes some of them back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ccs_proto::message::{Downstream, EncodedDownstream};
use ccs_proto::session::SubmitError;

use super::App;
use crate::sim::devices::SENDER;
use crate::sim::invariants::Outcome;
use crate::sim::plan::{Killer, Message};
use crate::sim::seen::Sight;
use crate::sim::stage::{AppDue, Stage};

/// A message that the session did not take yet.
#[derive(Debug)]
struct Waiting {
    number: usize,
    message: Downstream,
    killer: Option<Killer>,
}

#[derive(Debug, Default)]
pub(super) struct Application {
    backlog: VecDeque<Waiting>,
    /// The session has said that it is full.
    pub(super) full: bool,
    /// The ids of messages by the numbers of their submission.
    ids: BTreeMap<usize, String>,
    killers: BTreeMap<usize, Killer>,
    /// Ids that it chose itself, so many.
    own_ids: u64,
}

impl Application {
    pub(super) fn is_idle(&self) -> bool {
        self.backlog.is_empty()
    }

    pub(super) fn waiting_killers(&self, killer: Killer) -> usize {
        let waiting = self.backlog.iter();
        waiting.filter(|w| w.killer == Some(killer)).count()
    }

    pub(super) fn waiting(&self) -> usize {
        self.backlog.len()
    }
}

impl App {
    pub(in crate::sim) fn submit(&mut self, stage: &mut Stage, number: usize, message: &Message) {
        let mut downstream = Downstream::to(format!("phone-{}", message.device).as_str())
            .data("n", number.to_string())
            .data(SENDER, self.sender.id().as_str())
            .receipt_requested(message.receipt);
        if let Some(key) = message.collapse_key {
            downstream = downstream.collapse_key(format!("k{key}"));
        }
        if message.waits_while_idle {
            downstream = downstream.delay_while_idle(true);
        }
        if let Some(life) = message.time_to_live {
            downstream = downstream.time_to_live(life);
        }
        if message.own_id {
            self.application.own_ids += 1;
            downstream = downstream.id(format!("m{}", self.application.own_ids).as_str());
        }
        if let Some(killer) = message.killer {
            self.application.killers.insert(number, killer);
        }
        self.application.backlog.push_back(Waiting {
            number,
            message: downstream,
            killer: message.killer,
        });
        self.submit_waiting(stage);
    }

    /// Gives the session what it did not take before.
    pub(super) fn submit_waiting(&mut self, stage: &mut Stage) {
        while let Some(session) = &mut self.session
            && !self.application.full
            && let Some(waiting) = self.application.backlog.pop_front()
        {
            let Waiting {
                number,
                message,
                killer,
            } = waiting;
            let life = message.kept_for();
            let back = |message: Box<Downstream>| Waiting {
                number,
                message: *message,
                killer,
            };
            match session.submit(stage.now, message) {
                Ok(id) => {
                    let id = id.to_string();
                    stage.note(|| format!("{} submitted {id}", self.sender));
                    self.books.submitted(&id, life, killer);
                    self.application.ids.insert(number, id);
                }
                Err(SubmitError::Full(message)) => {
                    self.books.see(Sight::Full);
                    self.application.full = true;
                    self.application.backlog.push_front(back(message));
                }
                Err(SubmitError::ShuttingDown(message)) => {
                    self.application.backlog.push_front(back(message));
                    return;
                }
                // It is in the store all the same, from before a crash.
                Err(SubmitError::Duplicate(_)) => {}
                Err(error) => unreachable!("{error}"),
            }
        }
        self.look(stage);
    }

    /// A message came back that could not be stored: it is submitted again a little later.
    pub(super) fn comes_back(&mut self, stage: &mut Stage, message: &EncodedDownstream) {
        let id = message.id().as_str();
        let mut ids = self.application.ids.iter();
        let number = ids.find(|(_, known)| *known == id);
        let number = number.map(|(number, _)| *number).unwrap_or_default();
        self.application.backlog.push_back(Waiting {
            number,
            message: message.message().clone(),
            killer: self.application.killers.get(&number).copied(),
        });
        self.after(stage, Duration::from_secs(1), AppDue::Submit);
    }

    /// There is room again.
    pub(super) fn has_room(&mut self, stage: &mut Stage) {
        self.books.see(Sight::Room);
        self.application.full = false;
        self.submit_waiting(stage);
    }

    /// What became of the message of this number, if that is known.
    pub(in crate::sim) fn outcome_of(&self, number: usize) -> Option<Outcome> {
        let id = self.application.ids.get(&number)?;
        self.books.messages.get(id)?.outcome
    }

    pub(in crate::sim) fn cancel(&mut self, stage: &mut Stage, number: usize) {
        if let Some(session) = &mut self.session
            && let Some(id) = self.application.ids.get(&number)
            && session.cancel(stage.now, &id.as_str().into()).is_some()
        {
            stage.note(|| format!("{} cancelled {id}", self.sender));
            self.books.cancelled(id);
        }
        self.look(stage);
    }
}
