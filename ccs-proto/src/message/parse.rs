//! What an endpoint sends, by its `message_type` (`docs/protocol.md` §4, §5, §7, §8).

use serde::Deserialize;

use super::answer::{Ack, Nack};
use super::body::{self, BodyError, MAX_DEPTH, Member};
use super::data::Data;
use super::ids::{MessageId, RegistrationToken};
use super::nack_code::NackCode;
use super::receipt::{PREFIX, Receipt};
use super::upstream::Upstream;
use crate::text::Text;

/// A body that came from an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FromEndpoint {
    /// A device's message; it has no `message_type`.
    Upstream(Upstream),
    /// A message of ours was taken over.
    Ack(Ack),
    /// A message of ours was refused.
    Nack(Nack),
    /// A device confirmed a message.
    Receipt(Receipt),
    /// About the connection.
    Control(Control),
    /// A type that this version does not know.
    Other {
        /// The type.
        message_type: Text,
    },
}

/// What a control message says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// The connection will be closed by the endpoint.
    ConnectionDraining,
    /// A type that this version does not know.
    Other(Text),
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    message_type: Member<'a>,
    #[serde(borrow)]
    message_id: Member<'a>,
    #[serde(borrow)]
    from: Member<'a>,
    #[serde(borrow)]
    category: Member<'a>,
    #[serde(borrow)]
    data: Member<'a>,
    #[serde(borrow)]
    time_to_live: Member<'a>,
    #[serde(borrow)]
    registration_id: Member<'a>,
    #[serde(borrow)]
    error: Member<'a>,
    #[serde(borrow)]
    error_description: Member<'a>,
    #[serde(borrow)]
    control_type: Member<'a>,
}

impl FromEndpoint {
    /// Reads a body. All texts of the result are parts of it, not copies, but where JSON escapes forbid that.
    ///
    /// # Errors
    /// It is no JSON object, lies too deep, or lacks what its type has to have.
    pub fn parse(body: &Text) -> Result<Self, BodyError> {
        Self::parse_within(body, MAX_DEPTH)
    }

    /// The same with so many levels instead of [`MAX_DEPTH`].
    pub(crate) fn parse_within(body: &Text, depth: usize) -> Result<Self, BodyError> {
        let members: Members<'_> = body::read(body, depth)?;
        if members.message_type.is_none() {
            return members.upstream(body).map(Self::Upstream);
        }
        let message_type = body::text(body, "message_type", members.message_type)?;
        match message_type.as_str() {
            "ack" => members.ack(body).map(Self::Ack),
            "nack" => members.nack(body).map(Self::Nack),
            "receipt" => members.receipt(body).map(Self::Receipt),
            // Without a message id: a client that asks for one misses it (`docs/protocol.md` §7).
            "control" => members.control(body).map(Self::Control),
            _ => Ok(Self::Other { message_type }),
        }
    }
}

impl Members<'_> {
    fn id(&self, body: &Text) -> Result<MessageId, BodyError> {
        body::text(body, "message_id", self.message_id).map(MessageId::from)
    }

    fn upstream(&self, body: &Text) -> Result<Upstream, BodyError> {
        Ok(Upstream {
            from: RegistrationToken::from(body::text(body, "from", self.from)?),
            message_id: self.id(body)?,
            category: body::lenient(body, self.category),
            data: self.data(body)?,
            time_to_live: body::count(self.time_to_live),
            body: body.clone(),
        })
    }

    fn data(&self, body: &Text) -> Result<Option<Data>, BodyError> {
        match self.data {
            Some(raw) if raw.get().starts_with('{') => {
                Ok(Some(Data::from_part(body.slice_of(raw.get()))))
            }
            Some(_) => Err(BodyError::WrongType("data")),
            None => Ok(None),
        }
    }

    fn ack(&self, body: &Text) -> Result<Ack, BodyError> {
        Ok(Ack {
            message_id: self.id(body)?,
            from: body::lenient(body, self.from),
            canonical: body::lenient(body, self.registration_id).map(RegistrationToken::from),
            body: body.clone(),
        })
    }

    fn nack(&self, body: &Text) -> Result<Nack, BodyError> {
        // Whatever the reason, the message is settled: without a code it is one that is not known.
        let error = body::lenient(body, self.error).unwrap_or_else(|| Text::from(""));
        Ok(Nack {
            message_id: self.id(body)?,
            from: body::lenient(body, self.from),
            code: NackCode::read(&error),
            error,
            description: body::lenient(body, self.error_description),
            body: body.clone(),
        })
    }

    fn control(&self, body: &Text) -> Result<Control, BodyError> {
        let kind = body::text(body, "control_type", self.control_type)?;
        Ok(match kind.as_str() {
            "CONNECTION_DRAINING" => Control::ConnectionDraining,
            _ => Control::Other(kind),
        })
    }

    fn receipt(&self, body: &Text) -> Result<Receipt, BodyError> {
        let message_id = self.id(body)?;
        let details: Details<'_> = match self.data {
            // The whole body was measured.
            Some(raw) => body::read(raw.get(), usize::MAX)?,
            None => Details::default(),
        };
        let original = body::lenient(body, details.original_message_id).unwrap_or_else(|| {
            let id = message_id.as_str();
            Text::from(id.strip_prefix(PREFIX).unwrap_or(id))
        });
        Ok(Receipt {
            message_id,
            original_message_id: MessageId::from(original),
            device: body::lenient(body, details.device_registration_id)
                .map(RegistrationToken::from),
            sent_at: body::count(details.message_sent_timestamp),
            status: body::lenient(body, details.message_status),
            category: body::lenient(body, self.category),
            from: body::text(body, "from", self.from)?,
            body: body.clone(),
        })
    }
}

/// `data` of a receipt.
#[derive(Deserialize, Default)]
struct Details<'a> {
    #[serde(borrow)]
    message_status: Member<'a>,
    #[serde(borrow)]
    original_message_id: Member<'a>,
    #[serde(borrow)]
    device_registration_id: Member<'a>,
    #[serde(borrow)]
    message_sent_timestamp: Member<'a>,
}

/// The id of a downstream message, from its echoed body; `None` for an ack, whose id is another message's.
pub(super) fn downstream_id(body: &Text) -> Option<MessageId> {
    let members: Members<'_> = body::read(body, MAX_DEPTH).ok()?;
    match members.message_type {
        None => members.id(body).ok(),
        Some(_) => None,
    }
}
