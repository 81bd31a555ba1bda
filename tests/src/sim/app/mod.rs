//! An app server: a session, its router, its store and the application on top; all but the store is lost in a crash.

mod application;
mod driving;
mod handlers;
mod recorder;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccs_proto::session::{HandlerId, Record, Router, RunId, SessionConfig, SessionFinished};
use ccs_proto::{ConnectionId, Time};

use super::bounds::Backlog;
use super::dice::Dice;
use super::faults::Point;
use super::invariants::{Books, Rule};
use super::plan::Killer;
use super::seen::Sight;
use super::sender::Sender;
use super::settings::Settings;
use super::stage::{AppDue, Due, Stage};
use super::wire::End;
use super::wiretap::Wiretap;
use application::Application;
use handlers::InHand;
use recorder::{Recorder, Replayed};
use store::Store;

pub(super) use store::key_of;

/// How long a handler may take.
pub(super) const HANDLER_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct App {
    pub(super) sender: Sender,
    pub(super) books: Books,
    /// The next crash.
    pub(super) crash_at: Option<Point>,
    /// Which session this is, from 1.
    life: u64,
    /// None while it is down.
    session: Option<Recorder>,
    router: Router,
    runs: BTreeMap<RunId, InHand>,
    store: Store,
    tap: Wiretap,
    application: Application,
    /// Dials so far.
    dials: u64,
    /// By when the last shutdown is done that was asked for.
    down_by: Time,
    /// That is for good.
    ending: bool,
}

impl App {
    pub(super) fn new(sender: Sender, stage: &Stage) -> Self {
        let settings = stage.plan.settings.clone();
        Self {
            sender,
            books: Books::new(sender, settings, stage.findings.clone()),
            crash_at: None,
            life: 0,
            session: None,
            router: Router::new(1, Duration::ZERO),
            runs: BTreeMap::new(),
            store: Store::default(),
            tap: Wiretap::default(),
            application: Application::default(),
            dials: 0,
            down_by: Time::ZERO,
            ending: false,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn happens(&mut self, stage: &mut Stage, due: AppDue) {
        match due {
            AppDue::Starts => self.starts(stage),
            AppDue::Submit => self.submit_waiting(stage),
            AppDue::Dialled(life, dial) if life == self.life => self.dialled(stage, dial),
            AppDue::HandlerEnds(life, run, end) if life == self.life => {
                self.handler_ends(stage, run, end);
            }
            AppDue::Dialled(..) | AppDue::HandlerEnds(..) => {}
        }
    }

    /// It comes up, with what its store has.
    pub(super) fn starts(&mut self, stage: &mut Stage) {
        if self.session.is_some() || self.ending {
            return;
        }
        self.life += 1;
        stage.note(|| format!("{} starts for the {}. time", self.sender, self.life));
        let settings = &stage.plan.settings;
        self.router = Router::new(settings.handlers, HANDLER_PATIENCE);
        self.router.otherwise(HandlerId(1));
        if self.dice(stage, &[3]).percent(70) {
            self.router.on_receipts(HandlerId(2));
        }
        let config = self.config(stage, settings);
        let record = stage.dice(&[41]).percent(15);
        let mut session = Recorder::new(config, stage.now, record);
        for (record, asked) in self.store.records() {
            match &record {
                Record::Downstream(message) => {
                    self.books.message_restored(message.id().as_str());
                }
                _ => self.books.see(Sight::RestoredHandled),
            }
            session.restore(stage.now, stage.now - asked, record);
        }
        self.session = Some(session);
        self.application.full = false;
        self.submit_waiting(stage);
    }

    pub(super) fn config(&self, stage: &Stage, settings: &Settings) -> SessionConfig {
        let mut client = self.sender.client_config();
        client.window = settings.window;
        client.tap = Some(self.tap.tap());
        // The same for all senders: whose an id is does not show in it.
        let prefix = format!("p{}", self.life);
        let seed = self.dice(stage, &[2, self.life]).next();
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

    /// The dice of a thing of this app server.
    fn dice(&self, stage: &Stage, name: &[u64]) -> Dice {
        stage.dice(&[name, &[self.sender.word()]].concat())
    }

    fn after(&self, stage: &mut Stage, span: Duration, due: AppDue) {
        stage.after(span, Due::App(self.sender, due));
    }

    /// Crashes if that was to happen here; says whether it did.
    fn crashes_at(&mut self, stage: &mut Stage, point: Point) -> bool {
        let now = self.crash_at == Some(point) && self.session.is_some();
        if now {
            self.crash_at = None;
            self.books.see(match point {
                Point::Stored => Sight::CrashBetweenStoreAndAck,
                Point::Said => Sight::CrashBetweenHandlerAndStore,
                Point::Acked => Sight::CrashAfterAck,
            });
            self.crashes(stage);
        }
        now
    }

    /// It is gone, with all that its store had not written.
    pub(super) fn crashes(&mut self, stage: &mut Stage) {
        if self.finish_session(stage).is_none() {
            return;
        }
        stage.note(|| format!("{} crashes", self.sender));
        self.store_crashes(stage);
        self.is_gone(stage);
        let down = self.dice(stage, &[4, self.life]).millis(0, 20_000);
        self.after(stage, down, AppDue::Starts);
    }

    pub(super) fn shut_down(&mut self, stage: &mut Stage, patience: Duration) {
        let deadline = stage.now + patience;
        if let Some(session) = &mut self.session {
            session.shutdown(stage.now, deadline);
            self.down_by = deadline;
            stage.note(|| format!("{} shuts down by {deadline:?}", self.sender));
            self.look(stage);
        }
    }

    /// Shuts it down for good.
    pub(super) fn shut_down_last(&mut self, stage: &mut Stage, patience: Duration) {
        self.ending = true;
        self.shut_down(stage, patience);
    }

    /// The session came to its end in order.
    fn ended(&mut self, stage: &mut Stage) {
        let Some(left) = self.finish_session(stage) else {
            return;
        };
        let is_left = |id: &String| left.messages.iter().any(|l| l.message.id().as_str() == id);
        let unsettled = self.books.unsettled();
        let lost: Vec<_> = unsettled.filter(|(id, _)| !is_left(id)).collect();
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
        self.finish_store(stage);
        self.is_gone(stage);
        let down = self.dice(stage, &[6, self.life]).millis(0, 5_000);
        self.after(stage, down, AppDue::Starts);
    }

    /// Takes the session out, and checks that it would have been the same with the bytes in other pieces.
    fn finish_session(&mut self, stage: &Stage) -> Option<SessionFinished> {
        let mut dice = self.dice(stage, &[42, self.life]);
        let (finished, replayed) = self.session.take()?.finish(&mut dice);
        if let Some(Replayed { difference }) = replayed {
            self.books.see(Sight::Replayed);
            self.books.check(difference.is_none(), Rule::AnyPieces, || {
                difference.unwrap_or_default()
            });
        }
        Some(finished)
    }

    fn is_gone(&mut self, stage: &mut Stage) {
        self.runs.clear();
        self.router = Router::new(1, Duration::ZERO);
        self.books.crashes();
        let unsettled = self.books.unsettled();
        let lost: Vec<_> = unsettled.filter(|(_, m)| !m.stored).collect();
        self.books
            .check(lost.is_empty(), Rule::AcceptedIsStored, || {
                format!("accepted, and not in the store after a crash: {lost:?}")
            });
        // What was not accepted is the application's again, unless it is in the store all the same.
        self.books.messages.retain(|_, m| m.accepted || m.stored);
        for id in stage.links.of(self.sender) {
            self.closes(stage, id, End::Reset);
        }
    }

    /// Its end of a connection is closed.
    fn closes(&self, stage: &mut Stage, id: ConnectionId, end: End) {
        stage.links.app_closes(stage.now, id, end);
    }

    /// Nothing is under way.
    pub(super) fn is_settled(&self) -> bool {
        let session = self.session.as_ref();
        self.application.is_idle()
            && self.store.is_idle()
            && session.is_some_and(|session| session.queued() == 0 && session.undone() == 0)
            && self.books.unsettled().next().is_none()
    }

    /// When everything has happened in it that is due at a known time.
    pub(super) fn last_due(&self) -> Time {
        self.down_by.max(self.store.last_due())
    }

    /// Everything that is not done. `unacked`: so much of it is known to the endpoint only, and so much may be poison.
    pub(super) fn backlog(&self, unacked: usize, poisons: usize) -> Backlog {
        let under_way = || self.books.messages.values().filter(|m| m.outcome.is_none());
        let messages = under_way().count() + self.application.waiting();
        let killers = |killer| {
            let sent = under_way().filter(|message| message.killer == Some(killer));
            sent.count() + self.application.waiting_killers(killer)
        };
        let killers = (killers(Killer::StreamError), killers(Killer::Cut));
        let suspects = match killers {
            (0, 0) => under_way().filter(|message| message.is_suspect()).count(),
            _ => messages,
        };
        Backlog {
            messages,
            suspects,
            killers,
            slowed: if self.books.slowed { messages } else { 0 },
            deliveries: unacked + self.session.as_ref().map_or(0, |session| session.undone()),
            poisons,
        }
    }

    pub(super) fn is_bound(&self, id: ConnectionId) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.is_bound(id))
    }

    pub(super) fn what_is_left(&self) -> String {
        format!(
            "unsettled {}, waiting {}, in the session {:?}",
            self.books.unsettled().count(),
            self.application.waiting(),
            self.session.as_ref().map(|s| (s.queued(), s.undone())),
        )
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        let session = self.session.as_ref();
        let dues = [
            session.and_then(|session| session.poll_timeout()),
            self.router.poll_timeout(),
            self.store.next_due(),
        ];
        dues.into_iter().flatten().min()
    }
}
