//! A downstream message checked, once for as often as it is sent, and written.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::data::Data;
use super::downstream::Downstream;
use super::envelope;
use super::ids::MessageId;
use super::json::{Object, push_in_string};
use super::limits::{self, InvalidMessage, MAX_COLLAPSE_KEY, MAX_NOTIFICATION, MAX_STANZA};
use super::notification::Notification;
use super::target::Target;

/// Bytes that a stanza has beside target, ids and what the application writes, mostly. It has twice as many at most.
const FRAME: usize = 192;
/// Bytes that one byte is written as, at most: `\u003c`, `&quot;`.
const ESCAPED: usize = 6;

impl Downstream {
    /// Checks the message, once for as often as it is sent: a retry sends the same bytes again. The payload is shared with the
    /// message, and with others that have the same.
    ///
    /// # Errors
    /// The first rule that it breaks, with the field, its size and the limit.
    pub fn encode(self, id: impl Into<MessageId>) -> Result<EncodedDownstream, InvalidMessage> {
        let id = id.into();
        let notification = self.check(&id)?;
        let escaped = match self.data.as_ref().map(Data::for_wire) {
            Some(Cow::Owned(escaped)) => Some(escaped),
            _ => None,
        };
        let encoded = EncodedDownstream(Arc::new(Encoded {
            id,
            notification,
            escaped,
            message: self,
        }));
        // Hardly a message comes near the limit, so hardly one is counted.
        if encoded.weight().saturating_mul(ESCAPED) > MAX_STANZA {
            limits::check_size("message", encoded.stanza().len(), MAX_STANZA)?;
        }
        Ok(encoded)
    }

    /// All rules of one message (`docs/protocol.md` §3.2, §3.3). Gives the notification as it is sent.
    pub(super) fn check(&self, id: &MessageId) -> Result<Option<String>, InvalidMessage> {
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
        let notification = self.notification.as_deref().map(Notification::to_json);
        if let Some(json) = &notification {
            limits::check_size("notification", json.len(), MAX_NOTIFICATION)?;
        }
        Ok(notification)
    }
}

/// A message that was checked and can be sent. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedDownstream(Arc<Encoded>);

#[derive(PartialEq, Eq)]
struct Encoded {
    id: MessageId,
    message: Downstream,
    /// The payload, where it is not sent as it is in the message.
    escaped: Option<String>,
    /// What the system shows, as it is sent.
    notification: Option<String>,
}

impl EncodedDownstream {
    /// The message's id.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        &self.0.id
    }

    /// The stanza, written anew.
    #[must_use]
    pub fn stanza(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.push_stanza(&mut out);
        out.freeze()
    }

    /// Appends the stanza.
    pub fn push_stanza(&self, out: &mut BytesMut) {
        out.reserve(self.weight());
        envelope::push_downstream(out, self);
    }

    pub(super) fn push_json(&self, out: &mut BytesMut) {
        let message = &self.0.message;
        out.put_slice(match &message.target {
            Target::Condition(_) => b"{\"condition\":\"",
            Target::Token(_) | Target::Topic(_) => b"{\"to\":\"",
        });
        push_in_string(out, message.target.as_str());
        out.put_slice(b"\",\"message_id\":\"");
        push_in_string(out, self.id().as_str());
        out.put_slice(b"\"");
        let mut object = Object::go_on(out);
        message.options.push(&mut object);
        if let Some(data) = self.data() {
            object.written("data", data);
        }
        if let Some(notification) = &self.0.notification {
            object.written("notification", notification);
        }
        object.close();
    }

    /// The payload as it is sent.
    fn data(&self) -> Option<&str> {
        let escaped = self.0.escaped.as_deref();
        escaped.or_else(|| self.0.message.data.as_ref().map(Data::as_json))
    }

    /// About the bytes of the stanza: payload and notification as they are sent, the rest before anything is escaped.
    pub(crate) fn weight(&self) -> usize {
        let message = &self.0.message;
        let parts = [
            self.id().as_str().len().saturating_mul(2),
            message.target.as_str().len(),
            message.options.collapse_key.as_deref().map_or(0, str::len),
            self.data().map_or(0, str::len),
            self.0.notification.as_deref().map_or(0, str::len),
        ];
        parts.into_iter().fold(FRAME, usize::saturating_add)
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Downstream {
        &self.0.message
    }
}

impl fmt::Debug for EncodedDownstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncodedDownstream")
            .field(&self.stanza())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::data::Data;
    use super::super::limits::{
        MAX_DATA, MAX_MESSAGE_ID, MAX_TIME_TO_LIVE, MAX_TOKEN, MAX_TOPIC_DATA,
    };
    use super::super::options::Priority;
    use super::super::target::Topic;
    use super::*;

    fn check(message: Downstream) -> Result<(), InvalidMessage> {
        message.encode("m-1").map(|_| ())
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
        assert!(message.clone().encode(id(MAX_MESSAGE_ID)).is_ok());
        assert_eq!(
            message.clone().encode(id(0)),
            Err(InvalidMessage::Empty("message_id"))
        );
        let too_long = message.encode(id(MAX_MESSAGE_ID + 1)).unwrap_err();
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
    fn a_stanza_may_fill_its_limit_and_not_more() {
        let plain = Downstream::to("T");
        // All that its target and its id can be escaped to.
        let escaped = Downstream::to("\u{1}".repeat(MAX_TOKEN).as_str());
        for (message, id) in [(plain, "m".to_owned()), (escaped, "\"".repeat(250))] {
            let padded = |spaces| {
                let data = Data::from_json(&format!("{{{}}}", " ".repeat(spaces))).unwrap();
                message.clone().with_data(data).encode(id.as_str())
            };
            let spaces = MAX_STANZA - padded(0).unwrap().stanza().len();
            let full = padded(spaces).unwrap();
            assert_eq!(full.stanza().len(), MAX_STANZA);
            assert_eq!(
                padded(spaces + 1),
                Err(InvalidMessage::TooLarge {
                    field: "message",
                    size: MAX_STANZA + 1,
                    limit: MAX_STANZA
                })
            );
        }
    }

    #[test]
    fn a_stanza_weighs_what_its_parts_have() {
        let weight = |message: Downstream, id: &str| message.encode(id).unwrap().weight();
        let one = || Downstream::to("T");
        let data = |spaces| one().with_data(Data::from_json(&format!("{{{spaces}}}")).unwrap());
        let title = |title| one().notification(Notification::new().title(title));
        for (light, heavy, by) in [
            (weight(one(), "m"), weight(one(), "m-1"), 4),
            (weight(one(), "m"), weight(Downstream::to("TOKEN"), "m"), 4),
            (
                weight(one().collapse_key("k"), "m"),
                weight(one().collapse_key("key"), "m"),
                2,
            ),
            (weight(data(""), "m"), weight(data("  "), "m"), 2),
            (weight(title("t"), "m"), weight(title("title"), "m"), 4),
        ] {
            assert_eq!(heavy - light, by);
        }
        let everything = Downstream::to("T")
            .priority(Priority::Normal)
            .content_available(false)
            .mutable_content(false)
            .delay_while_idle(false)
            .time_to_live(Duration::from_secs(MAX_TIME_TO_LIVE))
            .receipt_requested(false)
            .dry_run(false)
            .collapse_key("k")
            .data("k", "v")
            .notification(Notification::new())
            .encode("m")
            .unwrap();
        // What `FRAME` says of itself.
        assert!(everything.stanza().len() <= everything.weight() + FRAME);
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
        // However the payload was made, and however the key is written.
        let written = Data::from_json(r#"{"a":"1","\u0066rom":"1"}"#).unwrap();
        let listed: Data = [("a", "1"), ("from", "1")].into_iter().collect();
        let received = Data::from_part(r#"{"a":"1","from":"1"}"#.into());
        for data in [written.clone(), written.with("b", "1"), listed, received] {
            let key = "from".to_owned();
            let reserved = check(Downstream::to("T").with_data(data));
            assert_eq!(reserved, Err(InvalidMessage::ReservedKey { key }));
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
        let encoded = message.encode("m-1366082849205").unwrap();
        assert_eq!(
            encoded.stanza(),
            "<message id=\"m-1366082849205\"><gcm xmlns=\"google:mobile:data\">\
             {\"to\":\"REGISTRATION_ID\",\"message_id\":\"m-1366082849205\",\"delay_while_idle\":true,\
             \"time_to_live\":600,\"delivery_receipt_requested\":true,\"data\":{\"hello\":\"world\"}}\
             </gcm></message>"
        );
        let tickle = Downstream::to("T").encode("<&\0").unwrap();
        assert_eq!(
            tickle.stanza(),
            "<message id=\"\"><gcm xmlns=\"google:mobile:data\">\
             {\"to\":\"T\",\"message_id\":\"\\u003c\\u0026\\u0000\"}</gcm></message>"
        );
    }
}
