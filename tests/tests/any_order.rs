//! Any order of calls, of both roles, over any network: no panic, no message lost, and only legal XML.

use std::time::Duration;

use ccs_proto::internals::{Frame, Framer, Reader};
use ccs_proto::message::NackCode;
use ccs_proto::{AckToken, AnswerToken, ClientEvent, ServerConfig, ServerEvent, XmlLimits};
use ccs_tests::pair::{Pair, client_config, message, receipt, upstream};
use proptest::prelude::*;
use proptest::sample::select;

/// Few, so that they are repeated; the last ones are such as XML cannot carry.
const IDS: [&str; 6] = ["1", "2", "3", "4", "<&]]>\"'", "\0\u{fffe}\u{1f600}"];

/// A failing case is printed; nothing is written beside the sources.
fn settings() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Reads a whole stream back, as strictly as any peer would.
fn assert_legal(stream: &[u8]) {
    let limits = XmlLimits {
        stanza: 1 << 20,
        ..XmlLimits::default()
    };
    let (mut framer, mut reader) = (Framer::new(limits), Reader::new(limits));
    let mut input = stream;
    loop {
        let opens = stream.len() > input.len() && input.starts_with(b"<stream:stream");
        if opens {
            // After the login each role opens its stream anew.
            framer.restart();
        }
        match framer.next(&mut input).expect("well-formed") {
            None => break,
            Some(Frame::StreamOpen(header)) => drop(reader.open(header).expect("a legal header")),
            Some(Frame::Element(element)) => {
                let mut cursor = reader.element(element).expect("legal characters");
                while cursor.next().expect("a legal element").is_some() {}
            }
            Some(Frame::StreamClose | Frame::Space(_)) => {}
            Some(Frame::StrayText(_)) => panic!("text between stanzas"),
        }
    }
    assert!(!framer.is_mid_element(), "whole stanzas only");
}

/// Something that a caller, a peer or a network does.
#[derive(Debug, Clone)]
enum Op {
    Exchange,
    Advance(u64),
    Chunk(usize),
    Stall(bool, bool),
    Send(String),
    Cancel(String),
    TakeUnsent,
    Answer(usize, bool),
    Upstream(String),
    Receipt(String),
    Ack(usize),
    Drain,
    Close(bool),
    Bytes(bool, String),
    Eof(bool),
    Fail(bool),
}

fn op() -> impl Strategy<Value = Op> {
    let short = || select(&IDS[..]).prop_map(str::to_owned);
    let gcm = |body: &str| {
        format!("<message id=\"1\"><gcm xmlns=\"google:mobile:data\">{body}</gcm></message>")
    };
    let bytes = vec![
        gcm(r#"{"message_type":"ack","message_id":"1","to":"phone-1","from":"phone-1"}"#),
        gcm(r#"{"message_type":"nack","message_id":"2","error":"BAD_REGISTRATION"}"#),
        gcm(r#"{"message_type":"control","control_type":"CONNECTION_DRAINING"}"#),
        gcm(r#"{"message_id":"3","from":"phone-2","to":"phone-2"}"#),
        gcm("no JSON"),
        gcm("").replace("id=\"1\"", "type=\"error\" id=\"4\""),
        "<iq type=\"get\" id=\"x\"><ping xmlns=\"urn:xmpp:ping\"/></iq>".to_owned(),
        "<presence/>".to_owned(),
        " ".to_owned(),
        "stray".to_owned(),
        "<message>".to_owned(),
        "</message>".to_owned(),
        "</stream:stream>".to_owned(),
        "<!-- -->".to_owned(),
    ];
    prop_oneof![
        12 => Just(Op::Exchange),
        4 => prop_oneof![0..2_000_u64, 0..400_000_u64].prop_map(Op::Advance),
        2 => prop_oneof![1..64_usize, Just(usize::MAX)].prop_map(Op::Chunk),
        1 => any::<(bool, bool)>().prop_map(|(up, down)| Op::Stall(up, down)),
        12 => short().prop_map(Op::Send),
        1 => short().prop_map(Op::Cancel),
        1 => Just(Op::TakeUnsent),
        8 => any::<(usize, bool)>().prop_map(|(which, good)| Op::Answer(which, good)),
        8 => short().prop_map(Op::Upstream),
        4 => short().prop_map(Op::Receipt),
        8 => any::<usize>().prop_map(Op::Ack),
        1 => Just(Op::Drain),
        1 => any::<bool>().prop_map(Op::Close),
        2 => (any::<bool>(), select(bytes)).prop_map(|(up, bytes)| Op::Bytes(up, bytes)),
        1 => any::<bool>().prop_map(Op::Eof),
        1 => any::<bool>().prop_map(Op::Fail),
    ]
}

/// What became of the messages that the client accepted.
#[derive(Default)]
struct Books {
    accepted: Vec<String>,
    ended: Vec<String>,
    server_accepted: usize,
    server_ended: usize,
    answers: Vec<AnswerToken>,
    acks: Vec<AckToken>,
    client_closed: bool,
    server_closed: bool,
}

impl Books {
    fn take_events(&mut self, pair: &mut Pair) {
        pair.collect();
        for event in pair.client_events.drain(..) {
            assert!(!self.client_closed, "after Closed: {event:?}");
            match event {
                ClientEvent::Answered { message_id, .. } => {
                    self.ended.push(message_id.as_str().to_owned());
                }
                ClientEvent::Upstream { token, .. } | ClientEvent::Receipt { token, .. } => {
                    self.acks.push(token);
                }
                ClientEvent::Closed(_) => self.client_closed = true,
                _ => {}
            }
        }
        for event in pair.server_events.drain(..) {
            assert!(!self.server_closed, "after Closed: {event:?}");
            match event {
                ServerEvent::Downstream { token, .. } => self.answers.push(token),
                ServerEvent::Acked(_) => self.server_ended += 1,
                ServerEvent::Closed(_) => self.server_closed = true,
                _ => {}
            }
        }
    }

    fn take_token<T>(tokens: &mut Vec<T>, which: usize) -> Option<T> {
        let which = which.checked_rem(tokens.len())?;
        Some(tokens.swap_remove(which))
    }

    fn run(&mut self, pair: &mut Pair, op: Op) {
        match op {
            Op::Exchange => {
                pair.exchange();
            }
            Op::Advance(milliseconds) => pair.advance(Duration::from_millis(milliseconds)),
            Op::Chunk(size) => (pair.upwards.chunk, pair.downwards.chunk) = (size, size),
            Op::Stall(up, down) => (pair.upwards.open, pair.downwards.open) = (up, down),
            Op::Send(id) => {
                if let Ok(permit) = pair.client.reserve()
                    && permit.send(message(&id)).is_ok()
                {
                    self.accepted.push(id);
                }
            }
            Op::Cancel(id) => {
                if let Some(message) = pair.client.cancel(&id.into()) {
                    self.ended.push(message.id().as_str().to_owned());
                }
            }
            Op::TakeUnsent => {
                for message in pair.client.take_unsent() {
                    self.ended.push(message.id().as_str().to_owned());
                }
            }
            Op::Answer(which, good) => {
                if let Some(token) = Self::take_token(&mut self.answers, which) {
                    let _ = match good {
                        true => pair.server.ack(token, None),
                        false => pair.server.nack(token, &NackCode::ServiceUnavailable, ""),
                    };
                }
            }
            Op::Upstream(id) => {
                self.server_accepted += usize::from(pair.server.send(upstream(&id)).is_ok());
            }
            Op::Receipt(id) => {
                let _ = pair.server.send_receipt(receipt(&id));
            }
            Op::Ack(which) => {
                if let Some(token) = Self::take_token(&mut self.acks, which) {
                    let _ = pair.client.ack(token);
                }
            }
            Op::Drain => pair.server.drain(pair.now),
            Op::Close(true) => pair.client.close(pair.now),
            Op::Close(false) => pair.server.close(pair.now),
            Op::Bytes(true, bytes) => pair.server_reads(&bytes),
            Op::Bytes(false, bytes) => pair.client_reads(&bytes),
            Op::Eof(true) => drop(pair.server.receive_eof(pair.now)),
            Op::Eof(false) => drop(pair.client.receive_eof(pair.now)),
            Op::Fail(true) => pair.client.transport_failed(pair.now, "cut"),
            Op::Fail(false) => pair.server.transport_failed(pair.now, "cut"),
        }
    }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn whatever_is_called_in_whatever_order_no_message_is_lost_and_all_output_is_legal(
        bound: bool, window in 1..6_usize, ops in prop::collection::vec(op(), 0..120),
    ) {
        let (mut client, mut server) = (client_config(), ServerConfig::default());
        client.window = window;
        server.upstream_window = window;
        server.window = 3;
        let mut pair = match bound {
            true => Pair::bound_with(client, server),
            false => Pair::new(client, server),
        };
        let mut books = Books::default();
        for op in ops {
            books.run(&mut pair, op);
            books.take_events(&mut pair);
            prop_assert!(pair.client.in_flight() + pair.client.capacity() <= window);
            prop_assert!(pair.server.in_flight() + pair.server.capacity() <= window);
        }
        assert_legal(&pair.upwards.written);
        assert_legal(&pair.downwards.written);
        let client = pair.client.finish();
        let left = client.unanswered.iter().chain(&client.unsent);
        books.ended.extend(left.map(|message| message.id().as_str().to_owned()));
        books.accepted.sort();
        books.ended.sort();
        prop_assert_eq!(&books.accepted, &books.ended, "each message ends exactly once");
        let server = pair.server.finish();
        let left = server.unacked.len() + server.unsent.len();
        prop_assert_eq!(books.server_accepted, books.server_ended + left);
    }
}
