//! Each limit just under, at and just over: what is refused, and what the peer is told.

use ccs_proto::StreamCondition::PolicyViolation;
use ccs_proto::{Limits, ServerConfig};
use ccs_tests::pair::{Pair, client_config};

use super::attacked::{At, BOUND, HEADER, INSIDE, Outcome, STARTS};

fn with(set: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    set(&mut limits);
    limits
}

fn given(at: At, limits: Limits, pieces: &[&str]) -> Outcome {
    let mut attacked = at.open_with(limits);
    let error = attacked.feed(pieces.iter().map(|piece| piece.as_bytes()));
    let said = attacked.said();
    Outcome { error, said }
}

/// Whatever is of the limit's size is taken, and what is one larger is refused in these words; by the default limit and
/// by a smaller one.
#[track_caller]
fn holds(
    at: At,
    default: usize,
    set: impl Fn(&mut Limits, usize),
    of_size: impl Fn(usize) -> String,
    words: &str,
) {
    for limit in [default, default / 2] {
        let limits = with(|limits| set(limits, limit));
        if limit == default {
            assert_eq!(limits, Limits::default(), "the default is another");
        }
        for size in [limit - 1, limit] {
            let outcome = given(at, limits, &[&of_size(size)]);
            assert_eq!(outcome.error, None, "{size} of {limit} at {at:?}");
        }
        let over = of_size(limit + 1);
        let words = format!("{words} over the limit of {limit}");
        let outcome = given(at, limits, &[&over]);
        outcome.is_told(&PolicyViolation, &words);
        let (one, two) = over.split_at(over.len() / 2);
        assert_eq!(given(at, limits, &[one, two]), outcome);
    }
}

#[test]
fn x4_a_stanza_has_64_kib_and_the_next_byte_ends_the_stream() {
    let stanza = |size: usize| format!("<message>{}</message>", "x".repeat(size - 19));
    for at in BOUND {
        let set = |limits: &mut Limits, limit| limits.xml.stanza = limit;
        holds(at, 65_536, set, stanza, "bytes of an element");
        // The end of it need not come.
        let endless = format!("<message>{}", "x".repeat(65_527));
        assert_eq!(given(at, Limits::default(), &[&endless]).error, None);
        given(at, Limits::default(), &[&endless, "x"]).is_told(
            &PolicyViolation,
            "bytes of an element over the limit of 65536",
        );
    }
}

#[test]
fn x4_names_values_and_text_have_limits_of_their_own() {
    for at in BOUND {
        let set = |limits: &mut Limits, limit| limits.xml.name = limit;
        let element = |size: usize| format!("<message><{}/></message>", "n".repeat(size));
        holds(at, 256, set, element, "bytes of a name");
        let attribute = |size: usize| format!("<message {}=''/>", "n".repeat(size));
        holds(at, 256, set, attribute, "bytes of a name");
        let set = |limits: &mut Limits, limit| limits.xml.attribute_value = limit;
        let value = |size: usize| format!("<message id='{}'/>", "v".repeat(size));
        holds(at, 8_192, set, value, "bytes of an attribute value");

        let limits = with(|limits| limits.xml.text = 1_000);
        for (size, good) in [(999, true), (1_000, true), (1_001, false)] {
            for (open, close) in [("", ""), ("<![CDATA[", "]]>")] {
                let text = format!("<message>{open}{}{close}</message>", "x".repeat(size));
                let outcome = given(at, limits, &[&text]);
                if good {
                    outcome.is_fine();
                } else {
                    outcome.is_told(&PolicyViolation, "bytes of text over the limit of 1000");
                }
            }
        }
    }
}

#[test]
fn x4_white_space_before_the_header_has_a_limit() {
    for at in STARTS {
        let spaces = |size: usize| format!("{}{HEADER}", " \r\n\t".repeat(300).split_at(size).0);
        let set = |limits: &mut Limits, limit| limits.xml.white_space = limit;
        let words = "bytes of white space before the stream header";
        holds(at, 1_024, set, spaces, words);
    }
}

#[test]
fn x4_white_space_between_stanzas_has_a_limit_a_minute() {
    let words = "more than 1024 bytes of white space between stanzas within a minute";
    for at in INSIDE {
        for piece in [1, 7, 2_000] {
            let mut attacked = at.open();
            let spaces = "\n".repeat(1_024);
            assert_eq!(
                attacked.feed(spaces.as_bytes().chunks(piece)),
                None,
                "{at:?}"
            );
            let error = attacked.feed([&b" "[..]]);
            let said = attacked.said();
            Outcome { error, said }.is_told(&PolicyViolation, words);
        }
    }
    // A known client ends each stanza with a line feed, and an endpoint keeps alive with spaces.
    for at in BOUND {
        let mut attacked = at.open();
        for _ in 0..3_000 {
            assert_eq!(attacked.feed([&b"<presence/>\n"[..]]), None);
        }
        for _ in 0..100 {
            attacked.pair.now = attacked.pair.now + std::time::Duration::from_secs(60);
            assert_eq!(attacked.feed([" ".repeat(1_024).as_bytes()]), None);
        }
    }
}

#[test]
fn x4_an_endless_feeder_gets_no_further_than_the_limit() {
    let feeders = [
        "x",
        " ",
        "\n",
        "<a>",
        "<message>",
        "<message a='",
        "<message ",
        "<n",
        "<message><![CDATA[",
        "<?xml ",
        "&",
    ];
    for at in [
        At::ServerStart,
        At::ServerLogin,
        At::ServerBound,
        At::ClientStart,
        At::ClientBound,
    ] {
        for start in feeders {
            let mut attacked = at.open();
            let mut fed = start.len();
            let mut error = attacked.feed([start.as_bytes()]);
            while error.is_none() {
                error = attacked.feed([start.repeat(100).as_bytes()]);
                fed += start.len() * 100;
                assert!(fed < 70_000, "{start:?} at {at:?}");
            }
            assert!(attacked.said().ends_with("</stream:error></stream:stream>"));
            // And that is the end: nothing more is read or held.
            let again = attacked.feed([&b"x"[..]]);
            assert_eq!(again, error);
        }
    }
}

#[test]
fn x5_attributes_and_declarations_are_counted() {
    let list = |count: usize, name: &str| -> String {
        (0..count).map(|n| format!(" {name}{n}='u{n}'")).collect()
    };
    for at in BOUND {
        let set = |limits: &mut Limits, limit| limits.xml.attributes = limit;
        let attributes = |count| format!("<message{}/>", list(count, "a"));
        holds(at, 32, set, attributes, "attributes of an element");
        let mixed = |count| format!("<message xmlns:p='u' a=''{}/>", list(count - 2, "p:a"));
        holds(at, 32, set, mixed, "attributes of an element");
        let set = |limits: &mut Limits, limit| limits.xml.namespaces = limit;
        let declarations = |count| format!("<message{}/>", list(count, "xmlns:p"));
        holds(
            at,
            8,
            set,
            declarations,
            "namespace declarations of an element",
        );
    }
}

#[test]
fn x6_elements_lie_16_deep() {
    let nested = |depth: usize| {
        let (open, close) = ("<a>".repeat(depth - 1), "</a>".repeat(depth - 1));
        format!("<message>{open}{close}</message>")
    };
    for at in BOUND {
        let set = |limits: &mut Limits, limit| limits.xml.depth = limit;
        holds(at, 16, set, nested, "elements inside one another");
        // Seventeen start tags are enough to know.
        let tags = "<a>".repeat(17);
        given(at, Limits::default(), &[&tags])
            .is_told(&PolicyViolation, "elements inside one another");
    }
}

/// No recursion to read it, to hold it, to show it or to let it go.
#[test]
fn x6_a_million_levels_fit_a_small_stack() {
    let deep = "<a>".repeat(1_000_000);
    let attack = move || {
        for at in BOUND {
            let limits = with(|limits| {
                limits.xml.depth = usize::MAX;
                limits.xml.stanza = 1 << 20;
            });
            let mut attacked = at.open_with(limits);
            let error = attacked.feed([deep.as_bytes()]);
            assert!(!format!("{error:?} {:?}", attacked.pair).is_empty());
            let said = attacked.said();
            let words = "bytes of an element over the limit";
            Outcome { error, said }.is_told(&PolicyViolation, words);
        }
    };
    let thread = std::thread::Builder::new().stack_size(128 * 1024);
    thread.spawn(attack).unwrap().join().unwrap();
}

#[test]
fn t7_bytes_before_the_login_have_a_limit() {
    for limit in [8_192, 500] {
        let mut config = ServerConfig::default();
        assert_eq!(config.login_bytes, 8_192);
        config.login_bytes = limit;
        // With `<presence>` the login would be given up, so this is one element that goes on and on.
        let flood = |size: usize| {
            let element = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";
            format!(
                "{HEADER}{element}{}",
                "A".repeat(size - HEADER.len() - element.len())
            )
        };
        for (size, good) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
            for piece in [1, 100, size] {
                let mut attacked = At::ServerStart.open_as(client_config(), config.clone());
                let error = attacked.feed(flood(size).as_bytes().chunks(piece));
                let said = attacked.said();
                if good {
                    assert_eq!(error, None, "{size} of {limit}");
                } else {
                    let words = format!("more than {limit} bytes before the login");
                    Outcome { error, said }.is_told(&PolicyViolation, &words);
                }
            }
        }
    }
    // Afterwards they are not counted.
    let mut pair = Pair::bound();
    for _ in 0..1_000 {
        pair.server_reads("<presence type='unavailable'/>");
    }
    assert!(pair.server.is_open());
}
