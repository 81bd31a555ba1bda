//! What a peer can make a connection hold, counted by an allocator.
//!
//! The parser and the handshake of one connection may hold twice the stanza limit and 32 KiB. What they hand over, the
//! events, is bounded by the inbox.

use allocation_counter::measure;
use bytes::BytesMut;
use ccs_proto::internals::{Frame, Framer, Item, Ns, Reader};
use ccs_proto::message::{Data, Downstream};
use ccs_proto::{
    ClientEvent, ConnectionError, ConnectionId, Nonce, ServerConfig, ServerConnection, ServerEvent,
    Time, XmlLimits,
};
use ccs_tests::pair::{Pair, client_config, upstream};

use super::attacked::{At, BOUND, HEADER, gcm};

const STANZA: usize = 65_536;
const PARSER: u64 = 2 * STANZA as u64 + 32 * 1024;

const PIECES: [usize; 8] = [7, 1_000, 4_096, 16_384, 32_769, 40_000, 65_535, 65_536];

/// The most that a connection held while it was given these bytes, beyond what it held before.
fn peak(at: At, bytes: &[u8], piece: usize) -> u64 {
    let mut attacked = at.open();
    let (pair, server) = (&mut attacked.pair, at.is_server());
    let info = measure(|| {
        for piece in bytes.chunks(piece) {
            // The error is the test's to look for elsewhere.
            let _ = if server {
                pair.server.receive(pair.now, piece)
            } else {
                pair.client.receive(pair.now, piece)
            };
        }
    });
    info.bytes_max
}

#[test]
fn x4_a_stanza_without_an_end_is_held_in_twice_its_limit() {
    let endless = format!(
        "<message><gcm xmlns='google:mobile:data'>{}",
        "x".repeat(STANZA)
    );
    for at in BOUND {
        for piece in PIECES {
            for size in [STANZA, STANZA + 1] {
                let held = peak(at, &endless.as_bytes()[..size], piece);
                assert!(
                    held <= PARSER,
                    "{held} bytes at {at:?} in pieces of {piece}"
                );
            }
        }
    }
}

/// The dearest stanzas that fit the limit, read as a connection reads them: no text of one is longer than it.
#[test]
fn x4_a_whole_stanza_is_read_in_twice_its_limit_whatever_is_in_it() {
    let room = STANZA - 200;
    let runs = |run: &str| run.repeat(room / run.len());
    let attributes: String = (0..8)
        .map(|n| format!(" a{n}='{}'", "&lt;".repeat(2_000)))
        .collect();
    for (what, stanza) in [
        ("plain", gcm(&runs("x"))),
        ("references", gcm(&runs("&amp;"))),
        (
            "one reference",
            gcm(&format!("&lt;{}", "x".repeat(room - 4))),
        ),
        (
            "late reference",
            gcm(&format!("{}&lt;", "x".repeat(room - 4))),
        ),
        ("line ends", gcm(&runs("\r\n"))),
        (
            "line ends and a reference",
            gcm(&format!("&lt;\r{}", "x".repeat(room - 5))),
        ),
        ("sections", gcm(&runs("<![CDATA[x]]>y&lt;"))),
        (
            "a section of line ends",
            gcm(&format!("<![CDATA[{}]]>", "\r".repeat(room - 12))),
        ),
        (
            "two runs",
            gcm(&format!("x<![CDATA[]]>{}&lt;", "x".repeat(room - 17))),
        ),
        (
            "two halves",
            gcm(&format!(
                "{0}&lt;<![CDATA[]]>{0}&lt;",
                "x".repeat(room / 2 - 20)
            )),
        ),
        ("elements", format!("<message>{}</message>", runs("<a/>"))),
        ("attributes", format!("<message{attributes}/>")),
        (
            "two bodies",
            format!(
                "<message>{0}{0}</message>",
                "<gcm xmlns='google:mobile:data'>x&lt;</gcm>".repeat(600)
            ),
        ),
    ] {
        assert!(stanza.len() <= STANZA, "{what}: {}", stanza.len());
        for piece in [1_000, 40_000, STANZA - 1, STANZA] {
            let held = measure(|| read(stanza.as_bytes(), piece)).bytes_max;
            assert!(held <= PARSER, "{what} in pieces of {piece}: {held}");
        }
    }
}

fn read(stanza: &[u8], piece: usize) {
    let limits = XmlLimits::default();
    let (mut framer, mut reader) = (Framer::new(limits), Reader::new(limits));
    let mut read = false;
    for mut piece in [HEADER.as_bytes()].into_iter().chain(stanza.chunks(piece)) {
        while let Some(frame) = framer.next(&mut piece).unwrap() {
            match frame {
                Frame::StreamOpen(header) => {
                    reader.open(header).unwrap();
                }
                Frame::Element(element) => {
                    let mut cursor = reader.element(element).unwrap();
                    while let Some(item) = cursor.next().unwrap() {
                        if matches!(item, Item::Start(tag) if tag.is(Ns::Gcm, "gcm")) {
                            cursor.text().unwrap();
                        }
                    }
                    read = true;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(read);
}

#[test]
fn x4_what_ended_a_connection_is_let_go_at_once() {
    let long = "x".repeat(STANZA - 100);
    for end in [
        format!("<message>{long}{long}"),
        gcm(&format!("{long}&nothing;")),
        format!("<bogus>{long}</bogus>"),
        format!("<presence>{long}</presence><bogus/>"),
        format!("<presence>{long}</presence>{}", " ".repeat(3_000)),
    ] {
        for (at, piece) in BOUND.into_iter().flat_map(|at| [(at, 1_000), (at, 16_384)]) {
            let mut attacked = at.open();
            let info = measure(|| {
                assert!(attacked.feed(end.as_bytes().chunks(piece)).is_some());
                attacked.said();
            });
            let left = info.bytes_current;
            assert!(left < 4_096, "{left} bytes are left at {at:?}: {:.20}", end);
        }
    }
}

/// What is kept from message to message where reads end inside of one, and where they end between two.
#[test]
fn x4_a_message_leaves_little_behind_where_the_next_has_begun() {
    let large = gcm(&"&quot;".repeat(STANZA / 6 - 20));
    let small = gcm(&"&quot;".repeat(200));
    for (references, next, kept) in [
        (&large, "", 512),
        (&small, "", 512),
        (&large, "<message>", 512),
        (&small, "<message>", 4_096),
    ] {
        let bytes = format!("{references}{references}{references}{next}");
        for at in BOUND {
            let mut attacked = at.open();
            let info = measure(|| {
                for piece in bytes.as_bytes().chunks(16_384) {
                    assert_eq!(attacked.feed([piece]), None);
                    attacked.said();
                    attacked.pair.client_events = Vec::new();
                    attacked.pair.server_events = Vec::new();
                }
            });
            let left = info.bytes_current;
            assert!(left <= kept, "{left} bytes at {at:?} before {next:?}");
        }
    }
}

#[test]
fn x1_a_doctype_makes_nobody_allocate() {
    let lol: String = (1..30)
        .map(|n| format!("<!ENTITY l{n} '&l{0};&l{0};&l{0};&l{0};'>", n - 1))
        .collect();
    let attack = format!("<!DOCTYPE s [<!ENTITY l0 'lol'>{lol}]><s>&l29;</s>");
    for at in [
        At::ServerStart,
        At::ServerLogin,
        At::ServerBound,
        At::ClientBound,
    ] {
        let held = peak(at, attack.as_bytes(), STANZA);
        assert!(held < 8 * 1024, "{held} bytes at {at:?}");
    }
}

#[test]
fn x4_a_thousand_half_sent_stanzas_fit_256_mib() {
    let half = "<message>".to_owned() + &"x".repeat(STANZA - 9);
    let mut connections = Vec::new();
    let info = measure(|| {
        for _ in 0..1_000 {
            let mut attacked = At::ServerBound.open();
            assert_eq!(attacked.feed(half.as_bytes().chunks(9_000)), None);
            connections.push(attacked.pair.server);
        }
    });
    assert!(info.bytes_max < 256 << 20, "{} bytes", info.bytes_max);
    drop(connections);
}

/// A thousand strangers that say as much as they may before their login.
#[test]
fn t7_a_half_open_connection_holds_little_more_than_its_login() {
    let limit = ServerConfig::default().login_bytes;
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>";
    let said = format!(
        "{HEADER}{auth}{}",
        "A".repeat(limit - HEADER.len() - auth.len())
    );
    let config = std::sync::Arc::new(ServerConfig::default());
    for piece in [1, 100, 5_000, limit] {
        let mut half_open = Vec::new();
        let info = measure(|| {
            for _ in 0..1_000 {
                let nonce = Nonce([1; 20]);
                let mut server =
                    ServerConnection::new(config.clone(), ConnectionId(1), nonce, Time::ZERO);
                for piece in said.as_bytes().chunks(piece) {
                    server.receive(Time::ZERO, piece).unwrap();
                }
                let mut out = BytesMut::new();
                while server.poll_transmit(Time::ZERO, &mut out) {}
                half_open.push(server);
            }
        });
        let each = info.bytes_max / 1_000;
        assert!(
            each <= 2 * limit as u64 + 4 * 1024,
            "{each} bytes in pieces of {piece}"
        );
    }
}

#[test]
fn t7_a_connection_that_is_gone_has_left_nothing() {
    let info = measure(|| {
        for way in 0..4 {
            for _ in 0..100 {
                let mut pair = Pair::new(client_config(), ServerConfig::default());
                match way {
                    0 => pair.drive(),
                    1 => pair.server_reads(HEADER),
                    2 => pair.server_reads("<message"),
                    _ => {
                        let eof = pair.server.receive_eof(pair.now);
                        assert_eq!(eof, Err(ConnectionError::UnexpectedEof));
                    }
                }
            }
        }
    });
    assert_eq!(info.bytes_current, 0);
}

/// The ids of ten thousand answered messages are remembered, and their bodies are not.
#[test]
fn x4_a_remembered_id_keeps_no_body_alive() {
    let mut pair = Pair::bound();
    let blank = " ".repeat(60_000);
    let info = measure(|| {
        for n in 0..100 {
            pair.server_reads(&gcm(&format!(r#"{{"message_id":"{n}","to":"T"{blank}}}"#)));
            for token in pair.answer_tokens() {
                pair.server.ack(token, None).unwrap();
            }
            pair.downwards.waiting.clear();
        }
        pair.drive();
    });
    assert!(
        info.bytes_current < 2 << 20,
        "{} bytes are held",
        info.bytes_current
    );
}

/// An application that keeps its tokens and lets the messages go holds no message by them.
#[test]
fn x4_a_token_keeps_no_body_alive() {
    let mut pair = Pair::bound();
    let mut tokens = Vec::new();
    let large = Data::new().with("a", "x".repeat(4_000));
    let info = measure(|| {
        for n in 0..100 {
            let message = upstream(&format!("u-{n}")).with_data(large.clone());
            pair.server.send(message).unwrap();
            pair.drive();
            pair.upwards.written.clear();
            pair.downwards.written.clear();
            tokens.extend(pair.ack_tokens());
        }
        drop(std::mem::take(&mut pair.server_events));
    });
    assert_eq!(tokens.len(), 100);
    // The server holds its own copy of each until it is acked.
    let own = 100 * 4_200;
    assert!(
        info.bytes_current < own + 100 * 1_024,
        "{} bytes",
        info.bytes_current
    );
}

/// What waits in an inbox counts for what it holds, whatever it says.
#[test]
fn p2_an_inbox_of_large_answers_is_full_by_bytes() {
    let blank = " ".repeat(60_000);
    for kind in ["ack", "nack"] {
        let mut pair = Pair::bound();
        pair.client_polls = false;
        let mut fed = 0_u64;
        let info = measure(|| {
            while pair.client.wants_input() {
                let id = format!("x-{fed}");
                pair.client_reads(&gcm(&format!(
                    r#"{{"message_type":"{kind}","message_id":"{id}","from":"T","error":"X"{blank}}}"#
                )));
                fed += 1;
            }
        });
        assert!(fed < 150, "{fed} answers of 60 kB in an inbox of 8 MiB");
        assert!(info.bytes_max < 10 << 20, "{} bytes", info.bytes_max);
        assert!(matches!(
            pair.client.poll_event(),
            Some(ClientEvent::Ignored(_))
        ));
    }
}

/// The window of an app server is bounded in bytes by what one message may have.
#[test]
fn p2_a_full_window_holds_a_hundred_messages_and_no_more() {
    let mut pair = Pair::bound();
    let text = "x".repeat(4_000);
    let info = measure(|| {
        for n in 0..100 {
            let message = Downstream::to("T").data("a", &text);
            let encoded = message.encode(format!("m-{n}")).unwrap();
            pair.client.reserve().unwrap().send(encoded).unwrap();
        }
        assert!(pair.client.reserve().is_err());
    });
    assert!(
        info.bytes_current < 100 * 10_000,
        "{} bytes",
        info.bytes_current
    );
    pair.drive();
    let events = pair.server_events.iter();
    let given = events.filter(|event| matches!(event, ServerEvent::Downstream { .. }));
    assert_eq!(given.count(), 100);
}
