//! Carries out what the hub asks for.

use ccs_proto::hub::Command;
use ccs_proto::{ConnectionId, Unconfirmed};

use crate::link::Link;
use crate::words;
use crate::world::{Given, Storing, World};

impl World {
    pub fn carry_out(&mut self, command: Command) {
        let now = self.now;
        match command {
            Command::Ack {
                sender,
                message_id,
                token,
                canonical,
                ..
            } => {
                let failed = Unconfirmed {
                    message_id,
                    content: token.content(),
                };
                let given = self
                    .end_of(token.connection())
                    .map(|link| link.server.ack(token, canonical.as_ref()));
                if !matches!(given, Some(Ok(()))) {
                    self.hub.ack_failed(&sender, failed);
                }
            }
            Command::Nack {
                token,
                code,
                description,
                ..
            } => {
                if let Some(link) = self.end_of(token.connection()) {
                    link.server.nack(token, &code, &description).unwrap();
                }
            }
            Command::Send {
                connection,
                message,
            } => {
                if let Some(link) = self.end_of(connection) {
                    link.server.send(message).unwrap();
                }
            }
            Command::SendAgain {
                connection,
                message,
            } => {
                if let Some(link) = self.end_of(connection) {
                    let (from, id) = (message.from(), message.message_id());
                    assert!(link.server.send_again(from, id), "it is in flight");
                }
            }
            Command::SendReceipt {
                sender,
                connection,
                receipt,
            } => match self.end_of(connection) {
                Some(link) => link.server.send_receipt(receipt).unwrap(),
                None => self.hub.receipt_failed(&sender, connection, receipt),
            },
            Command::SetWindows {
                connection,
                window,
                upstream_window,
            } => {
                if let Some(link) = self.end_of(connection) {
                    link.server.set_windows(window, upstream_window);
                }
            }
            Command::Drain(connection) => {
                if let Some(link) = self.end_of(connection) {
                    link.server.drain(now);
                }
            }
            Command::End {
                connection,
                condition,
                text,
            } => {
                if let Some(link) = self.end_of(connection) {
                    link.server.end_with(now, condition, &text);
                }
            }
            Command::Deliver {
                delivery,
                device,
                message_id,
                ..
            } => {
                let word = format!("{}:{message_id}", words::device(&device));
                if self.devices_answer {
                    self.got.push(word);
                    self.hub.delivered(now, delivery, 1);
                } else {
                    self.given.push(Given { delivery, word });
                }
            }
            Command::TellDeleted { .. } => {}
            Command::Store { id, record } => match self.storing {
                Storing::Never => self.hub.refused(now, id),
                Storing::AtOnce => {
                    self.kept.insert(id, record);
                    self.hub.stored(now, id);
                }
                Storing::Later => {
                    self.kept.insert(id, record);
                    self.asked.push(id);
                }
            },
            Command::Forget(id) => {
                self.kept.remove(&id);
            }
            other => panic!("{other:?}"),
        }
    }

    fn end_of(&mut self, connection: ConnectionId) -> Option<&mut Link> {
        self.links.get_mut(&connection.0)
    }
}
