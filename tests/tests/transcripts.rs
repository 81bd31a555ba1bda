//! What real clients wrote, replayed into the endpoint's role: the events are those of the snapshot, however the bytes
//! are cut into reads.

use std::time::Duration;

use ccs_tests::transcript::{self, Cut, Line, What, connections, cuts, parse, replay};

/// The whole recording, connection after connection.
fn events(name: &str, cut: Cut) -> String {
    let told: Vec<String> = connections(name)
        .iter()
        .map(|lines| replay(lines, cut))
        .collect();
    told.join("\n")
}

fn is_the_same_wherever_it_is_cut(name: &str) {
    for lines in connections(name) {
        let whole = replay(&lines, Cut::Whole);
        let cuts = cuts(&lines);
        assert!(cuts.len() > 100, "{name} has bytes to cut");
        for cut in cuts {
            assert_eq!(replay(&lines, cut), whole, "{name} {cut:?}");
        }
    }
}

macro_rules! recordings {
    ($($module:ident: $file:literal),+ $(,)?) => {
        const RECORDINGS: &[&str] = &[$($file),+];

        $(mod $module {
            use super::*;

            #[test]
            fn gives_the_events_of_its_snapshot() {
                insta::with_settings!({ prepend_module_to_snapshot => false }, {
                    insta::assert_snapshot!($file, events($file, Cut::Whole));
                });
            }

            #[test]
            fn gives_the_same_events_byte_by_byte() {
                assert_eq!(events($file, Cut::EachByte), events($file, Cut::Whole));
            }

            #[test]
            fn gives_the_same_events_wherever_it_is_cut() {
                is_the_same_wherever_it_is_cut($file);
            }
        })+
    };
}

recordings! {
    go_gcm: "go-gcm.log",
    go_gcm_with_a_bad_key: "go-gcm.badkey.log",
    fcmxmppserverv2: "java-fcmxmppserverv2-smack4.log",
    gcm_server: "java-writtmeyer-smack3.log",
    gcm_server_with_an_echo: "java-writtmeyer-smack3.echo.log",
    gcm_server_with_raw_xml: "java-writtmeyer-smack3.rawxml.log",
    node_xcs: "node-xcs.log",
    node_xcs_with_a_bad_key: "node-xcs.badkey.log",
    node_xcs_with_a_nack: "node-xcs.nack.log",
    php: "php-fcm-xmpp.log",
    slixmpp: "slixmpp.log",
    slixmpp_draining: "slixmpp.drain.log",
    slixmpp_draining_with_a_prefix: "slixmpp.drain-prefixed.log",
}

#[test]
fn every_recording_is_replayed() {
    let mut recordings: Vec<String> = std::fs::read_dir(transcript::folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".log"))
        .collect();
    recordings.sort();
    let mut replayed = RECORDINGS.to_vec();
    replayed.sort_unstable();
    assert_eq!(recordings, replayed);
}

#[test]
fn a_recording_is_read_byte_for_byte() {
    let text = "   0.0001 [1] #  TLS TLSv1.3\n   0.0016 [2] C> \\n\\\\u003c w\\xc3\\xb6 \\t\\r\n   1.5000 [2] S>  \n";
    let line = |micros, connection, what| Line {
        at: Duration::from_micros(micros),
        connection,
        what,
    };
    assert_eq!(
        parse(text).unwrap(),
        [
            line(100, 1, What::Remark("TLS TLSv1.3".to_owned())),
            line(1_600, 2, What::Client(b"\n\\u003c w\xc3\xb6 \t\r".to_vec())),
            line(1_500_000, 2, What::Endpoint(b" ".to_vec())),
        ]
    );
    for wrong in [
        "0.1 [1] X> a",
        "0.1 1 C> a",
        "now [1] C> a",
        "0.1 [1] C> \\q",
        "0.1 [1] C> \\x4",
        "0.1 [1] C> \u{f6}",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
