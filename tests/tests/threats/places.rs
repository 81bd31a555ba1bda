//! Names and places: what is read as something else than it is, and what stands where it may not.

use ccs_proto::StreamCondition::{BadFormat, BadNamespacePrefix, UnsupportedStanzaType};
use ccs_proto::message::{Downstream, NackCode};
use ccs_proto::{ClientEvent, Habit, Ignored, ServerEvent};
use ccs_tests::pair::{Pair, upstream};

use super::attacked::{At, BOUND, HEADER};

#[test]
fn x9_names_are_pairs_of_namespace_and_local_name() {
    let no_prefix = |at: At, bytes: &str| {
        at.given_in_every_cut(bytes)
            .is_told(&BadNamespacePrefix, "prefix");
    };
    for at in BOUND {
        for bytes in [
            "<p:message/>",
            "<message p:a=''/>",
            "<message><a xmlns:p='u'/><p:b/></message>",
            "<message xmlns:xml='u'/>",
            "<message xmlns:xmlns='u'/>",
            "<message xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
            "<message xmlns='http://www.w3.org/2000/xmlns/'/>",
        ] {
            no_prefix(at, bytes);
        }
        for bytes in [
            "<message a='1' a='2'/>",
            "<message xmlns='jabber:client' xmlns='jabber:client'/>",
            "<message xmlns:p='u' xmlns:p='u'/>",
            "<message xmlns:p='u' xmlns:q='u' p:a='' q:a=''/>",
        ] {
            at.given_in_every_cut(bytes)
                .is_told(&at.ill_formed(), "an attribute twice in one tag");
        }
        at.given("<message xmlns:p=''/>")
            .is_told(&at.ill_formed(), "a prefix for no namespace");
    }
}

#[test]
fn x9_gcm_is_known_by_its_namespace_and_by_nothing_else() {
    let body = r#"{"message_id":"1","to":"T"}"#;
    for (gcm, counts) in [
        ("<gcm xmlns='google:mobile:data'>@</gcm>", true),
        (
            "<data:gcm xmlns:data='google:mobile:data'>@</data:gcm>",
            true,
        ),
        (
            "<x:gcm xmlns:x='google:mobile:data' xmlns='evil'>@</x:gcm>",
            true,
        ),
        ("<gcm xmlns='google:mobile:&#100;ata'>@</gcm>", true),
        ("<gcm>@</gcm>", false),
        ("<gcm xmlns='evil'>@</gcm>", false),
        ("<data:gcm xmlns:data='evil'>@</data:gcm>", false),
        ("<gcm xmlns='google:mobile:data '>@</gcm>", false),
        ("<gcm xmlns='google:mobile'>@</gcm>", false),
        ("<data xmlns='google:mobile:data'>@</data>", false),
        ("<gcm xmlns=''>@</gcm>", false),
    ] {
        let mut pair = Pair::bound();
        pair.server_reads(&format!("<message>{}</message>", gcm.replace('@', body)));
        pair.drive();
        assert_eq!(pair.downstreams().len(), usize::from(counts), "{gcm}");
        let refused = pair.downwards.text().contains("<error code=\"400\"");
        assert_eq!(refused, !counts, "{gcm}");
    }
}

#[test]
fn x10_nothing_of_the_stream_may_stand_inside_a_stanza() {
    for name in ["stream", "error", "features", "x"] {
        for tag in [
            format!("<stream:{name}></stream:{name}>"),
            format!("<s:{name} xmlns:s='http://etherx.jabber.org/streams'/>"),
            format!("<{name} xmlns='http://etherx.jabber.org/streams'/>"),
        ] {
            for at in BOUND {
                for stanza in [
                    format!("<message>{tag}</message>"),
                    format!("<iq><a>{tag}</a></iq>"),
                ] {
                    at.given_in_every_cut(stanza)
                        .is_told(&at.ill_formed(), "an element of the stream inside a stanza");
                }
            }
        }
    }
}

#[test]
fn x10_a_stream_inside_the_stream_is_no_stream() {
    let message = r#"<message><gcm xmlns="google:mobile:data">{"message_id":"1","to":"T","from":"T"}</gcm></message>"#;
    for at in BOUND {
        let mut attacked = at.open();
        let pieces = [HEADER.as_bytes(), message.as_bytes()];
        assert_eq!(attacked.feed(pieces), None, "it has not ended");
        assert!(attacked.pair.server_events.is_empty() && attacked.pair.client_events.is_empty());
        assert!(attacked.feed([&b"</stream:stream>"[..]]).is_some());
        let said = attacked.said();
        assert!(said.ends_with("</stream:error></stream:stream>"), "{said}");
    }
}

#[test]
fn x10_a_stanza_holds_one_message_and_only_its_own_child_counts() {
    let one = r#"<gcm xmlns="google:mobile:data">{"message_id":"1","to":"T"}</gcm>"#;
    for inside in [
        format!("{one}{one}"),
        format!("<message>{one}</message>"),
        format!("<a>{one}</a>"),
        format!("<a><b>{one}</b></a>"),
        String::new(),
    ] {
        let mut pair = Pair::bound();
        pair.server_reads(&format!("<message>{inside}</message>"));
        pair.drive();
        assert!(pair.downstreams().is_empty(), "{inside}");
        assert!(
            pair.downwards.text().contains("<error code=\"400\""),
            "{inside}"
        );
        let event = one.replace("\"to\":\"T\"", "\"from\":\"T\"");
        pair.client_reads(&format!(
            "<message>{}</message>",
            inside.replace(one, &event)
        ));
        let last = pair.client_events.pop();
        assert!(
            matches!(last, Some(ClientEvent::Ignored(Ignored::NoBody))),
            "{inside}: {last:?}"
        );
    }
}

#[test]
fn x11_text_and_unknown_elements_at_the_level_of_the_stream() {
    for at in BOUND {
        at.given(" \r\n\t").is_fine();
        for unknown in [
            "<x/>",
            "<message xmlns='evil'/>",
            "<stream:x/>",
            "<message xmlns=''/>",
        ] {
            let words = if at.is_server() {
                "no stanza"
            } else {
                "where it does not belong"
            };
            at.given_in_every_cut(unknown)
                .is_told(&UnsupportedStanzaType, words);
        }
    }
    At::ClientBound
        .given("x")
        .is_told(&BadFormat, "text between stanzas");
    At::ServerLogin
        .given("x")
        .is_told(&BadFormat, "text between stanzas");
    // Known clients write it (`docs/protocol.md` §12 #49).
    let mut attacked = At::ServerBound.open();
    assert_eq!(attacked.feed([&b"\\n"[..], b"<presence/>", b"\\n"]), None);
    let strays = attacked
        .pair
        .server_events
        .iter()
        .filter(|event| matches!(event, ServerEvent::Ignored(Habit::StrayText)));
    assert_eq!(strays.count(), 2);
    for beyond in ["]]>", "&amp;", "&x;", "é", "\0"] {
        let outcome = At::ServerBound.given(beyond);
        assert!(outcome.error.is_some(), "{beyond:?}");
    }
}

#[test]
fn x12_no_text_of_an_application_can_break_out_of_its_place() {
    let nasty = [
        "</gcm></message></stream:stream>",
        "]]>",
        "<![CDATA[",
        "\"'<>&&amp;&#0;",
        "\\\"}\u{0}\u{1f}\u{7f}\u{85}",
        "\u{fffe}\u{ffff}\u{feff}\u{10ffff}\u{2028}",
        "\r\n\r\t",
    ];
    for text in nasty {
        let mut pair = Pair::bound();
        let message = Downstream::to(text).data(text, text).collapse_key(text);
        let encoded = message.clone().encode(text).unwrap();
        pair.client.reserve().unwrap().send(encoded).unwrap();
        pair.server
            .send(upstream(text).with_category(text))
            .unwrap();
        pair.drive();
        let (id, got, token) = pair.downstreams().remove(0);
        assert_eq!((id.as_str(), got), (text, message));
        let nack = NackCode::InvalidJson;
        pair.server.nack(token, &nack, text).unwrap();
        for token in pair.ack_tokens() {
            pair.client.ack(token).unwrap();
        }
        pair.drive();
        assert_eq!(pair.client_log(), [format!("refused {text} INVALID_JSON")]);
        assert_eq!(pair.server_log(), [format!("acked {text}")]);
        assert!(pair.server.is_open() && !pair.client.is_ending());
    }
}
