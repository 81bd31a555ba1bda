//! What a driver does for a session: its commands, its bytes, its events; here with a look at all that goes by.

use bytes::BytesMut;
use ccs_proto::ConnectionId;
use ccs_proto::session::{Command, DialFailure, DialId, SessionEvent};

use super::App;
use crate::pair::KEY;
use crate::sim::dice::word;
use crate::sim::faults::{Mood, Point};
use crate::sim::invariants::Rule;
use crate::sim::seen::Sight;
use crate::sim::stage::{AppDue, Stage};
use crate::sim::wire::End;
use crate::sim::wiretap::Stanza;

/// Deadlines in a row that are due at the same moment.
const SAME_MOMENT: u32 = 1_000;

impl App {
    /// Timers.
    pub(in crate::sim) fn fire(&mut self, stage: &mut Stage) {
        let now = stage.now;
        let mut rounds = 0;
        while let Some(session) = &mut self.session
            && session.poll_timeout().is_some_and(|due| due <= now)
        {
            session.handle_timeout(now);
            self.look(stage);
            rounds += 1;
            if rounds > SAME_MOMENT {
                let stays = || "a deadline stays due".to_owned();
                return self.books.broken(Rule::Progress, stays);
            }
            self.run_session(stage);
        }
    }

    /// Does all that can be done now, and says whether there was anything.
    pub(in crate::sim) fn run(&mut self, stage: &mut Stage) -> bool {
        self.run_store(stage) | self.stop_handlers(stage) | self.run_session(stage)
    }

    /// Does what the session asks for and moves its bytes.
    fn run_session(&mut self, stage: &mut Stage) -> bool {
        let mut moved = self.listen(stage);
        for id in stage.links.of(self.sender) {
            moved |= self.carry(stage, id);
            moved |= self.listen(stage);
        }
        moved
    }

    fn carry(&mut self, stage: &mut Stage, id: ConnectionId) -> bool {
        let now = stage.now;
        let (Some(session), Some(link)) = (&mut self.session, stage.links.get_mut(id)) else {
            return false;
        };
        if !link.held {
            return false;
        }
        let mut moved = false;
        let mut out = BytesMut::new();
        if link.up.takes_bytes() && session.poll_transmit(now, id, &mut out) {
            link.up.write(now, out.freeze());
            moved = true;
        } else if session.wants_input(id)
            && let Some(bytes) = link.down.read()
        {
            session.receive(now, id, &bytes);
            moved = true;
        } else if let Some(end) = link.down.read_end() {
            match end {
                End::Eof => session.receive_eof(now, id),
                End::Reset => session.transport_failed(now, id, "reset by peer"),
            }
            moved = true;
        }
        if moved {
            self.look(stage);
        }
        moved
    }

    /// Looks at what went over the wire.
    pub(super) fn look(&mut self, stage: &mut Stage) {
        let mut acked = false;
        for (connection, stanza) in self.tap.take() {
            stage.note(|| format!("{} {stanza:?}", connection.0));
            stage.hash_word(connection.0);
            acked |= matches!(stanza, Stanza::Acked { .. });
            self.books.stanza(connection, stanza);
        }
        if let Some(session) = &self.session {
            let settings = &stage.plan.settings;
            let held = session.queued();
            let most = settings.queue_messages;
            // What the store had from before does not ask for room.
            let books = &mut self.books;
            books.check(held <= most || self.life > 1, Rule::Bounds, || {
                format!("{held} messages queued, of {most}")
            });
            let undone = session.undone();
            let most = settings.upstream_messages;
            books.check(undone <= most, Rule::Bounds, || {
                format!("{undone} deliveries, of {most}")
            });
            if undone == most {
                books.see(Sight::UpstreamFull);
            }
            let remembered = session.remembered();
            let most = settings.remembered_messages;
            books.check(remembered <= most, Rule::Bounds, || {
                format!("{remembered} handled deliveries remembered, of {most}")
            });
        }
        if acked {
            self.crashes_at(stage, Point::Acked);
        }
    }

    fn listen(&mut self, stage: &mut Stage) -> bool {
        let mut moved = false;
        while let Some(session) = &mut self.session {
            if let Some(event) = session.poll_event() {
                self.session_event(stage, &event);
            } else if let Some(command) = session.poll_command() {
                self.obey(stage, command);
            } else if self.router.wants()
                && let Some(delivery) = session.poll_delivery()
            {
                match self.router.start(stage.now, delivery) {
                    Ok(run) => self.handler_starts(stage, run),
                    Err((token, verdict)) => {
                        session.handled(stage.now, token, verdict);
                    }
                }
            } else {
                if session.has_deliveries() {
                    self.books.see(Sight::HandlersAll);
                }
                break;
            }
            moved = true;
            self.look(stage);
        }
        moved
    }

    fn obey(&mut self, stage: &mut Stage, command: Command) {
        match command {
            Command::Dial(dial) => self.dial(stage, dial),
            Command::CancelDial(_) => {}
            Command::Close(id) => {
                stage.note(|| format!("app closes {}", id.0));
                self.books.leaves(id);
                self.closes(stage, id, End::Eof);
            }
            Command::Store { id, record } => self.store(stage, id, record),
            Command::Forget(forgotten) => self.forget(stage, forgotten),
            other => unreachable!("{other:?}"),
        }
    }

    fn dial(&mut self, stage: &mut Stage, dial: DialId) {
        stage.note(|| format!("{}: {dial:?}", self.sender));
        self.books.dials();
        self.dials += 1;
        let mut dice = self.dice(stage, &[5, self.dials]);
        let delay = dice.millis(0, 300);
        if stage.is(&Mood::DialHangs) {
            self.books.see(Sight::DialHung);
        } else {
            self.after(stage, delay, AppDue::Dialled(self.life, dial));
        }
    }

    pub(super) fn dialled(&mut self, stage: &mut Stage, dial: DialId) {
        let failure = if stage.is(&Mood::Refuse) {
            self.books.see(Sight::DialRefused);
            Some(DialFailure::Unreachable("refused".to_owned()))
        } else if stage.is(&Mood::BadTls) {
            self.books.see(Sight::DialTls);
            Some(DialFailure::Tls("unknown issuer".to_owned()))
        } else {
            None
        };
        let Some(session) = &mut self.session else {
            return;
        };
        if let Some(failure) = failure {
            session.dial_failed(stage.now, dial, failure);
            return self.look(stage);
        }
        let id = stage.links.fresh_id();
        if session.dialled(stage.now, dial, id).is_ok() {
            stage.note(|| format!("connection {} of {}", id.0, self.sender));
            self.books.connects(id);
            let link = stage.links.open(id, self.sender, !stage.calm);
            if link.up.cuts_writes() || link.down.cuts_writes() {
                self.books.see(Sight::Rechunked);
            }
        }
        self.look(stage);
    }

    fn session_event(&mut self, stage: &mut Stage, event: &SessionEvent) {
        stage.note(|| format!("{}: {event:?}", self.sender));
        self.books.event(event);
        if stage.plan.seed.is_multiple_of(16) {
            let words = format!("{event:?}");
            self.books.check(!words.contains(KEY), Rule::Secret, || {
                "the key in an event".to_owned()
            });
        }
        match event {
            SessionEvent::NotStored { message } => self.comes_back(stage, message),
            SessionEvent::Room => self.has_room(stage),
            SessionEvent::Settled { id, .. } => stage.hash_word(word(id.as_str())),
            SessionEvent::TokenReplaced { .. } => self.books.see(Sight::Canonical),
            SessionEvent::Duplicate { key } => {
                let key = (key.from().to_owned(), key.message_id().to_owned());
                let handled = self.books.deliveries.get(&key).is_some_and(|d| d.stored);
                self.books.see(if handled {
                    Sight::KnownCopy
                } else {
                    Sight::JoinedCopy
                });
            }
            SessionEvent::Ended => self.ended(stage),
            _ => {}
        }
    }
}
