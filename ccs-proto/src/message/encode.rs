//! A downstream message checked and written, once for as often as it is sent.

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
use super::target::Target;

/// Bytes that a stanza has beside target, ids and payload, mostly.
const FRAME: usize = 192;

impl Downstream {
    /// Checks the message and writes its whole stanza, once: a retry sends the same bytes again. The payload is shared with
    /// the message, and with others that have the same.
    ///
    /// # Errors
    /// The first rule that it breaks, with the field, its size and the limit.
    pub fn encode(self, id: impl Into<MessageId>) -> Result<EncodedDownstream, InvalidMessage> {
        let id = id.into();
        self.check(&id)?;
        let ids = id.as_str().len().saturating_mul(2);
        let size = self.target.as_str().len().saturating_add(ids);
        let mut frame = Vec::with_capacity(size.saturating_add(FRAME));
        let data_at = envelope::push_downstream(&mut frame, &self, &id);
        let escaped = match self.data.as_ref().map(Data::for_wire) {
            Some(Cow::Owned(escaped)) => Some(escaped),
            _ => None,
        };
        let encoded = EncodedDownstream(Arc::new(Encoded {
            id,
            frame,
            data_at,
            escaped,
            message: self,
        }));
        limits::check_size("message", encoded.stanza_len(), MAX_STANZA)?;
        Ok(encoded)
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

    /// The JSON body without the payload, and where that belongs in `out`.
    pub(super) fn push_json(&self, out: &mut Vec<u8>, id: &MessageId) -> usize {
        out.put_slice(match &self.target {
            Target::Condition(_) => b"{\"condition\":\"",
            Target::Token(_) | Target::Topic(_) => b"{\"to\":\"",
        });
        push_in_string(out, self.target.as_str());
        out.put_slice(b"\",\"message_id\":\"");
        push_in_string(out, id.as_str());
        out.put_slice(b"\"");
        self.options.push(&mut Object::go_on(out));
        if self.data.is_some() {
            out.put_slice(b",\"data\":");
        }
        let data_at = out.len();
        let mut object = Object::go_on(out);
        if let Some(notification) = &self.notification {
            object.raw("notification", &notification.to_json());
        }
        object.close();
        data_at
    }
}

/// A message that was checked, with the bytes of its stanza. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedDownstream(Arc<Encoded>);

#[derive(PartialEq, Eq)]
struct Encoded {
    id: MessageId,
    /// The stanza without the payload.
    frame: Vec<u8>,
    /// Where the payload belongs in it.
    data_at: usize,
    /// The payload, where it is not sent as it is in the message.
    escaped: Option<String>,
    message: Downstream,
}

impl EncodedDownstream {
    /// The message's id.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        &self.0.id
    }

    /// The stanza, put together anew.
    #[must_use]
    pub fn stanza(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.push_stanza(&mut out);
        out.freeze()
    }

    /// Appends the stanza.
    pub fn push_stanza(&self, out: &mut BytesMut) {
        // `data_at` is within the frame, where it was taken from.
        let frame = self.0.frame.split_at_checked(self.0.data_at);
        let (head, tail) = frame.unwrap_or_default();
        out.reserve(self.stanza_len());
        out.extend_from_slice(head);
        out.extend_from_slice(self.data().as_bytes());
        out.extend_from_slice(tail);
    }

    /// Bytes of the stanza.
    #[must_use]
    pub fn stanza_len(&self) -> usize {
        self.0.frame.len().saturating_add(self.data().len())
    }

    fn data(&self) -> &str {
        match &self.0.escaped {
            Some(escaped) => escaped,
            None => self.0.message.payload().map_or("", Data::as_json),
        }
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
    use super::super::limits::{MAX_DATA, MAX_MESSAGE_ID, MAX_TIME_TO_LIVE, MAX_TOPIC_DATA};
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
