//! What the endpoint is told to do with what it hears: whom it lets in, and how each message is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use ccs_proto::hub::{Acceptance, Arrival};
use ccs_proto::message::{NackCode, RegistrationToken, Retry};
use ccs_proto::{AuthRequest, ConnectionId, StreamCondition};

use super::bounds::SUBMITS_AGAIN;
use super::devices::SENDER;
use super::dice::word;
use super::endpoint::Heard;
use super::faults::{self, Mood};
use super::invariants::Rule;
use super::plan::Killer;
use super::seen::Sight;
use super::sender::Sender;
use super::stage::Due;
use super::stray::Stray;
use super::world::World;

const DUPLICATE: &str = "Message with the same id has been received before";

/// What is said of a message to a device.
#[derive(Debug)]
enum Answer {
    Accept(Option<RegistrationToken>),
    Nack { code: NackCode, words: &'static str },
}

/// The answers that are under way, and how often each message came.
#[derive(Debug, Default)]
pub(super) struct Answers {
    due: BTreeMap<u64, (Arrival, Answer)>,
    next: u64,
    came: BTreeMap<(Sender, String), u64>,
}

impl Answers {
    /// The endpoint that waits for them is gone.
    pub(super) fn forget(&mut self) {
        self.due.clear();
    }
}

impl World {
    pub(super) fn heard(&mut self, heard: Heard) {
        let findings = &self.stage.findings;
        match heard {
            Heard::Login(request) => self.login(request),
            Heard::Bound(connection) if self.stage.is(&Mood::DrainNew) => {
                let soon = Duration::from_millis(300);
                self.stage.after(soon, Due::Drain(connection));
            }
            Heard::Bound(_) => {}
            Heard::Message(arrival) => {
                if let Some(sender) = self.sender_of(&arrival) {
                    self.takes(sender, arrival);
                }
            }
            Heard::Took {
                connection,
                sender,
                id,
            } => {
                let app = self.apps.iter_mut().find(|app| app.sender.id() == sender);
                if let Some(app) = app {
                    let sender = app.sender;
                    app.books.taken(id.as_str());
                    self.goes_astray(connection, sender, id.as_str());
                }
            }
            Heard::Acked(key) => {
                self.stage
                    .note(|| format!("endpoint has the ack of {key:?}"));
            }
            Heard::ReceiptAcked => findings.see(Sight::ReceiptAcked),
            Heard::Refused(connection, reason) => {
                let stray = reason.contains("not sent over this connection");
                findings.check(!stray, Rule::AckWhereItCame, || {
                    format!("the endpoint refuses an ack on {connection:?}: {reason}")
                });
            }
            Heard::Deliver {
                delivery,
                device,
                message_id,
                message,
            } => self.gives(delivery, device, message_id, message),
            Heard::ComesBack => self.stage.after(SUBMITS_AGAIN, Due::Post),
        }
    }

    /// Seldom, behind an ack, something goes out that nobody should send.
    fn goes_astray(&mut self, connection: ConnectionId, sender: Sender, id: &str) {
        self.answers.next += 1;
        let number = self.answers.next;
        let mut dice = self.stage.dice(&[13, number, sender.word()]);
        if !self.stage.calm
            && let Some(stray) = Stray::of(&mut dice)
        {
            let behind = dice.millis(0, 500);
            let stray = Due::Stray(connection, stray, id.to_owned());
            self.stage.after(behind, stray);
        }
    }

    fn login(&mut self, request: AuthRequest) {
        let connection = request.connection();
        let dialled = self.stage.links.get(connection).map(|link| link.sender);
        let own = dialled.is_some_and(|sender| {
            *request.sender() == sender.id() && request.key().matches(&sender.key())
        });
        self.stage.findings.check(own, Rule::Identity, || {
            format!("{dialled:?} logs in as {}", request.sender())
        });
        let refused = self.stage.is(&Mood::BadLogin);
        if refused {
            self.stage.findings.see(Sight::LoginRefused);
        }
        self.endpoint.login(self.stage.now, request, !refused);
    }

    /// Whose message it is: of whom logged in on that connection, who dialled it, and as its content says.
    fn sender_of(&mut self, arrival: &Arrival) -> Option<Sender> {
        let (login, connection) = (&arrival.sender, arrival.id.connection());
        let dialled = self.stage.links.get(connection).map(|link| link.sender);
        let says = arrival.message.payload().and_then(|data| data.get(SENDER));
        let own = dialled.is_some_and(|sender| sender.id() == *login)
            && says.as_deref() == Some(login.as_str());
        self.stage.findings.check(own, Rule::Identity, || {
            format!("{login} sends what is from {says:?} on a connection of {dialled:?}")
        });
        dialled.filter(|_| own)
    }

    /// A message to a device is here.
    fn takes(&mut self, sender: Sender, arrival: Arrival) {
        let connection = arrival.id.connection();
        let id = arrival.message_id.as_str();
        self.stage.note(|| format!("endpoint has {id} of {sender}"));
        let others = self.apps.iter().filter(|app| app.sender != sender);
        let twin = others.filter_map(|app| app.books.messages.get(id));
        if twin.filter(|twin| twin.taken > 0).count() > 0 {
            self.stage.findings.see(Sight::SameIdOfTwoSenders);
        }
        let books = &mut self.apps[sender.0].books;
        let Some(known) = books.messages.get_mut(id) else {
            return books.broken(Rule::SameId, || format!("{id} is nobody's"));
        };
        if let Some(killer) = known.killer {
            self.endpoint.passes_over(arrival.id);
            return self.dies_of(connection, killer);
        }
        let count = self.answers.came.entry((sender, id.to_owned()));
        let count = *count.and_modify(|count| *count += 1).or_insert(1);
        let name = word(id);
        let mut dice = self.stage.dice(&[12, name, count, sender.word()]);
        let settings = &self.stage.plan.settings;
        let nacked = !self.stage.calm && dice.percent(settings.nacks);
        let delay = dice.millis(0, settings.answers_within);
        let answer = if let Some(code) = self.stage.storm() {
            Answer::Nack { code, words: "" }
        } else if settings.remembers_ids && known.taken > 0 && dice.percent(80) {
            Answer::Nack {
                code: NackCode::InvalidJson,
                words: DUPLICATE,
            }
        } else if nacked {
            let code = faults::code(&mut dice);
            Answer::Nack { code, words: "" }
        } else {
            let other = RegistrationToken::from("phone-new");
            Answer::Accept(dice.percent(5).then_some(other))
        };
        if let Answer::Nack { code, .. } = &answer {
            books.slowed |= matches!(code.retry(), Retry::SlowDown { .. });
            self.stage.findings.see(faults::sight(code));
        }
        self.answers.next += 1;
        let number = self.answers.next;
        if self.stage.is(&Mood::Silence) {
            self.stage.findings.see(Sight::Silence);
            self.endpoint.passes_over(arrival.id);
        } else {
            self.answers.due.insert(number, (arrival, answer));
            self.stage.after(delay, Due::Answer(number));
        }
    }

    fn dies_of(&mut self, connection: ConnectionId, killer: Killer) {
        self.stage.findings.see(Sight::Killer);
        match killer {
            Killer::StreamError => {
                let bad = StreamCondition::InvalidXml;
                self.endpoint.end_with(self.stage.now, connection, bad);
            }
            Killer::Cut => self.cut(connection),
        }
    }

    pub(super) fn answers(&mut self, number: u64) {
        let Some((arrival, answer)) = self.answers.due.remove(&number) else {
            return;
        };
        match answer {
            Answer::Accept(canonical) => {
                let token = RegistrationToken::from(arrival.message.target().to_string().as_str());
                let reach = self.devices.reach_of(token.as_str());
                let mut acceptance = Acceptance::new([(token, reach)]);
                if let Some(canonical) = canonical {
                    acceptance = acceptance.with_canonical(canonical);
                }
                // If the connection is over, it comes again.
                let _ = self.endpoint.accept(self.stage.now, &arrival, acceptance);
            }
            Answer::Nack { code, words } => self.endpoint.refuse(arrival.id, code, words),
        }
    }
}
