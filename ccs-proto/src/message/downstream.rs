//! Messages from the app server to devices (`docs/protocol.md` §3).

use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::data::Data;
use super::ids::{MessageId, RegistrationToken};
use super::notification::Notification;
use super::options::{Options, Priority};
use super::target::{Condition, Target, Topic};
use crate::text::Text;

/// A message to a device, a topic or a condition.
///
/// What is set is checked when the message is sent. Without `data` and `notification` it is a tickle: it just wakes the
/// app.
///
/// ```
/// use ccs_proto::message::Downstream;
/// use std::time::Duration;
///
/// let message = Downstream::to("DEVICE")
///     .data("action", "NEWS")
///     .time_to_live(Duration::from_secs(600))
///     .receipt_requested(true);
/// let encoded = message.encode("m-1")?;
/// assert!(encoded.stanza().ends_with(b"}</gcm></message>"));
/// # Ok::<(), ccs_proto::message::InvalidMessage>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downstream {
    pub(super) target: Target,
    id: Option<MessageId>,
    pub(super) options: Options,
    pub(super) data: Option<Data>,
    pub(super) notification: Option<Box<Notification>>,
}

/// Agrees with `Eq`: of `data` the JSON text counts.
impl Hash for Downstream {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let data = self.data.as_ref().map(Data::as_json);
        (
            &self.target,
            &self.id,
            &self.options,
            data,
            &self.notification,
        )
            .hash(state);
    }
}

impl Downstream {
    /// A message to whatever target.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            id: None,
            options: Options::default(),
            data: None,
            notification: None,
        }
    }

    /// A message to a device, or to a device group by its notification key. `/topics/NAME` is a topic here too, as it
    /// is on the wire.
    #[must_use]
    pub fn to(token: impl Into<RegistrationToken>) -> Self {
        let token = token.into();
        Self::new(match Target::from_to(token.text().clone()) {
            Ok(Target::Topic(topic)) => Target::Topic(topic),
            // A wrong topic name is refused when the message is sent.
            _ => Target::Token(token),
        })
    }

    /// A message to all devices that subscribed to a topic.
    #[must_use]
    pub fn topic(topic: Topic) -> Self {
        Self::new(Target::Topic(topic))
    }

    /// A message to all devices whose topics fulfil a condition.
    #[must_use]
    pub fn condition(condition: Condition) -> Self {
        Self::new(Target::Condition(condition))
    }

    /// The message's id, unique among those of the sender. Without one it gets one when it is sent.
    #[must_use]
    pub fn id(mut self, id: impl Into<MessageId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same message without an id.
    #[must_use]
    pub fn without_id(mut self) -> Self {
        self.id = None;
        self
    }

    /// The same message to another target.
    #[must_use]
    pub fn retarget(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// One more pair of `data`.
    #[must_use]
    pub fn data(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.data = Some(self.data.unwrap_or_default().with(key, value));
        self
    }

    /// The whole of `data`: 4,096 bytes of keys and values at most, 2,048 to a topic or condition.
    #[must_use]
    pub fn with_data(mut self, data: Data) -> Self {
        self.data = Some(data);
        self
    }

    /// What the system shows to a person.
    #[must_use]
    pub fn notification(mut self, notification: Notification) -> Self {
        self.notification = Some(Box::new(notification));
        self
    }

    /// Messages of one key replace one another while the device is away: the last one is delivered. Four keys for a
    /// device at any time.
    #[must_use]
    pub fn collapse_key(mut self, key: impl Into<Text>) -> Self {
        self.options.collapse_key = Some(key.into());
        self
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// iOS: wakes the app.
    #[must_use]
    pub fn content_available(mut self, yes: bool) -> Self {
        self.options.content_available = Some(yes);
        self
    }

    /// iOS: lets an extension of the app change the notification.
    #[must_use]
    pub fn mutable_content(mut self, yes: bool) -> Self {
        self.options.mutable_content = Some(yes);
        self
    }

    /// Waits until the device is active. Google's service ignored it from November 2016.
    #[must_use]
    pub fn delay_while_idle(mut self, yes: bool) -> Self {
        self.options.delay_while_idle = Some(yes);
        self
    }

    /// How long the message is kept for a device that is away: at most four weeks, which is the default; 0 is now or
    /// never. The wire has whole seconds, so a part of one counts as one.
    #[must_use]
    pub fn time_to_live(mut self, kept: Duration) -> Self {
        let part = u64::from(kept.subsec_nanos() > 0);
        self.options.time_to_live = Some(kept.as_secs().saturating_add(part));
        self
    }

    /// Asks for a receipt when the device has the message.
    #[must_use]
    pub fn receipt_requested(mut self, yes: bool) -> Self {
        self.options.receipt_requested = Some(yes);
        self
    }

    /// Has the message checked and not delivered.
    #[must_use]
    pub fn dry_run(mut self, yes: bool) -> Self {
        self.options.dry_run = Some(yes);
        self
    }

    /// Whom it is for.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The message's id, if it was given one.
    #[must_use]
    pub fn message_id(&self) -> Option<&MessageId> {
        self.id.as_ref()
    }

    /// Bytes that the message keeps. One that was received keeps the body that it came in, once for all its parts.
    pub(crate) fn held_bytes(&self) -> usize {
        let data = self.data.as_ref().map_or(0, Data::held_bytes);
        self.target.text().held_bytes().max(data)
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> Option<&Data> {
        self.data.as_ref()
    }

    /// What the system shows.
    #[must_use]
    pub fn shown(&self) -> Option<&Notification> {
        self.notification.as_deref()
    }

    /// The collapse key.
    #[must_use]
    pub fn collapses_by(&self) -> Option<&str> {
        self.options.collapse_key.as_deref()
    }

    /// The urgency, if it was given.
    #[must_use]
    pub fn urgency(&self) -> Option<Priority> {
        self.options.priority
    }

    /// How long it is kept, if that was given.
    #[must_use]
    pub fn kept_for(&self) -> Option<Duration> {
        self.options.time_to_live.map(Duration::from_secs)
    }

    /// Whether a receipt is asked for.
    #[must_use]
    pub fn wants_receipt(&self) -> bool {
        self.options.receipt_requested == Some(true)
    }

    /// Whether it waits until the device is active.
    #[must_use]
    pub fn waits_while_idle(&self) -> bool {
        self.options.delay_while_idle == Some(true)
    }

    /// Whether it is to be checked and not delivered.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.options.dry_run == Some(true)
    }

    /// `content_available` and `mutable_content`, if they were given.
    #[must_use]
    pub fn ios_flags(&self) -> (Option<bool>, Option<bool>) {
        (self.options.content_available, self.options.mutable_content)
    }
}
