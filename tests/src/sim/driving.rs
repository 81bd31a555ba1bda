//! What a driver does for a session: its commands, its bytes, its events; here with a look at all that goes by.

use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::session::{Command, DialFailure, DialId, SessionEvent};
use ccs_proto::{ConnectionId, TransportSecurity};

use super::dice::{Dice, word};
use super::faults::{Mood, Point};
use super::invariants::Rule;
use super::seen::Sight;
use super::wire::End;
use super::wiretap::Stanza;
use super::world::{Due, World};
use crate::pair::KEY;

impl World {
    /// Does what the session asks for and moves its bytes, and says whether there was anything.
    pub(super) fn run_app(&mut self) -> bool {
        let mut moved = self.listen();
        let ids: Vec<ConnectionId> = self.links.keys().copied().collect();
        for id in ids {
            moved |= self.carry(id);
            moved |= self.listen();
        }
        moved
    }

    fn carry(&mut self, id: ConnectionId) -> bool {
        let now = self.now;
        let (Some(session), Some(link)) = (&mut self.app.session, self.links.get_mut(&id)) else {
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
            self.look();
        }
        moved
    }

    /// Looks at what went over the wire.
    pub(super) fn look(&mut self) {
        let mut acked = false;
        for (connection, stanza) in self.app.tap.take() {
            self.note(|| format!("{} {stanza:?}", connection.0));
            self.hash_word(connection.0);
            acked |= matches!(stanza, Stanza::Acked { .. });
            self.books.stanza(connection, stanza);
        }
        if let Some(session) = &self.app.session {
            let settings = &self.plan.settings;
            let held = session.queued();
            let most = settings.queue_messages;
            // What the store had from before does not ask for room.
            let books = &mut self.books;
            books.check(held <= most || self.app.life > 1, Rule::Bounds, || {
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
            self.crashes_at(Point::Acked);
        }
    }

    fn listen(&mut self) -> bool {
        let mut moved = false;
        while let Some(session) = &mut self.app.session {
            if let Some(event) = session.poll_event() {
                self.session_event(&event);
            } else if let Some(command) = session.poll_command() {
                self.obey(command);
            } else if self.app.router.wants()
                && let Some(delivery) = session.poll_delivery()
            {
                match self.app.router.start(self.now, delivery) {
                    Ok(run) => self.handler_starts(run),
                    Err((token, verdict)) => {
                        let _ = session.handled(self.now, token, verdict);
                    }
                }
            } else {
                if session.has_deliveries() {
                    self.books.see(Sight::HandlersAll);
                }
                break;
            }
            moved = true;
            self.look();
        }
        moved
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Dial(dial) => self.dial(dial),
            Command::CancelDial(_) => {}
            Command::Close(id) => {
                self.note(|| format!("app closes {}", id.0));
                self.books.leaves(id);
                self.app_closes(id, End::Eof);
            }
            Command::Store { id, record } => self.store(id, record),
            Command::Forget(forgotten) => self.forget(forgotten),
            other => unreachable!("{other:?}"),
        }
    }

    fn dial(&mut self, dial: DialId) {
        self.note(|| format!("{dial:?}"));
        self.books.dials();
        self.app.dials += 1;
        let mut dice = Dice::of(self.plan.seed, &[5, self.app.dials]);
        let delay = dice.millis(0, 300);
        if self.is(&Mood::DialHangs) {
            self.books.see(Sight::DialHung);
        } else {
            self.after(delay, Due::Dialled(self.app.life, dial));
        }
    }

    pub(super) fn dialled(&mut self, dial: DialId) {
        let failure = if self.is(&Mood::Refuse) {
            self.books.see(Sight::DialRefused);
            Some(DialFailure::Unreachable("refused".to_owned()))
        } else if self.is(&Mood::BadTls) {
            self.books.see(Sight::DialTls);
            Some(DialFailure::Tls("unknown issuer".to_owned()))
        } else {
            None
        };
        let Some(session) = &mut self.app.session else {
            return;
        };
        if let Some(failure) = failure {
            session.dial_failed(self.now, dial, failure);
            return self.look();
        }
        self.next_connection += 1;
        let id = ConnectionId(self.next_connection);
        let tls = TransportSecurity::VerifiedTls;
        if session.dialled(self.now, dial, id, tls).is_ok() {
            self.note(|| format!("connection {}", id.0));
            self.books.connects(id);
            self.open(id);
        }
        self.look();
    }

    fn session_event(&mut self, event: &SessionEvent) {
        self.note(|| format!("{event:?}"));
        self.books.event(event);
        if self.plan.seed.is_multiple_of(16) {
            let words = format!("{event:?}");
            self.books.check(!words.contains(KEY), Rule::Secret, || {
                "the key in an event".to_owned()
            });
        }
        match event {
            SessionEvent::NotStored { message } => {
                let number = self
                    .app
                    .ids
                    .iter()
                    .find(|(_, id)| *id == message.id().as_str());
                let number = number.map(|(number, _)| *number).unwrap_or_default();
                let killer = self.plan_killer(number);
                let again = message.message().clone();
                self.app.backlog.push_back((number, again, killer));
                self.after(Duration::from_secs(1), Due::Submit);
            }
            SessionEvent::Room => {
                self.books.see(Sight::Room);
                self.app.full = false;
                self.submit_waiting();
            }
            SessionEvent::Settled { id, .. } => self.hash_word(word(id.as_str())),
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
            SessionEvent::Ended => self.app_ended(),
            _ => {}
        }
    }
}
