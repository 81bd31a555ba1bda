//! XML that XMPP forbids, and bytes that are no XML.

use ccs_proto::StreamCondition::{
    NotAuthorized, RestrictedXml, UnsupportedEncoding, UnsupportedStanzaType,
};
use ccs_tests::pair::Pair;

use super::attacked::{At, BOUND, HEADER, INSIDE, STARTS, gcm};

/// Document types and their relatives, complete as XML has them and broken.
fn doctypes() -> Vec<String> {
    let lol = "<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;'>";
    let subsets = [
        "",
        "[]",
        "[<!ENTITY % p SYSTEM 'http://192.0.2.1/x'>%p;]",
        "[<!ENTITY x SYSTEM 'file:///etc/passwd'>]",
        "[<!ELEMENT s ANY><!ATTLIST s a CDATA 'x'>]",
        "[<!NOTATION n PUBLIC 'n'><!-- x -->]",
        &format!("[{lol}]"),
    ];
    let ids = [
        "",
        " SYSTEM 'x.dtd'",
        " PUBLIC '-//X//Y' 'http://192.0.2.1/'",
    ];
    let mut all = Vec::new();
    for name in ["!DOCTYPE s", "!doctype s", "!DOCTYPE", "!DocType html"] {
        for id in ids {
            all.extend(subsets.map(|subset| format!("<{name}{id} {subset}>")));
        }
    }
    let sections = ["INCLUDE", "IGNORE", " %p; ", "include"];
    all.extend(sections.map(|name| format!("<![{name}[<!ENTITY a 'b'>]]>")));
    all.extend(
        [
            "!ENTITY a 'b'",
            "!ELEMENT a ANY",
            "!ATTLIST a b ID #IMPLIED",
            "!entity",
            "!",
        ]
        .map(|declaration| format!("<{declaration}>")),
    );
    all
}

#[test]
fn x1_a_doctype_in_every_form_and_place_is_refused_before_it_is_read() {
    let forms = doctypes();
    let places = [
        "@",
        "<message>@</message>",
        "<message><gcm>x@</gcm></message>",
    ];
    assert!(forms.len() * (places.len() + 2) >= 200);
    for form in &forms {
        for at in STARTS {
            for before in ["", "<?xml version='1.0'?>\n"] {
                let outcome = at.given(format!("{before}{form}"));
                outcome.is_told(&RestrictedXml, "");
            }
        }
        for place in places {
            for at in INSIDE {
                let bytes = place.replace('@', form);
                let outcome = at.given(&bytes);
                outcome.is_told(&RestrictedXml, "a comment");
                // Two bytes are enough: `<![` could still have been a CDATA section.
                let until = bytes.len().min(bytes.find("<!").unwrap() + 4);
                let early = at.given(&bytes[..until]);
                assert_eq!(early.error, outcome.error, "{bytes}");
            }
        }
    }
}

#[test]
fn x1_a_doctype_is_refused_however_it_is_cut() {
    for form in doctypes().iter().step_by(5) {
        for at in [At::ServerLogin, At::ServerBound] {
            let outcome = at.given_in_every_cut(format!("<message>{form}</message>"));
            outcome.is_told(&RestrictedXml, "a comment");
        }
        At::ServerStart
            .given_in_every_cut(form)
            .is_told(&RestrictedXml, "");
    }
}

#[test]
fn x1_no_entity_but_the_five_is_known() {
    for entity in ["&lol;", "&nbsp;", "&AMP;", "&x;&x;"] {
        for at in BOUND {
            let outcome = at.given_in_every_cut(gcm(entity));
            outcome.is_told(&RestrictedXml, "an entity other than the predefined five");
            let value = format!("<message id='{entity}'/>");
            at.given(value).is_told(&RestrictedXml, "an entity");
        }
    }
    let mut pair = Pair::bound();
    let body = r#"{"message_id":"1","to":"T","data":{"a":"&lt;&gt;&amp;&apos;&#x41;&#66;"}}"#;
    pair.server_reads(&gcm(body));
    let (_, message, _) = pair.downstreams().remove(0);
    assert_eq!(message.payload().unwrap().get("a").unwrap(), "<>&'AB");
}

#[test]
fn x2_what_xmpp_forbids_of_xml_is_refused_by_name() {
    for at in INSIDE {
        for (bytes, words) in [
            ("<?php x?>", "a processing instruction"),
            ("<message><?x?></message>", "a processing instruction"),
            ("<?xml version='1.0'?>", "a processing instruction"),
            (
                "<message><?xml version='1.0'?></message>",
                "a processing instruction",
            ),
            ("<!-- x -->", "a comment"),
            ("<message><!-- x --></message>", "a comment"),
            ("<![CDATA[x]]>", "a CDATA section"),
        ] {
            at.given_in_every_cut(bytes).is_told(&RestrictedXml, words);
        }
    }
    for at in STARTS {
        for (declaration, condition, words) in [
            (
                "version='1.0' standalone='no'",
                RestrictedXml,
                "not standalone",
            ),
            (
                "version='1.0' encoding='UTF-16'",
                UnsupportedEncoding,
                "not in UTF-8",
            ),
            (
                "version='1.0' encoding='latin1'",
                UnsupportedEncoding,
                "not in UTF-8",
            ),
            (
                "version='1.1'",
                at.ill_formed(),
                "an XML version other than 1.0",
            ),
            ("encoding='utf-8'", at.ill_formed(), "the XML declaration"),
        ] {
            let outcome = at.given_in_every_cut(format!("<?xml {declaration}?>{HEADER}"));
            outcome.is_told(&condition, words);
        }
        for twice in [
            "<?xml version='1.0'?><?xml version='1.0'?>",
            " <?xml version='1.0'?>",
        ] {
            at.given(twice)
                .is_told(&RestrictedXml, "a processing instruction");
        }
        for good in [
            "encoding='UTF-8'",
            "encoding=\"utf-8\" standalone='yes'",
            "",
        ] {
            at.given_in_every_cut(format!("<?xml version='1.0' {good}?>\n{HEADER}"))
                .is_fine();
        }
    }
}

#[test]
fn x2_a_byte_order_mark_is_taken_once_and_first() {
    for at in STARTS {
        at.given_in_every_cut(format!("\u{feff}{HEADER}")).is_fine();
        at.given_in_every_cut(format!("\u{feff}<?xml version='1.0'?>{HEADER}"))
            .is_fine();
        for late in [
            "\u{feff}\u{feff}",
            " \u{feff}",
            "<?xml version='1.0'?>\u{feff}",
        ] {
            let outcome = at.given_in_every_cut(format!("{late}{HEADER}"));
            outcome.is_told(&at.ill_formed(), "text before the stream header");
        }
    }
    for at in INSIDE {
        at.given_in_every_cut("\u{feff}<message/>")
            .is_told(&at.ill_formed(), "not ASCII");
    }
}

#[test]
fn x3_compression_is_never_offered_asked_for_or_begun() {
    let compress = "<compress xmlns='http://jabber.org/protocol/compress'>\
         <method>zlib</method></compress>";
    assert!(!Pair::bound().downwards.text().contains("compress"));
    At::ServerLogin
        .given(compress)
        .is_told(&NotAuthorized, "before the login");
    At::ServerBound
        .given(compress)
        .is_told(&UnsupportedStanzaType, "no stanza of this stream");
    let offer = "<stream:features><compression xmlns='http://jabber.org/features/compress'>\
         <method>zlib</method></compression><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
    let outcome = At::ClientLogin.given(offer);
    outcome.is_fine();
    assert!(outcome.said.starts_with("<auth "), "{}", outcome.said);
}

#[test]
fn x8_bytes_that_are_no_utf8_are_refused_wherever_they_stand_and_are_cut() {
    let bad: [&[u8]; 9] = [
        b"\xc0\xbc",
        b"\xeb\x3c\x3e",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xe0\x80\xbc",
        b"\xf4\x90\x80\x80",
        b"\xff",
        b"\x80",
        b"\xf0\x9f\x98",
    ];
    let places = [
        "<message><a@/></message>",
        "<message a@=''/>",
        "<message id='@'/>",
        "<message><gcm xmlns='google:mobile:data'>@</gcm></message>",
        "<message><![CDATA[@]]></message>",
    ];
    for bytes in bad {
        for place in places {
            let (before, after) = place.split_once('@').unwrap();
            let all = [before.as_bytes(), bytes, after.as_bytes()].concat();
            for at in BOUND {
                let outcome = at.given_in_every_cut(&all);
                // A broken sequence that swallows a `<` or `>` is ill-formed as well, and found as that first.
                match &outcome.error {
                    Some(error) if error.to_string().contains("UTF-8") => {
                        outcome.is_told(&UnsupportedEncoding, "not in UTF-8");
                    }
                    _ => outcome.is_told(&at.ill_formed(), "not well-formed"),
                }
            }
        }
    }
}

#[test]
fn x8_characters_that_xml_forbids_are_refused_and_those_of_many_bytes_are_not() {
    for character in ["\0", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
        for at in BOUND {
            let outcome = at.given_in_every_cut(gcm(character));
            outcome.is_told(&at.ill_formed(), "a c");
            let reference = format!("&#{};", u32::from(character.chars().next().unwrap()));
            at.given(gcm(&reference))
                .is_told(&at.ill_formed(), "a reference to a character");
        }
    }
    At::ServerBound
        .given_in_every_cut(gcm("é€😀\u{10ffff}\u{fffd}"))
        .is_fine();
}
