//! Both roles joined by a pipe that stalls, cuts and is cut off, with owners who do what they like, in virtual time.
//!
//! Nobody breaks the protocol here, so none is told that he did. Every message of either side ends once, as its own side was
//! told or as it was left behind; no answer and no ack is heard that was not given; and both ends come to rest.

use std::collections::BTreeMap;
use std::time::Duration;

use ccs_proto::message::{NackCode, Upstream};
use ccs_proto::{
    AckToken, AnswerToken, ClientEvent, ConnectionError, Outcome, ServerConfig, ServerEvent,
    StreamCondition,
};
use ccs_tests::pair::{Pair, client_config, message, receipt};

use crate::input::Input;

/// The first byte of a case: the windows and bounds. Each two that follow are an operation with its argument.
pub fn run(case: &[u8]) {
    let mut input = Input(case);
    let mut joined = Joined::new(input.byte());
    while !input.is_empty() {
        let (operation, argument) = (input.byte(), input.byte());
        joined.apply(operation, argument);
        joined.take_events();
        joined.check();
    }
    joined.finish();
}

/// What is known of one message: what its receiver said of it, and how often its sender heard of an end.
#[derive(Debug, Default, Clone, Copy)]
struct Fate {
    acked: u32,
    refused: u32,
    ended: u32,
}

struct Joined {
    pair: Pair,
    windows: (usize, usize),
    next: usize,
    next_up: usize,
    downstream: BTreeMap<String, Fate>,
    upstream: BTreeMap<String, Fate>,
    answers: Vec<(String, AnswerToken)>,
    acks: Vec<(String, AckToken)>,
    closed: (u32, u32),
}

impl Joined {
    fn new(setup: u8) -> Self {
        let mut client = client_config();
        let mut server = ServerConfig::default();
        client.window = 1 + usize::from(setup & 3);
        server.window = 1 + usize::from(setup >> 2 & 3);
        server.upstream_window = 1 + usize::from(setup >> 4 & 3);
        if setup & 64 != 0 {
            client.inbox_messages = 2;
            server.inbox_messages = 2;
        }
        let windows = (client.window, server.upstream_window);
        let pair = if setup & 128 == 0 {
            Pair::bound_with(client, server)
        } else {
            Pair::new(client, server)
        };
        Self {
            pair,
            windows,
            next: 0,
            next_up: 0,
            downstream: BTreeMap::new(),
            upstream: BTreeMap::new(),
            answers: Vec::new(),
            acks: Vec::new(),
            closed: (0, 0),
        }
    }

    fn apply(&mut self, operation: u8, argument: u8) {
        let pair = &mut self.pair;
        match operation % 16 {
            0 | 1 => self.send_down(argument),
            2 | 3 => self.send_up(argument),
            4 => drop(
                pair.server
                    .send_receipt(receipt(&format!("r-{}", argument & 7))),
            ),
            5 | 6 => self.answer(argument),
            7 | 8 => self.ack(argument),
            9 => {
                pair.exchange();
            }
            10 => pair.drive(),
            11 => pair.advance(Duration::from_secs(u64::from(argument) * 3)),
            12 => {
                let chunk = 1 + usize::from(argument) * 4;
                (pair.upwards.chunk, pair.downwards.chunk) = (chunk, chunk);
            }
            13 => {
                pair.upwards.open = argument & 1 == 0;
                pair.downwards.open = argument & 2 == 0;
                pair.client_polls = argument & 4 == 0;
                pair.server_polls = argument & 8 == 0;
            }
            14 => self.take_back(argument),
            _ => self.end(argument),
        }
    }

    fn send_down(&mut self, argument: u8) {
        // Now and then an id that is under way or was: the client refuses the one, the endpoint the other.
        // An answer that was not polled has freed the id without our knowing.
        let known = !self.pair.client.has_events();
        let fresh = argument & 7 != 0 || self.next == 0 || !known;
        let number = if fresh { self.next } else { self.next - 1 };
        let id = format!("m-{number}");
        let Ok(permit) = self.pair.client.reserve() else {
            return;
        };
        if !fresh && self.downstream.get(&id).is_some_and(|fate| fate.ended > 0) {
            return;
        }
        if permit.send(message(&id)).is_ok() {
            assert!(fresh, "{id} was accepted twice");
            self.next += 1;
            self.downstream.insert(id, Fate::default());
        }
    }

    fn send_up(&mut self, argument: u8) {
        let id = format!("u-{}", self.next_up);
        self.next_up += 1;
        let upstream = Upstream::new(format!("phone-{}", argument & 3), id.as_str());
        if self.pair.server.send(upstream).is_ok() {
            self.upstream.insert(id, Fate::default());
        }
    }

    fn answer(&mut self, argument: u8) {
        let Some(at) = usize::from(argument >> 2).checked_rem(self.answers.len()) else {
            return;
        };
        let (id, token) = self.answers.swap_remove(at);
        let fate = self.downstream.entry(id).or_default();
        let server = &mut self.pair.server;
        match argument & 3 {
            0 => {
                if server
                    .nack(token, &NackCode::BadRegistration, "gone")
                    .is_ok()
                {
                    fate.refused += 1;
                }
            }
            1 => drop(token),
            _ => fate.acked += u32::from(server.ack(token, None).is_ok()),
        }
    }

    fn ack(&mut self, argument: u8) {
        let Some(at) = usize::from(argument >> 2).checked_rem(self.acks.len()) else {
            return;
        };
        let (id, token) = self.acks.swap_remove(at);
        if argument & 3 == 3 {
            return drop(token);
        }
        let acked = self.pair.client.ack(token).is_ok();
        if let Some(fate) = self.upstream.get_mut(&id) {
            fate.acked += u32::from(acked);
        }
    }

    fn take_back(&mut self, argument: u8) {
        let client = &mut self.pair.client;
        let back = match argument & 3 {
            0 => client.take_unsent(),
            1 => client.take_unanswered(),
            _ => {
                let id = format!("m-{}", usize::from(argument >> 2));
                client.cancel(&id.as_str().into()).into_iter().collect()
            }
        };
        for message in back {
            self.ended_down(message.id().as_str());
        }
    }

    fn end(&mut self, argument: u8) {
        let now = self.pair.now;
        let pair = &mut self.pair;
        match argument & 7 {
            0 => pair.client.close(now),
            1 => pair.server.close(now),
            2 | 3 => pair.server.drain(now),
            4 => pair
                .server
                .end_with(now, StreamCondition::SystemShutdown, ""),
            5 if argument & 0xf0 == 0 => pair.client.transport_failed(now, "pulled"),
            6 if argument & 0xf0 == 0 => pair.server.transport_failed(now, "pulled"),
            _ => {}
        }
    }

    fn take_events(&mut self) {
        for event in std::mem::take(&mut self.pair.client_events) {
            self.client_event(event);
        }
        for event in std::mem::take(&mut self.pair.server_events) {
            self.server_event(event);
        }
    }

    fn client_event(&mut self, event: ClientEvent) {
        assert_eq!(self.closed.0, 0, "{event:?} after the end");
        match event {
            ClientEvent::Answered {
                message_id,
                outcome,
            } => {
                let id = message_id.as_str();
                let fate = self.downstream.get(id).copied().unwrap_or_default();
                match outcome {
                    Outcome::Accepted(_) => assert!(fate.acked > 0, "nobody acked {id}"),
                    // The endpoint refuses of itself what comes while it drains.
                    Outcome::Refused(nack) if nack.code == NackCode::ConnectionDraining => {}
                    Outcome::Refused(_) => assert!(fate.refused > 0, "nobody refused {id}"),
                    other => panic!("{id}: {other:?}"),
                }
                self.ended_down(id);
            }
            ClientEvent::Upstream { message, token } => {
                self.acks.push((message.message_id().to_string(), token));
            }
            ClientEvent::Receipt { receipt, token } => {
                self.acks.push((receipt.message_id().to_string(), token));
            }
            ClientEvent::Closed(end) => {
                self.closed.0 += 1;
                conforms(end);
            }
            ClientEvent::Ignored(what) => panic!("{what:?} of a peer that keeps to the protocol"),
            _ => {}
        }
    }

    fn server_event(&mut self, event: ServerEvent) {
        assert_eq!(self.closed.1, 0, "{event:?} after the end");
        match event {
            ServerEvent::Downstream {
                message_id, token, ..
            } => {
                let id = message_id.to_string();
                assert!(self.downstream.contains_key(&id), "{id} was never sent");
                self.answers.push((id, token));
            }
            ServerEvent::Acked(message) => {
                let id = message.message_id().to_string();
                let fate = self.upstream.entry(id.clone()).or_default();
                assert!(fate.acked > 0, "nobody acked {id}");
                fate.ended += 1;
            }
            ServerEvent::Closed(end) => {
                self.closed.1 += 1;
                conforms(end);
            }
            ServerEvent::Refused { message_id, reason } => {
                assert!(
                    reason.contains("DRAINING"),
                    "{message_id:?} was refused: {reason}"
                );
            }
            _ => {}
        }
    }

    fn ended_down(&mut self, id: &str) {
        match self.downstream.get_mut(id) {
            Some(fate) => fate.ended += 1,
            None => panic!("{id} ends and was never accepted"),
        }
    }

    fn check(&self) {
        let (client, server) = (&self.pair.client, &self.pair.server);
        assert!(
            client.in_flight() + client.capacity() <= self.windows.0,
            "over the window"
        );
        assert!(
            server.in_flight() + server.capacity() <= self.windows.1,
            "over the window"
        );
        let twice = |fates: &BTreeMap<String, Fate>| fates.values().any(|fate| fate.ended > 1);
        assert!(
            !twice(&self.downstream) && !twice(&self.upstream),
            "ends twice"
        );
    }

    /// With everybody at work again, it all comes to an end in time.
    fn finish(mut self) {
        let pair = &mut self.pair;
        (pair.upwards.open, pair.downwards.open) = (true, true);
        (pair.client_polls, pair.server_polls) = (true, true);
        pair.drive();
        pair.client.close(pair.now);
        pair.advance(Duration::from_secs(1_000));
        // Whose owner answers nothing reads no further, not even the other's end of the stream.
        pair.server.close(pair.now);
        pair.advance(Duration::from_secs(1_000));
        pair.collect();
        self.take_events();
        self.check();
        assert_eq!(
            self.closed,
            (1, 1),
            "both ends are told the end: {:?}",
            self.pair
        );

        let client = self.pair.client.finish();
        for left in client.unanswered.iter().chain(&client.unsent) {
            match self.downstream.get_mut(left.id().as_str()) {
                Some(fate) => fate.ended += 1,
                None => panic!("{:?} is left and was never accepted", left.id()),
            }
        }
        let server = self.pair.server.finish();
        for left in server.unacked.iter().chain(&server.unsent) {
            self.upstream
                .entry(left.message_id().to_string())
                .or_default()
                .ended += 1;
        }
        for (id, fate) in self.downstream.iter().chain(&self.upstream) {
            assert_eq!(fate.ended, 1, "{id} ends once: {fate:?}");
        }
    }
}

/// Timeouts and cuts are what this is about; a breach of the protocol is not among them.
fn conforms(end: Result<(), ConnectionError>) {
    match end {
        // An app server that takes nothing while messages come.
        Err(ConnectionError::Protocol {
            condition: StreamCondition::PolicyViolation,
            ..
        }) => {}
        Err(ConnectionError::StreamError {
            condition: StreamCondition::PolicyViolation,
            ..
        }) => {}
        Err(error @ ConnectionError::Protocol { .. }) => panic!("{error}"),
        _ => {}
    }
}
