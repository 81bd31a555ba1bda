//! Logins: over what they are sent, what they offer, who they are.

use std::time::Duration;

use ccs_proto::StreamCondition::UnsupportedStanzaType;
use ccs_proto::{ApiKey, ConnectionError, ServerConfig, ServerEvent, TransportSecurity};
use ccs_tests::pair::{Pair, SENDER, client_config};

use super::attacked::{At, Attacked, HEADER};

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

fn features(inside: &str) -> String {
    format!("<stream:features>{inside}</stream:features>")
}

fn offering(mechanisms: &[&str]) -> String {
    let list: String = mechanisms
        .iter()
        .map(|name| format!("<mechanism>{name}</mechanism>"))
        .collect();
    features(&format!("<mechanisms xmlns='{SASL}'>{list}</mechanisms>"))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    out
}

fn auth(payload: &str) -> String {
    format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{payload}</auth>")
}

/// What a server makes of a login, and what it tells the client.
fn login(attacked: &mut Attacked, payload: &str) -> (Option<(String, String)>, String) {
    let _ = attacked.feed([auth(payload).as_bytes()]);
    let asked = match attacked.pair.server_events.pop() {
        Some(ServerEvent::Login(request)) => {
            let who = (
                request.sender().to_string(),
                request.key().expose().to_owned(),
            );
            attacked
                .pair
                .server
                .reject(attacked.pair.now, request)
                .unwrap();
            Some(who)
        }
        _ => None,
    };
    (asked, attacked.said())
}

fn deciding(config: ServerConfig) -> Attacked {
    let mut attacked = At::ServerLogin.open_as(client_config(), config);
    attacked.pair.accepts = false;
    attacked
}

#[test]
fn t2_the_offer_of_starttls_is_passed_over_and_none_is_ever_made() {
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";
    let outcome = At::ClientLogin.given(features(starttls));
    let offered = Vec::new();
    assert_eq!(outcome.error, Some(ConnectionError::NoPlain { offered }));
    assert_eq!(outcome.said, "</stream:stream>");
    for answer in ["proceed", "failure"] {
        let answer = format!("<{answer} xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        At::ClientLogin
            .given(answer)
            .is_told(&UnsupportedStanzaType, "where it does not belong");
    }
    let outcome = At::ServerLogin.given(starttls);
    assert!(outcome.said.contains("<not-authorized"), "{}", outcome.said);
    assert!(!Pair::bound().downwards.text().contains("starttls"));
}

#[test]
fn t2_a_tls_hello_in_the_clear_is_no_stream() {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for at in [At::ServerStart, At::ClientStart] {
        at.given_in_every_cut(hello)
            .is_told(&at.ill_formed(), "text before the stream header");
    }
}

#[test]
fn t3_no_key_goes_out_over_a_transport_that_is_not_verified() {
    let mut pair = Pair::over(
        TransportSecurity::Unverified,
        client_config(),
        ServerConfig::default(),
    );
    pair.drive();
    let insecure = ConnectionError::InsecureTransport;
    assert_eq!(pair.client.end(), Some(Err(insecure)));
    assert!(!pair.upwards.text().contains("<auth"));
}

#[test]
fn t3_plain_is_the_only_mechanism_and_there_is_no_second_choice() {
    for (offer, plain) in [
        (&["PLAIN"][..], true),
        (&["X-OAUTH2", "PLAIN"], true),
        (&["SCRAM-SHA-256-PLUS", "PLAIN"], true),
        (&["X-OAUTH2", "X-GOOGLE-TOKEN"], false),
        (&["plain"], false),
        (&["PLAIN2", "ANONYMOUS"], false),
        (&[], false),
    ] {
        let outcome = At::ClientLogin.given(offering(offer));
        if plain {
            outcome.is_fine();
            assert!(
                outcome.said.starts_with("<auth mechanism=\"PLAIN\""),
                "{}",
                outcome.said
            );
        } else {
            let offered = offer.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(outcome.error, Some(ConnectionError::NoPlain { offered }));
            assert_eq!(outcome.said, "</stream:stream>");
        }
    }
    for none in [
        features(""),
        features("<mechanisms xmlns='evil'><mechanism>PLAIN</mechanism></mechanisms>"),
    ] {
        let outcome = At::ClientLogin.given(none);
        assert!(matches!(
            outcome.error,
            Some(ConnectionError::NoPlain { .. })
        ));
    }
}

#[test]
fn t4_who_is_asked_about_is_who_shows_the_key() {
    let long = "9".repeat(256);
    let parts = [
        "",
        "123",
        "456",
        "123@gcm.googleapis.com",
        "456@x",
        "@x",
        "alice",
        &long,
    ];
    let mut cases = 0;
    for authzid in parts {
        for authcid in parts {
            for key in ["", "KEY", "K@Y", &long] {
                let local = |name: &str| name.split('@').next().unwrap().to_owned();
                let good = (authcid.starts_with("123") || authcid.starts_with("456"))
                    && (authzid.is_empty() || local(authzid) == local(authcid))
                    && authzid.len() < 256
                    && key.len() == 3;
                let payload = base64(format!("{authzid}\0{authcid}\0{key}").as_bytes());
                let (asked, said) = login(&mut deciding(ServerConfig::default()), &payload);
                let who = good.then(|| (local(authcid), key.to_owned()));
                assert_eq!(asked, who, "{authzid:?} {authcid:?} {key:?}");
                assert!(said.starts_with("<failure xmlns="), "{said}");
                assert!(said.ends_with("</failure></stream:stream>"), "{said}");
                cases += 1;
            }
        }
    }
    assert!(cases > 250);
}

#[test]
fn t4_what_is_no_plain_login_is_refused_by_name() {
    let good = base64(b"\x00123\x00KEY");
    for (payload, failure) in [
        (base64(b"123\x00KEY"), "malformed-request"),
        (base64(b"\x00123\x00KEY\x00"), "malformed-request"),
        (base64(b"\x00\x00\x00"), "malformed-request"),
        (base64(b"no NUL"), "malformed-request"),
        (base64(b"\x00123\x00\xff\xfe"), "malformed-request"),
        (String::new(), "malformed-request"),
        ("=".to_owned(), "malformed-request"),
        ("==".to_owned(), "incorrect-encoding"),
        ("!".to_owned(), "incorrect-encoding"),
        (
            good.trim_end_matches('=').to_owned() + "-",
            "incorrect-encoding",
        ),
        (format!("{good}{good}"), "incorrect-encoding"),
        (base64(b"456\x00123\x00KEY"), "invalid-authzid"),
        (base64(b"\x00alice\x00KEY"), "not-authorized"),
        (good.clone(), "not-authorized"),
        (
            format!(" {}\r\n{}\t", &good[..3], &good[3..]),
            "not-authorized",
        ),
    ] {
        let (_, said) = login(&mut deciding(ServerConfig::default()), &payload);
        let expected = format!("<failure xmlns=\"{SASL}\"><{failure}/></failure></stream:stream>");
        assert_eq!(said, expected, "{payload:?}");
    }
}

#[test]
fn t4_the_session_acts_as_the_sender_whose_key_it_was() {
    let mut attacked = At::ServerLogin.open();
    assert_eq!(
        attacked.feed([auth(&base64(b"\x00123\x00KEY")).as_bytes()]),
        None
    );
    let bind = "<iq type='set' id='1' from='456@gcm.googleapis.com'>\
         <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>456@evil/</resource></bind></iq>";
    let header = HEADER.replace("to=", "from='456@gcm.googleapis.com' to=");
    assert_eq!(attacked.feed([header.as_bytes(), bind.as_bytes()]), None);
    let Some(ServerEvent::Bound { sender, jid }) = attacked.pair.server_events.pop() else {
        panic!("not bound");
    };
    assert_eq!(sender.as_str(), "123");
    assert!(jid.starts_with("123@gcm.googleapis.com/"), "{jid}");
    // And it logs in once.
    let again = attacked.feed([auth(&base64(b"\x00456\x00KEY")).as_bytes()]);
    assert!(again.is_some());
    assert!(attacked.pair.server_events.is_empty() || !attacked.pair.server.is_open());
}

#[test]
fn t5_keys_are_compared_whole_whatever_their_length() {
    let key = |text: &str| ApiKey::from(text);
    let long = "k".repeat(255);
    for same in ["", "k", "AIzaSy-secret", &long, &"k".repeat(1_000)] {
        assert!(key(same).matches(&key(same)));
    }
    for (one, other) in [
        ("", "k"),
        ("k", "K"),
        ("AIzaSy-secret", "AIzaSy-secreT"),
        ("AIzaSy-secret", "AIzaSy-secret2"),
        ("2AIzaSy-secret", "AIzaSy-secret"),
        ("k", "k\0"),
        (&long, &long[1..]),
        (&long, &"k".repeat(1_000)),
    ] {
        assert!(!key(one).matches(&key(other)), "{one:?} {other:?}");
        assert!(!key(other).matches(&key(one)), "{other:?} {one:?}");
    }
}

#[test]
fn t5_stream_ids_and_resources_come_from_the_nonce_alone() {
    let one = Pair::bound();
    let id = |text: &str| -> Vec<String> {
        let after = |part: &str| part.split('"').next().unwrap().to_owned();
        text.split(" id=\"").skip(1).map(after).collect()
    };
    let ids = id(one.downwards.text());
    assert_eq!(ids[..2], ["0707070707070707", "0707070707070707"]);
    assert_eq!(
        ids[0].len() * 4,
        64,
        "bits of the operating system's generator"
    );
}

#[test]
fn t6_a_connection_has_as_many_tries_as_it_is_given() {
    let wrong = base64(b"\x00123\x00WRONG");
    let failure = format!("<failure xmlns=\"{SASL}\"><not-authorized/></failure>");
    assert_eq!(ServerConfig::default().login_tries, 1);
    for (set, tries) in [(0, 1), (1, 1), (2, 2), (5, 5)] {
        let mut config = ServerConfig::default();
        config.login_tries = set;
        let mut attacked = deciding(config.clone());
        for _ in 1..tries {
            let (asked, said) = login(&mut attacked, &wrong);
            assert_eq!((asked.is_some(), &said), (true, &failure));
        }
        let (asked, said) = login(&mut attacked, &wrong);
        assert_eq!(
            (asked.is_some(), said),
            (true, format!("{failure}</stream:stream>"))
        );
        let refused = ConnectionError::LoginRefused {
            sender: "123".to_owned(),
            condition: "not-authorized".to_owned(),
        };
        assert_eq!(attacked.pair.server.end(), Some(Err(refused)));

        // What is no login at all counts as a try, and the last one may be right.
        let mut attacked = deciding(config);
        for _ in 1..tries {
            assert_eq!(login(&mut attacked, "!").0, None);
        }
        attacked.pair.accepts = true;
        assert_eq!(
            attacked.feed([auth(&base64(b"\x00123\x00KEY")).as_bytes()]),
            None
        );
        assert!(attacked.said().contains("<success"));
    }
}

#[test]
fn t6_every_refusal_of_a_key_reads_the_same() {
    let texts: Vec<String> = [
        &b"\x00123\x00WRONG"[..],
        b"\x00999\x00KEY",
        b"\x00alice\x00KEY",
    ]
    .iter()
    .map(|message| login(&mut deciding(ServerConfig::default()), &base64(message)).1)
    .collect();
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "{texts:?}");
}

#[test]
fn t7_a_login_that_is_decided_late_is_read_no_further_and_ends_in_time() {
    let mut pair = Pair::new(client_config(), ServerConfig::default());
    pair.accepts = false;
    pair.drive();
    assert!(!pair.server.wants_input());
    pair.advance(Duration::from_secs(15));
    assert!(pair.server.is_closed());
    let Some(ServerEvent::Login(request)) = pair
        .server_events
        .drain(..)
        .find(|event| matches!(event, ServerEvent::Login(_)))
    else {
        panic!("no login");
    };
    assert_eq!(request.sender().as_str(), SENDER);
    assert!(pair.server.accept(pair.now, request).is_ok());
    assert!(!pair.server.is_open());
}

#[test]
fn t4_a_resource_is_no_longer_than_a_resource_may_be() {
    for (size, kept) in [(1_014, true), (1_015, true), (1_016, false), (8_000, false)] {
        let mut config = client_config();
        config.resource = Some("r".repeat(size));
        let mut pair = Pair::new(config, ServerConfig::default());
        pair.drive();
        let jid = pair.server_log().remove(0);
        let resource = jid.split('/').nth(1).unwrap();
        assert_eq!(resource.len(), if kept { size + 8 } else { 8 }, "{size}");
        assert!(pair.client.is_bound());
    }
}
