//! A connection of the small world, and its end at the endpoint.

use std::collections::VecDeque;

use bytes::BytesMut;
use ccs_proto::{AnswerToken, ConnectionId, ServerConnection, ServerEvent};

use super::small::{SESSION, Scope};
use crate::sim::invariants::Rule;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) server: ServerConnection,
    pub(super) up: BytesMut,
    pub(super) down: BytesMut,
    pub(super) answers: VecDeque<AnswerToken>,
    /// The app server holds its end.
    pub(super) held: bool,
    /// The app server reads no more behind what is on its way.
    pub(super) broken: bool,
}

impl Scope {
    pub(super) fn read_up(&mut self, id: ConnectionId) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let bytes = link.up.split();
        let end = !link.held;
        let _ = link.server.receive(now, &bytes);
        if end {
            let _ = link.server.receive_eof(now);
        }
        self.saw(id.0, if end { "last" } else { "read" }, &bytes);
    }

    pub(super) fn read_down(&mut self, id: ConnectionId) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let bytes = link.down.split();
        let (broken, end) = (link.broken, link.server.is_closed());
        self.saw(SESSION, "read", &id.0.to_be_bytes());
        self.saw(SESSION, if end { "last" } else { "more" }, &bytes);
        if !bytes.is_empty() {
            self.session.receive(now, id, &bytes);
        }
        if broken {
            self.session.transport_failed(now, id, "reset by peer");
        } else if end {
            self.session.receive_eof(now, id);
        }
    }

    pub(super) fn run_server(&mut self, id: ConnectionId) -> bool {
        let now = self.now;
        let mut moved = false;
        while let Some(link) = self.links.get_mut(&id) {
            if let Some(event) = link.server.poll_event() {
                moved = true;
                match event {
                    ServerEvent::Login(request) => drop(link.server.accept(now, request)),
                    ServerEvent::Downstream {
                        message_id, token, ..
                    } => {
                        link.answers.push_back(token);
                        if let Some(message) = self.books.messages.get_mut(message_id.as_str()) {
                            message.taken += 1;
                        }
                    }
                    ServerEvent::Acked(message) => {
                        self.acked.insert(message.message_id().to_string());
                    }
                    ServerEvent::Refused { message_id, reason } => {
                        let stray = reason.contains("not sent over this connection");
                        self.books.check(!stray, Rule::AckWhereItCame, || {
                            format!("the endpoint refuses the ack of {message_id:?}")
                        });
                    }
                    _ => {}
                }
                continue;
            }
            let before = link.down.len();
            while link.server.poll_transmit(now, &mut link.down) {}
            moved |= link.down.len() > before;
            if !link.held {
                link.down.clear();
            }
            self.waiting.extend(link.server.take_unacked());
            if !link.server.is_open() || self.waiting.is_empty() {
                break;
            }
            let message = self.waiting.remove(0);
            if link.server.send(message.clone()).is_err() {
                self.waiting.insert(0, message);
                break;
            }
            moved = true;
            self.saw(id.0, "send", &[]);
        }
        moved
    }
}
