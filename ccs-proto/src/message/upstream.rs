//! Messages from devices to the app server (`docs/protocol.md` §4).

use super::data::Data;
use super::ids::{MessageId, RegistrationToken};
use super::json::Object;
use crate::text::Text;

/// A message from a device.
///
/// An endpoint builds one with [`new`](Self::new); an app server gets it from the wire, with its whole JSON in
/// [`body`](Self::body).
#[derive(Debug, Clone)]
pub struct Upstream {
    pub(super) from: RegistrationToken,
    pub(super) message_id: MessageId,
    pub(super) category: Option<Text>,
    pub(super) data: Option<Data>,
    pub(super) time_to_live: Option<u64>,
    pub(super) body: Text,
}

impl Upstream {
    /// A message from this device, with the id that the device's app chose.
    #[must_use]
    pub fn new(from: impl Into<RegistrationToken>, message_id: impl Into<MessageId>) -> Self {
        Self {
            from: from.into(),
            message_id: message_id.into(),
            category: None,
            // There in every capture, and looked for by a known client (fixture E32).
            data: Some(Data::new()),
            time_to_live: None,
            body: Text::from(""),
        }
        .written()
    }

    /// The app on the device: an Android package or iOS bundle.
    #[must_use]
    pub fn with_category(mut self, category: impl Into<Text>) -> Self {
        self.category = Some(category.into());
        self.written()
    }

    /// The payload.
    #[must_use]
    pub fn with_data(mut self, data: Data) -> Self {
        self.data = Some(data);
        self.written()
    }

    /// How long the service keeps the message for the app server, in seconds.
    #[must_use]
    pub fn with_time_to_live(mut self, seconds: u64) -> Self {
        self.time_to_live = Some(seconds);
        self.written()
    }

    /// The device.
    #[must_use]
    pub fn from(&self) -> &RegistrationToken {
        &self.from
    }

    /// The id that the device's app chose; unique for that device, if the app does as it should.
    #[must_use]
    pub fn message_id(&self) -> &MessageId {
        &self.message_id
    }

    /// The app on the device.
    #[must_use]
    pub fn category(&self) -> Option<&str> {
        self.category.as_deref()
    }

    /// The payload.
    #[must_use]
    pub fn data(&self) -> Option<&Data> {
        self.data.as_ref()
    }

    /// How long the service keeps the message for the app server, in seconds.
    #[must_use]
    pub fn time_to_live(&self) -> Option<u64> {
        self.time_to_live
    }

    /// The whole JSON body, in which fields are found that this type has not.
    #[must_use]
    pub fn body(&self) -> &Text {
        &self.body
    }

    /// Keeps the body in step with the fields, in the order of the captures (fixture E30).
    fn written(mut self) -> Self {
        let mut json = Vec::new();
        let mut object = Object::open(&mut json);
        if let Some(data) = &self.data {
            object.written("data", &data.for_wire());
        }
        if let Some(seconds) = self.time_to_live {
            object.number("time_to_live", seconds);
        }
        object.string("from", self.from.as_str());
        object.string("message_id", self.message_id.as_str());
        if let Some(category) = &self.category {
            object.string("category", category);
        }
        object.close();
        self.body = Text::from(String::from_utf8(json).unwrap_or_default());
        self
    }
}

/// Equal in what they say, however the JSON was laid out.
impl PartialEq for Upstream {
    fn eq(&self, other: &Self) -> bool {
        let said = |message: &Self| {
            (
                message.from.clone(),
                message.message_id.clone(),
                message.category.clone(),
                message.data.clone(),
                message.time_to_live,
            )
        };
        said(self) == said(other)
    }
}

impl Eq for Upstream {}
