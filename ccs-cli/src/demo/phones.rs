//! The phones: what they sent and got. Whatever is counted at the end is counted here.

use std::collections::{BTreeMap, BTreeSet};

use ccs_tokio::proto::message::RegistrationToken;
use ccs_tokio::{Data, Downstream, MessageId, Upstream};

/// The payload key whose value is counted.
pub const CONTENT: &str = "content";
/// The payload key that says which handler a message is for.
pub const ACTION: &str = "action";
/// The payload key that says which phone a message is passed on to.
pub const RECIPIENT: &str = "recipient";

/// What a phone wants of the app server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// To be known, and welcomed.
    Register,
    /// To get it back.
    Echo,
    /// That another phone gets it.
    Message,
    /// What no handler can do.
    Poison,
}

impl Action {
    pub const ALL: [Self; 4] = [Self::Register, Self::Echo, Self::Message, Self::Poison];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Register => "REGISTER",
            Self::Echo => "ECHO",
            Self::Message => "MESSAGE",
            Self::Poison => "POISON",
        }
    }
}

/// A phone's message and what has to come of it.
pub struct Said {
    pub phone: String,
    pub action: Action,
    pub content: String,
    /// For a message to another phone.
    pub recipient: Option<String>,
    /// It comes once more after its ack.
    pub repeated: bool,
}

/// A phone, and a piece of content that it got or should have got.
pub type Piece = (String, String);

/// The chapter of the story in which something was sent.
pub type Chapter = &'static str;

/// All phones. They do not look at what the app server believes.
#[derive(Debug, Default)]
pub struct Phones {
    /// Ids of upstream messages that phones sent, and when.
    pub sent: BTreeMap<String, Chapter>,
    /// How often each of them was acked by the app server.
    pub acked: BTreeMap<String, u32>,
    /// What has to reach a phone by the end, and since when.
    pub expected: BTreeMap<Piece, Chapter>,
    /// Messages that no handler can do: the app server has to keep them.
    pub poison: BTreeSet<String>,
    /// What reached each phone: how often each piece of content did.
    pub got: BTreeMap<Piece, u32>,
    /// Ids of downstream messages that arrived, to tell a copy from a second message.
    pub seen: BTreeSet<String>,
    pub copies: u32,
    pub receipts_sent: u32,
    pub receipts_acked: u32,
    pub receipts_due: u32,
    /// Messages to a phone that is none.
    pub refused: u32,
    pub refusals_due: u32,
    /// So far, the last one being told now.
    pub chapters: Vec<Chapter>,
}

impl Phones {
    /// Makes what a phone says, and remembers what has to come of it.
    pub fn say(&mut self, said: Said) -> Upstream {
        let Said {
            phone,
            action,
            content,
            recipient,
            ..
        } = said;
        let id = format!("up-{}", self.sent.len() + 1);
        self.sent.insert(id.clone(), self.chapter());
        let mut data = Data::new()
            .with(ACTION, action.as_str())
            .with(CONTENT, &content);
        if let Some(recipient) = &recipient {
            data = data.with(RECIPIENT, recipient);
        }
        if action == Action::Poison {
            self.poison.insert(id.clone());
        } else {
            self.expect(recipient.as_deref().unwrap_or(&phone), &content);
        }
        Upstream::new(phone, id)
            .with_category("com.example.demo")
            .with_data(data)
            .with_time_to_live(86_400)
    }

    /// Something has to reach a phone by the end.
    pub fn expect(&mut self, phone: &str, content: &str) {
        let piece = (phone.to_owned(), content.to_owned());
        self.expected.insert(piece, self.chapter());
    }

    fn chapter(&self) -> Chapter {
        self.chapters.last().copied().unwrap_or_default()
    }

    /// A message reaches a phone. The same message again is a copy of the one before.
    pub fn receive(&mut self, phone: &RegistrationToken, id: &MessageId, message: &Downstream) {
        if !self.seen.insert(id.to_string()) {
            self.copies += 1;
            return;
        }
        let content = message.payload().and_then(|data| data.get(CONTENT));
        let content = content.map(|content| content.into_owned());
        let piece = (phone.to_string(), content.unwrap_or_default());
        *self.got.entry(piece).or_default() += 1;
    }

    /// Everything that phones sent was acked.
    pub fn all_acked(&self) -> bool {
        self.acked.len() == self.sent.len()
    }
}
