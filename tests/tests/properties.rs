//! What holds for every text, and for every cut of the bytes into reads.

use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::internals::{Item, Reader, push_attribute, push_text};
use ccs_proto::message::{Data, Downstream, NackCode, Notification, Receipt, Upstream};
use ccs_proto::{ClientEvent, Outcome, ServerConfig, ServerEvent, XmlLimits};
use ccs_tests::pair::{Pair, client_config};
use proptest::prelude::*;
use proptest::sample::select;

/// A failing case is printed; nothing is written beside the sources.
fn settings() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Characters that XML, JSON or UTF-8 treat in a way of their own, and some that nobody does.
fn hostile() -> impl Strategy<Value = String> {
    const PIECES: [&str; 33] = [
        "<",
        ">",
        "&",
        "]]>",
        "\"",
        "'",
        "\\",
        "\\u0000",
        "&amp;",
        "&#0;",
        "<!--",
        "<![CDATA[",
        "\0",
        "\u{1}",
        "\u{7f}",
        "\r",
        "\n",
        "\t",
        " ",
        "\u{fffe}",
        "\u{ffff}",
        "\u{fffd}",
        "\u{2028}",
        "\u{1f600}",
        "\u{10ffff}",
        "\u{feff}",
        "é",
        "a",
        "0",
        "{",
        "}",
        ":",
        "/topics",
    ];
    let piece = prop_oneof![
        6 => select(&PIECES[..]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// The same as an id: never empty.
fn id() -> impl Strategy<Value = String> {
    hostile().prop_map(|text| {
        if text.is_empty() {
            "m".to_owned()
        } else {
            text
        }
    })
}

fn data() -> impl Strategy<Value = Data> {
    // A digit first: some words are reserved as keys.
    let pair = (hostile().prop_map(|key| format!("0{key}")), hostile());
    prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn notification() -> impl Strategy<Value = Notification> {
    let list = prop::collection::vec(hostile(), 0..3);
    (hostile(), hostile(), list).prop_map(|(title, body, list)| {
        let shown = Notification::new().title(title).body(body);
        shown.body_loc_key("KEY").body_loc_args(list)
    })
}

fn downstream() -> impl Strategy<Value = Downstream> {
    let options = (hostile(), any::<bool>(), 0..2_419_200_u64);
    (id(), options, data(), prop::option::of(notification())).prop_map(
        |(to, (key, flag, ttl), data, shown)| {
            let message = Downstream::to(format!("t{to}"))
                .collapse_key(key)
                .receipt_requested(flag)
                .content_available(!flag)
                .time_to_live(Duration::from_secs(ttl))
                .with_data(data);
            match shown {
                Some(shown) => message.notification(shown),
                None => message,
            }
        },
    )
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn a_downstream_message_and_its_ack_arrive_as_they_were_sent(
        id in id(), message in downstream(), canonical in prop::option::of(hostile()),
    ) {
        let encoded = message.clone().encode(id.clone()).unwrap();
        let mut pair = Pair::bound();
        pair.client.reserve().unwrap().send(encoded).unwrap();
        pair.drive();
        let (got_id, got, token) = pair.downstreams().pop().unwrap();
        prop_assert_eq!(got_id.as_str(), &id);
        prop_assert_eq!(&got, &message);
        let canonical = canonical.map(Into::into);
        pair.server.ack(token, canonical.as_ref()).unwrap();
        pair.drive();
        let Some(ClientEvent::Answered { message_id, outcome: Outcome::Accepted(ack) }) =
            pair.client_events.pop()
        else {
            panic!("no ack");
        };
        prop_assert_eq!(message_id.as_str(), &id);
        prop_assert_eq!(ack.from.as_deref(), Some(message.target().as_str()));
        prop_assert_eq!(ack.canonical, canonical);
    }

    #[test]
    fn a_nack_arrives_as_it_was_sent(id in id(), code in hostile(), description in hostile()) {
        let mut pair = Pair::bound();
        pair.send(&id);
        let token = pair.answer_tokens().pop().unwrap();
        let code = NackCode::Other(code.into());
        pair.server.nack(token, &code, &description).unwrap();
        pair.drive();
        let Some(ClientEvent::Answered { message_id, outcome: Outcome::Refused(nack) }) =
            pair.client_events.pop()
        else {
            panic!("no nack");
        };
        prop_assert_eq!(message_id.as_str(), &id);
        prop_assert_eq!(nack.code, code);
        prop_assert_eq!(nack.description.as_deref(), Some(description.as_str()));
    }

    #[test]
    fn an_upstream_message_and_its_ack_arrive_as_they_were_sent(
        from in hostile(), id in id(), category in hostile(), data in data(), ttl: u64,
    ) {
        let sent = Upstream::new(from, id)
            .with_category(category)
            .with_data(data)
            .with_time_to_live(ttl);
        let mut pair = Pair::bound();
        pair.server.send(sent.clone()).unwrap();
        pair.drive();
        let Some(ClientEvent::Upstream { message, token }) = pair.client_events.pop() else {
            panic!("no message");
        };
        prop_assert_eq!(&message, &sent);
        pair.client.ack(token).unwrap();
        pair.drive();
        prop_assert!(matches!(&pair.server_events[..], [ServerEvent::Acked(done)] if *done == sent));
    }

    #[test]
    fn a_receipt_and_its_ack_arrive_as_they_were_sent(
        id in id(), device in hostile(), category in hostile(), sent_at: u64,
    ) {
        let sent = Receipt::new(&id.into(), device, sent_at).with_category(category);
        let mut pair = Pair::bound();
        pair.server.send_receipt(sent.clone()).unwrap();
        pair.drive();
        let Some(ClientEvent::Receipt { receipt, token }) = pair.client_events.pop() else {
            panic!("no receipt");
        };
        prop_assert_eq!(&receipt, &sent);
        pair.client.ack(token).unwrap();
        pair.drive();
        prop_assert!(matches!(&pair.server_events[..], [ServerEvent::ReceiptAcked(done)] if *done == sent));
    }

    #[test]
    fn a_message_that_the_server_cannot_read_settles_by_what_comes_back(
        id in id(), rest in hostile(),
    ) {
        // The client's own stanza, broken on its way.
        let mut pair = Pair::bound();
        pair.upwards.open = false;
        pair.accept(&id);
        let mut out = BytesMut::new();
        prop_assert!(pair.client.poll_transmit(pair.now, &mut out));
        let stanza = String::from_utf8(out.to_vec()).unwrap();
        let mut escaped = BytesMut::new();
        push_text(&mut escaped, &rest);
        let escaped = String::from_utf8(escaped.to_vec()).unwrap();
        pair.server_reads(&stanza.replace("}</gcm>", &format!("}} x{escaped}</gcm>")));
        pair.drive();
        let log = pair.client_log();
        prop_assert_eq!(log.len(), 1);
        // Where XML cannot carry the id, the unreadable body cannot name it either.
        let named = stanza.contains("<message id=\"\">");
        prop_assert_eq!(log[0].starts_with("ignored"), named, "{}", log[0]);
        prop_assert_eq!(pair.client.in_flight(), usize::from(named));
    }

    #[test]
    fn any_string_survives_the_writer(text in prop_oneof![hostile(), any::<String>()]) {
        let mut out = BytesMut::new();
        out.extend_from_slice(b"<a b=\"");
        push_attribute(&mut out, &text);
        out.extend_from_slice(b"\">");
        push_text(&mut out, &text);
        out.extend_from_slice(b"</a>");
        let legal = |c: char| match c {
            '\t' | '\n' | '\r' => c,
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            c => c,
        };
        let expected: String = text.chars().map(legal).collect();
        let mut reader = Reader::new(XmlLimits::default());
        let mut cursor = reader.element(&out).unwrap();
        let Some(Item::Start(tag)) = cursor.next().unwrap() else { panic!() };
        prop_assert_eq!(tag.attribute("b"), Some(expected.as_str()));
        prop_assert_eq!(cursor.text().unwrap(), expected);
    }
}

const CLIENT_HEADER: &str = "<stream:stream to=\"x\" version=\"1.0\" xmlns=\"jabber:client\" \
     xmlns:stream=\"http://etherx.jabber.org/streams\">";
const SERVER_HEADER: &str = "<stream:stream from=\"x\" id=\"1\" version=\"1.0\" \
     xmlns:stream=\"http://etherx.jabber.org/streams\" xmlns=\"jabber:client\">";

fn gcm(body: &str) -> String {
    format!("<message id='s'><g:gcm xmlns:g=\"google:mobile:data\">{body}</g:gcm></message>")
}

/// Everything that a peer may send on a bound stream, and some things that it may not.
fn stanza() -> impl Strategy<Value = String> {
    let stanzas = vec![
        gcm(r#"{"to":"phone-1","message_id":"1","data":{"a":"&lt;\u003c\u00e9 😀"}}"#),
        gcm(r#"{"to":"phone-1","message_id":"2","time_to_live":"abc"}"#),
        gcm(r#"<![CDATA[{"to":"phone-1","message_id":"3","from":"phone-1"}]]>"#),
        gcm(r#"{"message_type":"ack","message_id":"m-1","to":"phone-1","from":"phone-1"}"#),
        gcm(r#"{"message_type":"ack","message_id":"m-2","from":"phone-1","registration_id":"r"}"#),
        gcm(r#"{"message_type":"nack","message_id":"m-2","error":"BAD_REGISTRATION"}"#),
        gcm(r#"{"message_type":"control","control_type":"CONNECTION_DRAINING"}"#),
        gcm(r#"{"message_type":"receipt","message_id":"dr2:1","from":"gcm.googleapis.com"}"#),
        gcm("no JSON"),
        gcm("").replace("id='s'", "id='m-3' type='error'"),
        "<message/>".to_owned(),
        "<presence><show>away</show></presence>".to_owned(),
        "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>".to_owned(),
        "<iq type='get'><query xmlns='jabber:iq:roster'/></iq>".to_owned(),
        " \n\t".to_owned(),
    ];
    const OFFENCES: [&str; 7] = [
        "stray",
        "<!-- c -->",
        "<a></b>",
        "<x:y/>",
        "&",
        "\u{0}",
        "</stream:stream>",
    ];
    prop_oneof![20 => select(stanzas), 1 => select(&OFFENCES[..]).prop_map(str::to_owned)]
}

/// Gives `bytes` to one end in reads of the given sizes, over and over.
fn in_reads(bytes: &str, sizes: &[usize], mut read: impl FnMut(&[u8])) {
    let mut rest = bytes.as_bytes();
    for size in sizes.iter().cycle() {
        let (now, later) = rest.split_at(rest.len().min(*size));
        read(now);
        rest = later;
        if rest.is_empty() {
            return;
        }
    }
}

/// What a server does with a session that comes in such reads: its events, its output, its end.
fn server_session(session: &[String], sizes: &[usize]) -> (Vec<String>, String) {
    // `\0` + the sender + `\0KEY`.
    let auth =
        "<auth mechanism='PLAIN' xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>ADEyMwBLRVk=</auth>";
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    let mut pair = Pair::new(client_config(), ServerConfig::default());
    let login = [CLIENT_HEADER, auth, "\n", CLIENT_HEADER, bind].concat();
    let mut out = BytesMut::new();
    for bytes in [login, session.concat()] {
        in_reads(&bytes, sizes, |read| {
            let _ = pair.server.receive(pair.now, read);
            pair.collect();
        });
        for id in ["m-1", "m-2"] {
            let _ = pair.server.send(Upstream::new("phone-1", id));
        }
        while pair.server.poll_transmit(pair.now, &mut out) {}
    }
    pair.collect();
    let mut log = pair.server_log();
    assert!(log[0].starts_with("bound"), "{log:?}");
    // How much stray text there was is told read by read.
    log.retain(|words| !words.contains("StrayText"));
    (log, String::from_utf8(out.to_vec()).unwrap())
}

/// The same of a client.
fn client_session(session: &[String], sizes: &[usize]) -> (Vec<String>, String) {
    let plain = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
    let success = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    let bound = "<stream:features/><iq type='result'>\
         <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>a@b/c</jid></bind></iq>";
    let mut pair = Pair::new(client_config(), ServerConfig::default());
    for id in ["m-1", "m-2", "m-3"] {
        pair.accept(id);
    }
    let login = [SERVER_HEADER, plain, success, SERVER_HEADER, bound].concat();
    let mut out = BytesMut::new();
    for bytes in [login, session.concat()] {
        in_reads(&bytes, sizes, |read| {
            let _ = pair.client.receive(pair.now, read);
        });
        while pair.client.poll_transmit(pair.now, &mut out) {}
    }
    pair.collect();
    let log = pair.client_log();
    assert_eq!(log[0], "bound a@b/c");
    (log, String::from_utf8(out.to_vec()).unwrap())
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn any_cut_into_reads_gives_the_same_events_and_the_same_output_in_both_roles(
        session in prop::collection::vec(stanza(), 0..20),
        sizes in prop::collection::vec(1..200_usize, 1..20),
    ) {
        let whole = [usize::MAX];
        prop_assert_eq!(server_session(&session, &sizes), server_session(&session, &whole));
        prop_assert_eq!(client_session(&session, &sizes), client_session(&session, &whole));
        prop_assert_eq!(client_session(&session, &[1]), client_session(&session, &whole));
        prop_assert_eq!(server_session(&session, &[1]), server_session(&session, &whole));
    }
}
