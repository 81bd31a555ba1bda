//! A device's confirmation that it has a message (`docs/protocol.md` §8).

use super::ids::{MessageId, RegistrationToken};
use super::json::Object;
use crate::text::Text;

/// What stands before the id of the confirmed message in a receipt's own id.
pub(super) const PREFIX: &str = "dr2:";
/// The only status there is.
const STATUS: &str = "MESSAGE_SENT_TO_DEVICE";
/// Where receipts come from.
const FROM: &str = "gcm.googleapis.com";

/// A device confirmed a message: its push layer has it. Whether the app or a person saw it is another matter.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub(super) message_id: MessageId,
    pub(super) original_message_id: MessageId,
    pub(super) device: Option<RegistrationToken>,
    pub(super) sent_at: Option<u64>,
    pub(super) status: Option<Text>,
    pub(super) category: Option<Text>,
    pub(super) from: Text,
    pub(super) body: Text,
}

impl Receipt {
    /// The receipt of a message that was delivered to `device` at `sent_at`, in milliseconds since 1970.
    #[must_use]
    pub fn new(original: &MessageId, device: impl Into<RegistrationToken>, sent_at: u64) -> Self {
        Self {
            message_id: MessageId::from(format!("{PREFIX}{original}")),
            original_message_id: original.clone(),
            device: Some(device.into()),
            sent_at: Some(sent_at),
            status: Some(Text::from(STATUS)),
            category: None,
            from: Text::from(FROM),
            body: Text::from(""),
        }
        .written()
    }

    /// The app on the device.
    #[must_use]
    pub fn with_category(mut self, category: impl Into<Text>) -> Self {
        self.category = Some(category.into());
        self.written()
    }

    /// The receipt's own id, under which it is acked.
    #[must_use]
    pub fn message_id(&self) -> &MessageId {
        &self.message_id
    }

    /// The message that it confirms.
    #[must_use]
    pub fn original_message_id(&self) -> &MessageId {
        &self.original_message_id
    }

    /// The device that has it.
    #[must_use]
    pub fn device(&self) -> Option<&RegistrationToken> {
        self.device.as_ref()
    }

    /// When it was delivered, in milliseconds since 1970.
    #[must_use]
    pub fn sent_at(&self) -> Option<u64> {
        self.sent_at
    }

    /// `MESSAGE_SENT_TO_DEVICE`, as far as is known.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// The app on the device.
    #[must_use]
    pub fn category(&self) -> Option<&str> {
        self.category.as_deref()
    }

    /// Where it comes from and where its ack goes: the service's own name.
    #[must_use]
    pub fn from(&self) -> &Text {
        &self.from
    }

    /// The whole JSON body.
    #[must_use]
    pub fn body(&self) -> &Text {
        &self.body
    }

    /// Keeps the body in step with the fields, in the documentation's order (fixture E35b).
    fn written(mut self) -> Self {
        let mut json = Vec::new();
        let mut object = Object::open(&mut json);
        if let Some(category) = &self.category {
            object.string("category", category);
        }
        object.raw("data", &self.data_json());
        object.string("message_id", self.message_id.as_str());
        object.string("message_type", "receipt");
        object.number("time_to_live", 0);
        object.string("from", &self.from);
        object.close();
        self.body = Text::from(String::from_utf8(json).unwrap_or_default());
        self
    }

    fn data_json(&self) -> String {
        let mut json = Vec::new();
        let mut object = Object::open(&mut json);
        if let Some(status) = &self.status {
            object.string("message_status", status);
        }
        object.string("original_message_id", self.original_message_id.as_str());
        if let Some(device) = &self.device {
            object.string("device_registration_id", device.as_str());
        }
        if let Some(at) = self.sent_at {
            // A string on the wire.
            object.string("message_sent_timestamp", &at.to_string());
        }
        object.close();
        String::from_utf8(json).unwrap_or_default()
    }
}

/// Equal in what they say, however the JSON was laid out.
impl PartialEq for Receipt {
    fn eq(&self, other: &Self) -> bool {
        let said = |receipt: &Self| {
            (
                receipt.message_id.clone(),
                receipt.original_message_id.clone(),
                receipt.device.clone(),
                receipt.sent_at,
                (
                    receipt.status.clone(),
                    receipt.category.clone(),
                    receipt.from.clone(),
                ),
            )
        };
        said(self) == said(other)
    }
}

impl Eq for Receipt {}
