//! The app server: a session, its router, its store and the application on top; all but the store is lost in a crash.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ccs_proto::message::Downstream;
use ccs_proto::session::{HandlerId, Router, RunId, Session, SessionConfig, SubmitError};
use ccs_proto::{ClientConfig, ConnectionId, Time};

use super::dice::Dice;
use super::handlers::InHand;
use super::invariants::Rule;
use super::plan::{Killer, Message, Settings};
use super::seen::Sight;
use super::store::Store;
use super::wire::End;
use super::wiretap::Wiretap;
use super::world::{Due, World};
use crate::pair::client_config;

/// A message that the session did not take yet, and under which number the application knows it.
type Waiting = (usize, Downstream, Option<Killer>);

#[derive(Debug)]
pub(super) struct App {
    /// Which session this is, from 1.
    pub(super) life: u64,
    /// None while it is down.
    pub(super) session: Option<Session>,
    pub(super) router: Router,
    pub(super) runs: BTreeMap<RunId, InHand>,
    pub(super) store: Store,
    pub(super) tap: Wiretap,
    pub(super) backlog: VecDeque<Waiting>,
    /// The session has said that it is full.
    pub(super) full: bool,
    /// The ids of messages by the numbers of their submission.
    pub(super) ids: BTreeMap<usize, String>,
    /// Dials so far.
    pub(super) dials: u64,
}

impl App {
    pub(super) fn new() -> Self {
        Self {
            life: 0,
            session: None,
            router: Router::new(1, Duration::ZERO),
            runs: BTreeMap::new(),
            store: Store::default(),
            tap: Wiretap::default(),
            backlog: VecDeque::new(),
            full: false,
            ids: BTreeMap::new(),
            dials: 0,
        }
    }

    fn config(&self, seed: u64, settings: &Settings) -> SessionConfig {
        let mut client: ClientConfig = client_config();
        client.window = settings.window;
        client.tap = Some(self.tap.tap());
        let prefix = format!("p{}", self.life);
        let seed = Dice::of(seed, &[2, self.life]).next();
        let mut config = SessionConfig::new(Arc::new(client), prefix, seed);
        config.connections = settings.connections;
        config.draining_connections = settings.draining_connections;
        config.attempts = settings.attempts;
        config.give_up_after = settings.give_up_after;
        config.queue_messages = settings.queue_messages;
        config.upstream_messages = settings.upstream_messages;
        config.remembered_messages = settings.remembered_messages;
        #[cfg(ccs_planted)]
        {
            config.planted = settings.planted;
        }
        config
    }
}

impl World {
    /// The app server comes up, with what its store has.
    pub(super) fn app_starts(&mut self) {
        if self.app.session.is_some() {
            return;
        }
        self.app.life += 1;
        let life = self.app.life;
        self.note(|| format!("app server {life} starts"));
        let settings = &self.plan.settings;
        let config = self.app.config(self.plan.seed, settings);
        let mut router = Router::new(settings.handlers, Duration::from_secs(30));
        router.otherwise(HandlerId(1));
        if Dice::of(self.plan.seed, &[3]).percent(70) {
            router.on_receipts(HandlerId(2));
        }
        self.app.router = router;
        let mut session = Session::new(config, self.now);
        for (record, asked) in self.app.store.records() {
            match &record {
                ccs_proto::session::Record::Downstream(message) => {
                    self.books.message_restored(message.id().as_str());
                }
                _ => self.books.see(Sight::RestoredHandled),
            }
            session.restore(self.now, self.now - asked, record);
        }
        self.app.session = Some(session);
        self.app.full = false;
        self.submit_waiting();
    }

    /// The app server is gone, with all that its store had not written.
    pub(super) fn app_crashes(&mut self) {
        if self.app.session.take().is_none() {
            return;
        }
        let life = self.app.life;
        self.note(|| format!("app server {life} crashes"));
        self.store_crashes(life);
        self.app_is_gone();
        let mut dice = Dice::of(self.plan.seed, &[4, life]);
        self.after(dice.millis(0, 20_000), Due::AppStarts);
    }

    fn app_is_gone(&mut self) {
        self.app.runs.clear();
        self.app.router = Router::new(1, Duration::ZERO);
        self.books.crashes();
        let lost: Vec<String> = self
            .books
            .messages
            .iter()
            .filter(|(_, m)| m.accepted && m.outcome.is_none() && !m.stored)
            .map(|(id, _)| id.clone())
            .collect();
        self.books
            .check(lost.is_empty(), Rule::AcceptedIsStored, || {
                format!("accepted, and not in the store after a crash: {lost:?}")
            });
        // What was not accepted is the application's again, unless it is in the store all the same.
        self.books.messages.retain(|_, m| m.accepted || m.stored);
        let ids: Vec<ConnectionId> = self.links.keys().copied().collect();
        for id in ids {
            self.app_closes(id, End::Reset);
        }
    }

    /// The app server's end of a connection is closed.
    pub(super) fn app_closes(&mut self, id: ConnectionId, end: End) {
        let now = self.now;
        if let Some(link) = self.links.get_mut(&id)
            && std::mem::replace(&mut link.held, false)
        {
            link.up.finish(now, end);
            link.down.swallow();
        }
    }

    pub(super) fn submit(&mut self, number: usize, message: &Message) {
        let mut downstream = Downstream::to(format!("phone-{}", message.device).as_str())
            .data("n", number.to_string())
            .receipt_requested(message.receipt);
        if let Some(life) = message.time_to_live {
            downstream = downstream.time_to_live(life);
        }
        if message.own_id {
            downstream = downstream.id(format!("m{number}").as_str());
        }
        let waiting = (number, downstream, message.killer);
        self.app.backlog.push_back(waiting);
        self.submit_waiting();
    }

    /// Gives the session what it did not take before.
    pub(super) fn submit_waiting(&mut self) {
        while let Some(session) = &mut self.app.session
            && !self.app.full
            && let Some((number, message, killer)) = self.app.backlog.pop_front()
        {
            let life = message.kept_for();
            match session.submit(self.now, message) {
                Ok(id) => {
                    let id = id.to_string();
                    self.note(|| format!("submitted {id}"));
                    self.books.submitted(&id, life, killer);
                    self.app.ids.insert(number, id);
                }
                Err(SubmitError::Full(message)) => {
                    self.books.see(Sight::Full);
                    self.app.full = true;
                    self.app.backlog.push_front((number, *message, killer));
                }
                Err(SubmitError::ShuttingDown(message)) => {
                    self.app.backlog.push_front((number, *message, killer));
                    return;
                }
                // It is in the store all the same, from before a crash.
                Err(SubmitError::Duplicate(_)) => {}
                Err(error) => unreachable!("{error}"),
            }
        }
        self.look();
    }

    pub(super) fn cancel(&mut self, number: usize) {
        if let Some(session) = &mut self.app.session
            && let Some(id) = self.app.ids.get(&number)
            && session.cancel(self.now, &id.as_str().into()).is_some()
        {
            let id = id.clone();
            self.note(|| format!("cancelled {id}"));
            self.books.cancelled(&id);
        }
        self.look();
    }

    pub(super) fn shut_down(&mut self, patience: Duration) {
        let deadline = self.now + patience;
        if let Some(session) = &mut self.app.session {
            session.shutdown(self.now, deadline);
            self.note(|| format!("shutdown by {deadline:?}"));
            self.look();
        }
    }

    /// The session came to its end in order.
    pub(super) fn app_ended(&mut self) {
        let Some(session) = self.app.session.take() else {
            return;
        };
        let left = session.finish();
        let is_left = |id: &String| left.messages.iter().any(|l| l.message.id().as_str() == id);
        let lost: Vec<String> = self
            .books
            .messages
            .iter()
            .filter(|(id, m)| m.accepted && m.outcome.is_none() && !is_left(id))
            .map(|(id, _)| id.clone())
            .collect();
        self.books.check(lost.is_empty(), Rule::NoLoss, || {
            format!("neither settled nor left at the end: {lost:?}")
        });
        let early = !left.messages.is_empty();
        self.books.see(if early {
            Sight::AppRestartEarly
        } else {
            Sight::AppRestart
        });
        // A process that ends in order lets its store finish.
        let life = self.app.life;
        self.finish_store();
        self.app_is_gone();
        let mut dice = Dice::of(self.plan.seed, &[6, life]);
        if self.ending {
            return;
        }
        self.after(dice.millis(0, 5_000), Due::AppStarts);
    }

    /// Accepted messages that have no outcome.
    pub(super) fn unsettled(&self) -> usize {
        let messages = self.books.messages.values();
        messages
            .filter(|m| m.accepted && m.outcome.is_none())
            .count()
    }

    pub(super) fn app_due(&self) -> Option<Time> {
        let session = self.app.session.as_ref();
        let dues = [
            session.and_then(Session::poll_timeout),
            self.app.router.poll_timeout(),
            self.app.store.next_due(),
        ];
        dues.into_iter().flatten().min()
    }
}
