//! Messages from the app server to devices (`docs/protocol.md` §3).

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::data::Data;
use super::envelope;
use super::ids::{MessageId, RegistrationToken};
use super::json::Object;
use super::limits::{self, InvalidMessage, MAX_COLLAPSE_KEY, MAX_NOTIFICATION, MAX_STANZA};
use super::notification::Notification;
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
/// let encoded = message.encode(&"m-1".into())?;
/// assert!(encoded.stanza().ends_with(b"}</gcm></message>"));
/// # Ok::<(), ccs_proto::message::InvalidMessage>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downstream {
    target: Target,
    id: Option<MessageId>,
    pub(super) options: Options,
    data: Option<Data>,
    notification: Option<Box<Notification>>,
}

/// Everything that says how, not what; absent means that the service decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        Self::new(match Target::from_to(Text::from(token.as_str())) {
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

    /// Checks the message and writes its whole stanza, once: a retry sends the same bytes again.
    ///
    /// # Errors
    /// The first rule that it breaks, with the field, its size and the limit.
    pub fn encode(&self, id: &MessageId) -> Result<EncodedDownstream, InvalidMessage> {
        self.check(id)?;
        let mut stanza = BytesMut::with_capacity(self.size_hint());
        envelope::push_downstream(&mut stanza, self, id);
        limits::check_size("message", stanza.len(), MAX_STANZA)?;
        Ok(EncodedDownstream {
            id: id.clone(),
            stanza: stanza.freeze(),
            message: self.clone(),
        })
    }

    fn size_hint(&self) -> usize {
        let data = self.data.as_ref().map_or(0, |data| data.as_json().len());
        data.saturating_add(self.target.as_str().len())
            .saturating_add(512)
    }

    /// All rules of one message (`docs/protocol.md` §3.2, §3.3).
    pub(super) fn check(&self, id: &MessageId) -> Result<(), InvalidMessage> {
        limits::check_id(id)?;
        limits::check_target(&self.target)?;
        if let Some(key) = &self.options.collapse_key {
            limits::check_size("collapse_key", key.len(), MAX_COLLAPSE_KEY)?;
        }
        if let Some(seconds) = self.options.time_to_live {
            limits::check_time_to_live(seconds)?;
        }
        if let Some(data) = &self.data {
            limits::check_data(data, &self.target)?;
        }
        if let Some(notification) = &self.notification {
            let size = notification.to_json().len();
            limits::check_size("notification", size, MAX_NOTIFICATION)?;
        }
        Ok(())
    }

    /// The JSON body.
    pub(super) fn push_json(&self, out: &mut BytesMut, id: &MessageId) {
        let mut object = Object::open(out);
        match &self.target {
            Target::Condition(condition) => object.string("condition", condition.as_str()),
            to => object.string("to", to.as_str()),
        }
        object.string("message_id", id.as_str());
        self.options.push(&mut object);
        if let Some(data) = &self.data {
            object.raw("data", data.as_json());
        }
        if let Some(notification) = &self.notification {
            object.raw("notification", &notification.to_json());
        }
        object.close();
    }
}

impl Options {
    fn push<B: bytes::BufMut>(&self, object: &mut Object<'_, B>) {
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

/// A message that was checked, as the bytes of its stanza. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedDownstream {
    id: MessageId,
    stanza: Bytes,
    message: Downstream,
}

impl EncodedDownstream {
    /// The message's id.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// The stanza.
    #[must_use]
    pub fn stanza(&self) -> &Bytes {
        &self.stanza
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Downstream {
        &self.message
    }
}

#[cfg(test)]
mod tests {
    use super::limits::{MAX_DATA, MAX_MESSAGE_ID, MAX_TIME_TO_LIVE, MAX_TOPIC_DATA};
    use super::*;

    fn check(message: Downstream) -> Result<(), InvalidMessage> {
        message.encode(&"m-1".into()).map(|_| ())
    }

    #[test]
    fn data_may_fill_its_limit_and_not_more() {
        let topic = || Downstream::topic(Topic::new("news").unwrap());
        for (message, limit) in [(Downstream::to("T"), MAX_DATA), (topic(), MAX_TOPIC_DATA)] {
            // One byte is the key. Escapes in JSON do not count, characters count as UTF-8.
            let full = "<".repeat(limit - 3) + "\u{e9}";
            assert_eq!(check(message.clone().data("k", &full)), Ok(()));
            assert_eq!(
                check(message.data("k", full + "x")),
                Err(InvalidMessage::TooLarge {
                    field: "data",
                    size: limit + 1,
                    limit
                })
            );
        }
    }

    #[test]
    fn an_id_may_fill_its_limit_and_not_more() {
        let message = Downstream::to("T");
        let id = |bytes| MessageId::from("x".repeat(bytes));
        assert!(message.encode(&id(MAX_MESSAGE_ID)).is_ok());
        assert_eq!(
            message.encode(&id(0)),
            Err(InvalidMessage::Empty("message_id"))
        );
        let too_long = message.encode(&id(MAX_MESSAGE_ID + 1)).unwrap_err();
        assert_eq!(
            too_long.to_string(),
            "message_id has 257 bytes and may have 256"
        );
    }

    #[test]
    fn a_topic_in_place_of_a_token_is_held_to_a_topics_rules() {
        let news = Downstream::to("/topics/news");
        assert!(matches!(news.target(), Target::Topic(_)));
        assert!(check(news.data("k", "x".repeat(MAX_TOPIC_DATA))).is_err());
        let wrong = check(Downstream::to("/topics/a b"));
        assert!(matches!(wrong, Err(InvalidMessage::Target(_))), "{wrong:?}");
    }

    #[test]
    fn a_part_of_a_second_is_not_now_or_never() {
        let message = Downstream::to("T").time_to_live(Duration::from_millis(500));
        assert_eq!(message.kept_for(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn four_weeks_are_the_longest_time_to_live() {
        let kept = |seconds| Downstream::to("T").time_to_live(Duration::from_secs(seconds));
        assert_eq!(check(kept(0)), Ok(()));
        assert_eq!(check(kept(MAX_TIME_TO_LIVE)), Ok(()));
        let seconds = MAX_TIME_TO_LIVE + 1;
        assert_eq!(
            check(kept(seconds)),
            Err(InvalidMessage::TimeToLive { seconds })
        );
    }

    #[test]
    fn keys_of_the_services_own_are_refused() {
        for key in [
            "from",
            "message_type",
            "google",
            "google.x",
            "gcm",
            "gcmfoo",
        ] {
            let reserved = check(Downstream::to("T").data("fine", "1").data(key, "1"));
            assert_eq!(
                reserved,
                Err(InvalidMessage::ReservedKey {
                    key: key.to_owned()
                })
            );
        }
        for key in ["collapse_key", "fromage", "Google", "a.gcm"] {
            assert_eq!(check(Downstream::to("T").data(key, "1")), Ok(()), "{key}");
        }
        assert_eq!(check(Downstream::to("")), Err(InvalidMessage::Empty("to")));
    }

    #[test]
    fn a_message_is_written_in_one_fixed_form() {
        let message = Downstream::to("REGISTRATION_ID")
            .data("hello", "world")
            .time_to_live(Duration::from_secs(600))
            .delay_while_idle(true)
            .receipt_requested(true);
        let encoded = message.encode(&"m-1366082849205".into()).unwrap();
        assert_eq!(
            encoded.stanza(),
            "<message id=\"m-1366082849205\"><gcm xmlns=\"google:mobile:data\">\
             {\"to\":\"REGISTRATION_ID\",\"message_id\":\"m-1366082849205\",\"delay_while_idle\":true,\
             \"time_to_live\":600,\"delivery_receipt_requested\":true,\"data\":{\"hello\":\"world\"}}\
             </gcm></message>"
        );
        let tickle = Downstream::to("T").encode(&"<&\0".into()).unwrap();
        assert_eq!(
            tickle.stanza(),
            "<message id=\"\"><gcm xmlns=\"google:mobile:data\">\
             {\"to\":\"T\",\"message_id\":\"\\u003c\\u0026\\u0000\"}</gcm></message>"
        );
    }
}
