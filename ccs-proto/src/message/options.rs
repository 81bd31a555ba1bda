//! How a message is to be treated, whoever it is for and whatever it says (`docs/protocol.md` §3.2).

use bytes::BufMut;

use super::json::Object;
use crate::text::Text;

/// Everything that says how, not what; absent means that the service decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Options {
    pub(super) collapse_key: Option<Text>,
    pub(super) priority: Option<Priority>,
    pub(super) content_available: Option<bool>,
    pub(super) mutable_content: Option<bool>,
    pub(super) delay_while_idle: Option<bool>,
    pub(super) time_to_live: Option<u64>,
    pub(super) receipt_requested: Option<bool>,
    pub(super) dry_run: Option<bool>,
}

/// How urgent a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// When it suits the device. What a message without a notification has by default.
    Normal,
    /// At once, waking the device. What a message with a notification has by default.
    High,
}

impl Priority {
    /// As on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl Options {
    pub(super) fn push<B: BufMut>(&self, object: &mut Object<'_, B>) {
        if let Some(key) = &self.collapse_key {
            object.string("collapse_key", key);
        }
        if let Some(priority) = self.priority {
            object.string("priority", priority.as_str());
        }
        let flags = [
            ("content_available", self.content_available),
            ("mutable_content", self.mutable_content),
            ("delay_while_idle", self.delay_while_idle),
        ];
        for (name, value) in flags {
            if let Some(value) = value {
                object.boolean(name, value);
            }
        }
        if let Some(seconds) = self.time_to_live {
            object.number("time_to_live", seconds);
        }
        if let Some(value) = self.receipt_requested {
            object.boolean("delivery_receipt_requested", value);
        }
        if let Some(value) = self.dry_run {
            object.boolean("dry_run", value);
        }
    }
}
