//! Answers that no endpoint should give: they settle nothing, free no place in the window, and are counted.

use bytes::Bytes;
use ccs_proto::ConnectionId;
use ccs_proto::message::NackCode;

use super::dice::Dice;
use super::faults;
use super::world::World;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stray {
    /// One ack twice.
    AckAgain,
    /// A nack for what was acked.
    NackAfterAck(NackCode),
    /// A nack for what was never sent.
    NackOfNothing(NackCode),
}

impl Stray {
    /// Seldom one, to go out behind an ack.
    pub(super) fn of(dice: &mut Dice) -> Option<Self> {
        match dice.below(60) {
            0 | 1 => Some(Self::AckAgain),
            2 => Some(Self::NackAfterAck(faults::code(dice))),
            3 => Some(Self::NackOfNothing(faults::code(dice))),
            _ => None,
        }
    }

    /// As it goes over the wire, behind the ack of this message (`docs/protocol.md` §5).
    fn stanza(&self, id: &str) -> Bytes {
        let answer = match self {
            Self::AckAgain => format!(r#""message_type":"ack","message_id":"{id}""#),
            Self::NackAfterAck(code) => nack(id, code),
            Self::NackOfNothing(code) => nack(&format!("{id}-never"), code),
        };
        let body = format!(r#"{{{answer},"from":"phone-0"}}"#);
        let stanza = format!(r#"<message><gcm xmlns="google:mobile:data">{body}</gcm></message>"#);
        Bytes::from(stanza)
    }
}

fn nack(id: &str, code: &NackCode) -> String {
    format!(r#""message_type":"nack","message_id":"{id}","error":"{code}""#)
}

impl World {
    /// Puts it on the wire, past the endpoint's own books.
    pub(super) fn strays(&mut self, connection: ConnectionId, stray: &Stray, id: &str) {
        let open = self.endpoint.is_open(connection);
        if let Some(link) = self.stage.links.get_mut(connection)
            && open
            && link.down.takes_bytes()
        {
            link.down.write(self.stage.now, stray.stanza(id));
        }
    }
}
