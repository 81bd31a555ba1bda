//! What is written is read as the same, whatever text is in it, and never holds what XML forbids.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::habit::Tolerance;
use crate::text::Text;

fn any_text(bytes: usize) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<".to_owned()),
        Just("&".to_owned()),
        Just("]]>".to_owned()),
        Just("\0".to_owned()),
        Just("\u{fffe}\u{ffff}".to_owned()),
        Just("\u{feff}\u{1f419}".to_owned()),
        Just("\"\\\r\n\t".to_owned()),
        any::<char>().prop_map(String::from),
        "[a-z]{1,8}",
    ];
    vec(piece, 1..8).prop_map(move |pieces| {
        let mut text = pieces.concat();
        text.truncate(text.floor_char_boundary(bytes));
        if text.is_empty() {
            "x".to_owned()
        } else {
            text
        }
    })
}

fn any_data() -> impl Strategy<Value = Data> {
    // A first letter that no reserved key has.
    let key = any_text(40).prop_map(|key| format!("k{key}"));
    vec((key, any_text(40)), 0..5).prop_map(|pairs| pairs.into_iter().collect())
}

/// The JSON between the tags, after a check that it needs no unescaping.
fn json_of(stanza: &[u8]) -> Text {
    let stanza = std::str::from_utf8(stanza).unwrap();
    assert_eq!(crate::xml::chars::find_illegal(stanza), None);
    // Not the first brace: the stanza's id may hold one.
    let (_, json) = stanza.split_once("\"google:mobile:data\">").unwrap();
    let (json, _) = json.split_once("</").unwrap();
    assert!(!json.contains(['<', '>', '&']), "{json}");
    assert!(!json.bytes().any(|byte| byte < 0x20), "{json:?}");
    Text::from(json)
}

fn from_endpoint(out: &BytesMut) -> FromEndpoint {
    FromEndpoint::parse(&json_of(out)).unwrap()
}

proptest! {
    #[test]
    fn downstream(
        id in any_text(256), to in any_text(300), data in any_data(), key in any_text(200),
        title in any_text(99), seconds in 0..=limits::MAX_TIME_TO_LIVE, yes in any::<bool>(),
    ) {
        let message = Downstream::to(to)
            .with_data(data)
            .collapse_key(key)
            .notification(Notification::new().title(title.as_str()))
            .time_to_live(std::time::Duration::from_secs(seconds))
            .receipt_requested(yes)
            .dry_run(!yes)
            .priority(if yes { Priority::High } else { Priority::Normal });
        let encoded = message.clone().encode(id.as_str()).unwrap();
        let read = FromAppServer::parse(&json_of(&encoded.stanza()), Tolerance::Nothing).unwrap();
        let message_id = MessageId::from(id.as_str());
        prop_assert_eq!(read, FromAppServer::Downstream { message_id, message });
    }

    #[test]
    fn upstream(
        id in any_text(256), from in any_text(300), data in any_data(), category in any_text(99),
        seconds in any::<u64>(),
    ) {
        let message = Upstream::new(from, id)
            .with_data(data)
            .with_category(category)
            .with_time_to_live(seconds);
        let mut out = BytesMut::new();
        envelope::push_upstream(&mut out, "1@gcm.googleapis.com", &message);
        prop_assert_eq!(from_endpoint(&out), FromEndpoint::Upstream(message));
    }

    #[test]
    fn receipt(id in any_text(256), device in any_text(300), at in any::<u64>()) {
        let receipt = Receipt::new(&id.into(), device, at).with_category("app");
        let mut out = BytesMut::new();
        envelope::push_receipt(&mut out, "1@gcm.googleapis.com", &receipt);
        prop_assert_eq!(from_endpoint(&out), FromEndpoint::Receipt(receipt));
    }

    #[test]
    fn answers(id in any_text(256), from in any_text(300), text in any_text(99)) {
        let mut out = BytesMut::new();
        envelope::push_ack(&mut out, &from, &id, Some(&text));
        let FromEndpoint::Ack(ack) = from_endpoint(&out) else { panic!("no ack") };
        prop_assert_eq!(ack.message_id.as_str(), &id);
        prop_assert_eq!(ack.from.as_deref(), Some(from.as_str()));
        prop_assert_eq!(ack.canonical.as_ref().map(RegistrationToken::as_str), Some(text.as_str()));

        let mut out = BytesMut::new();
        envelope::push_nack(&mut out, Some(&from), &id, &NackCode::BadRegistration, &text);
        let FromEndpoint::Nack(nack) = from_endpoint(&out) else { panic!("no nack") };
        prop_assert_eq!(nack.message_id.as_str(), &id);
        prop_assert_eq!(nack.code, NackCode::BadRegistration);
        prop_assert_eq!(nack.description.as_deref(), Some(text.as_str()));

        let mut out = BytesMut::new();
        envelope::push_client_ack(&mut out, &from, &id);
        let read = FromAppServer::parse(&json_of(&out), Tolerance::Nothing).unwrap();
        prop_assert_eq!(read, FromAppServer::Ack { message_id: id.into(), to: from.into() });
    }
}
