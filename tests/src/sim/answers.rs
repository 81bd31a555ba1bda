//! What the endpoint is told to do with what it hears: whom it lets in, and how each message is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use ccs_proto::message::{Downstream, NackCode, RegistrationToken, Retry, SenderId};
use ccs_proto::{AnswerToken, AuthRequest, ConnectionId, StreamCondition};

use super::devices::SENDER;
use super::dice::word;
use super::endpoint::{Answer, Heard};
use super::faults::{self, Mood};
use super::invariants::Rule;
use super::plan::Killer;
use super::seen::Sight;
use super::sender::Sender;
use super::stage::Due;
use super::stray::Stray;
use super::world::World;

const DUPLICATE: &str = "Message with the same id has been received before";

/// The answers that are under way, and how often each message came.
#[derive(Debug, Default)]
pub(super) struct Answers {
    due: BTreeMap<u64, UnderWay>,
    next: u64,
    came: BTreeMap<(Sender, String), u64>,
}

#[derive(Debug)]
struct UnderWay {
    token: AnswerToken,
    answer: Answer,
    /// What goes out behind it, of the message of this id.
    stray: Option<(Stray, String)>,
}

impl World {
    pub(super) fn heard(&mut self, connection: ConnectionId, heard: Heard) {
        let findings = &self.stage.findings;
        match heard {
            Heard::Login(request) => self.login(connection, request),
            Heard::Bound if self.stage.is(&Mood::DrainNew) => {
                let soon = Duration::from_millis(300);
                self.stage.after(soon, Due::Drain(connection));
            }
            Heard::Bound => {}
            Heard::Message {
                sender,
                id,
                message,
                token,
            } => {
                if let Some(sender) = self.sender_of(connection, &sender, &message) {
                    self.takes(connection, sender, id.as_str(), &message, token);
                }
            }
            Heard::Acked(key) => {
                self.stage
                    .note(|| format!("endpoint has the ack of {key:?}"));
            }
            Heard::ReceiptAcked => findings.see(Sight::ReceiptAcked),
            Heard::Refused(reason) => {
                let stray = reason.contains("not sent over this connection");
                findings.check(!stray, Rule::AckWhereItCame, || {
                    format!("the endpoint refuses an ack on {connection:?}: {reason}")
                });
            }
        }
    }

    fn login(&mut self, connection: ConnectionId, request: AuthRequest) {
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
    fn sender_of(
        &mut self,
        connection: ConnectionId,
        login: &SenderId,
        message: &Downstream,
    ) -> Option<Sender> {
        let dialled = self.stage.links.get(connection).map(|link| link.sender);
        let says = message.payload().and_then(|data| data.get(SENDER));
        let own = dialled.is_some_and(|sender| sender.id() == *login)
            && says.as_deref() == Some(login.as_str());
        self.stage.findings.check(own, Rule::Identity, || {
            format!("{login} sends what is from {says:?} on a connection of {dialled:?}")
        });
        dialled.filter(|_| own)
    }

    /// A message to a device is here.
    fn takes(
        &mut self,
        connection: ConnectionId,
        sender: Sender,
        id: &str,
        message: &Downstream,
        token: AnswerToken,
    ) {
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
            known.taken += 1;
            if message.wants_receipt() {
                let due = dice.millis(0, 3_000);
                let (id, device) = (id.to_owned(), message.target().to_string());
                self.stage.after(due, Due::Receipt(sender, id, device));
            }
            let other = RegistrationToken::from("phone-new");
            Answer::Ack(dice.percent(5).then_some(other))
        };
        if let Answer::Nack { code, .. } = &answer {
            books.slowed |= matches!(code.retry(), Retry::SlowDown { .. });
            self.stage.findings.see(faults::sight(code));
        }
        let acks = !self.stage.calm && matches!(answer, Answer::Ack(_));
        let stray = acks.then(|| Stray::of(&mut dice)).flatten();
        self.answers.next += 1;
        let number = self.answers.next;
        let under_way = UnderWay {
            token,
            answer,
            stray: stray.map(|stray| (stray, id.to_owned())),
        };
        self.answers.due.insert(number, under_way);
        if self.stage.is(&Mood::Silence) {
            self.stage.findings.see(Sight::Silence);
        } else {
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
        let Some(under_way) = self.answers.due.remove(&number) else {
            return;
        };
        if let Some((stray, id)) = under_way.stray {
            let connection = under_way.token.connection();
            let behind = self.stage.dice(&[13, number]).millis(0, 500);
            self.stage.after(behind, Due::Stray(connection, stray, id));
        }
        self.endpoint.answer(under_way.token, under_way.answer);
    }
}
