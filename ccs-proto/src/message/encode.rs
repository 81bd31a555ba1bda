//! A downstream message checked and written, once for as often as it is sent.

use bytes::{Bytes, BytesMut};

use super::downstream::Downstream;
use super::envelope;
use super::ids::MessageId;
use super::json::Object;
use super::limits::{self, InvalidMessage, MAX_COLLAPSE_KEY, MAX_NOTIFICATION, MAX_STANZA};
use super::target::Target;

impl Downstream {
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
            data.push(&mut object);
        }
        if let Some(notification) = &self.notification {
            object.raw("notification", &notification.to_json());
        }
        object.close();
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
    use std::time::Duration;

    use super::super::data::Data;
    use super::super::limits::{MAX_DATA, MAX_MESSAGE_ID, MAX_TIME_TO_LIVE, MAX_TOPIC_DATA};
    use super::super::target::Topic;
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
