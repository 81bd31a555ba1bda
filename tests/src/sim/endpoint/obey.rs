//! Carries out what the hub asks for.

use ccs_proto::hub::Command;
use ccs_proto::{ConnectionId, NotSent, ServerConnection, Unconfirmed};

use super::{Endpoint, Heard};
use crate::sim::faults::Point;
use crate::sim::invariants::Rule;
use crate::sim::seen::Sight;
use crate::sim::stage::Stage;

impl Endpoint {
    fn server(&mut self, id: ConnectionId) -> Option<&mut ServerConnection> {
        self.servers.get_mut(&id)
    }

    pub(super) fn obey(&mut self, stage: &mut Stage, command: Command) {
        let now = stage.now;
        match command {
            Command::Ack {
                sender,
                message_id: id,
                token,
                canonical,
                ..
            } => {
                let (connection, content) = (token.connection(), token.content());
                let acked = self
                    .server(connection)
                    .map(|server| server.ack(token, canonical.as_ref()));
                if matches!(acked, Some(Ok(()))) {
                    self.mail.acked(connection, &id);
                    self.heard.push_back(Heard::Took {
                        connection,
                        sender,
                        id,
                    });
                    self.crashes_at(stage, Point::Acked);
                } else if let Some(hub) = &mut self.hub {
                    self.mail.is_in_doubt(&sender, &id);
                    let failed = Unconfirmed {
                        message_id: id,
                        content,
                    };
                    hub.ack_failed(&sender, failed);
                }
            }
            Command::Nack {
                token,
                code,
                description,
                ..
            } => {
                if let Some(server) = self.server(token.connection()) {
                    let _ = server.nack(token, &code, &description);
                }
            }
            Command::Send {
                connection,
                message,
            } => {
                let sender = self.logins.get(&connection);
                self.post.sent(connection, sender, &message);
                let sent = self.server(connection).map(|server| server.send(message));
                let full = matches!(sent, Some(Err(NotSent::WindowFull(_))));
                stage.findings.check(!full, Rule::Window, || {
                    format!("the hub sends more on {connection:?} than its window")
                });
            }
            Command::SendAgain {
                connection,
                message,
            } => {
                stage.findings.see(Sight::SentAgainInTime);
                let sender = self.logins.get(&connection);
                self.post.sent(connection, sender, &message);
                if let Some(server) = self.server(connection) {
                    server.send_again(message.from(), message.message_id());
                }
            }
            Command::SendReceipt {
                sender,
                connection,
                receipt,
            } => {
                let failed = match self.server(connection) {
                    None => Some(receipt),
                    Some(server) => match server.send_receipt(receipt) {
                        Err(NotSent::Closed(receipt) | NotSent::WindowFull(receipt)) => {
                            Some(*receipt)
                        }
                        _ => None,
                    },
                };
                if let (Some(receipt), Some(hub)) = (failed, &mut self.hub) {
                    hub.receipt_failed(&sender, connection, receipt);
                }
            }
            Command::SetWindows {
                connection,
                window,
                upstream_window,
            } => {
                if let Some(server) = self.server(connection) {
                    server.set_windows(window, upstream_window);
                }
            }
            Command::Drain(connection) => {
                self.post.drains(connection);
                if let Some(server) = self.server(connection) {
                    server.drain(now);
                }
            }
            Command::End {
                connection,
                condition,
                text,
            } => {
                if let Some(server) = self.server(connection) {
                    server.end_with(now, condition, &text);
                }
            }
            Command::Deliver {
                delivery,
                device,
                message_id,
                message,
            } => {
                self.mail.goes_out(&device, &message_id);
                self.heard.push_back(Heard::Deliver {
                    delivery,
                    device,
                    message_id,
                    message,
                });
            }
            Command::TellDeleted { device, messages } => self.mail.told(&device, messages),
            Command::Store { id, record } => self.store(stage, id, record),
            Command::Forget(id) => self.forget_record(stage, id),
            other => unreachable!("{other:?}"),
        }
    }
}
