//! Does what the hub asks for, and says what it tells.

use std::time::SystemTime;

use ccs_tokio::CarriedOut;
use ccs_tokio::proto::hub::{Command as HubCommand, HubEvent};
use ccs_tokio::proto::{Time, Unconfirmed};

use super::Exchange;
use crate::serve::command::CATEGORY;
use crate::serve::devices::Acked;
use crate::serve::event::{Event, FromDevice};

impl Exchange {
    /// Does what the hub asks for, and says what it tells, until there is nothing more.
    pub(super) fn settle(&mut self, now: Time) {
        loop {
            if let Some(command) = self.hub.poll_command() {
                self.carry_out(now, command);
            } else if let Some(event) = self.hub.poll_event() {
                self.tell(now, event);
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self, now: Time, command: HubCommand) {
        let key = match &command {
            // What was to be acked is refused if too much is kept.
            HubCommand::Ack {
                token, message_id, ..
            }
            | HubCommand::Nack {
                token, message_id, ..
            } => Some((token.connection(), message_id.clone())),
            _ => None,
        };
        let acked = key.as_ref().and_then(|key| self.acked.remove(key));
        let answer = Event::answer(&command);
        let done = match (command, acked) {
            (
                HubCommand::Ack {
                    sender,
                    message_id,
                    token,
                    ..
                },
                Some(Acked::Twice),
            ) => {
                let failed = Unconfirmed {
                    message_id,
                    content: token.content(),
                };
                let peer = self.peers.get(token.connection());
                if peer.is_some_and(|peer| peer.ack_twice(token).is_ok()) {
                    if let Some(first) = answer.clone() {
                        self.report(first);
                    }
                    CarriedOut::Done
                } else {
                    self.hub.ack_failed(&sender, failed);
                    CarriedOut::TooLate
                }
            }
            (command, _) => self.peers.carry_out(&mut self.hub, with_category(command)),
        };
        match done {
            CarriedOut::Done => {
                if let Some(answer) = answer {
                    self.report(answer);
                }
                if let (Some(Acked::ThenDrains), Some((connection, _))) = (acked, key) {
                    self.hub.drain(now, connection);
                }
            }
            CarriedOut::TooLate => {}
            CarriedOut::NotHere(command) => self.keep_or_deliver(now, *command),
        }
    }

    fn keep_or_deliver(&mut self, now: Time, command: HubCommand) {
        match command {
            // Nothing is kept beyond this process.
            HubCommand::Store { id, .. } => self.hub.stored(now, id),
            HubCommand::Deliver {
                delivery,
                device,
                message,
                ..
            } => {
                self.hub.delivered(now, delivery, milliseconds());
                if let Some(echo) = self.devices.receive(device.token, &message) {
                    self.submit(now, None, &device.sender, echo);
                }
            }
            _ => {}
        }
    }

    /// Says what the hub tells, and decides what it asks.
    fn tell(&mut self, now: Time, event: HubEvent) {
        let event = match event {
            HubEvent::Downstream(arrival) => return self.decide(now, arrival),
            HubEvent::UpstreamAcked {
                connection,
                message,
            } => {
                let acked = FromDevice::new(Some(connection), &message);
                self.report(Event::UpstreamAcked(acked));
                return self.redeliver(now, connection, message);
            }
            // Nothing is refused by the store that is not there, and what is accepted is sent or waits.
            HubEvent::Accepted { .. } | HubEvent::NotStored { .. } => return,
            HubEvent::SentAgain {
                connection,
                message_id,
            } => Event::SentAgain {
                connection: connection.0,
                message_id: message_id.to_string(),
            },
            HubEvent::Kept(copy) => Event::Stored(copy.into()),
            HubEvent::Delivered(copy) => Event::Delivered(copy.into()),
            HubEvent::Discarded(copy, why) => Event::Discarded {
                copy: copy.into(),
                reason: why.as_str(),
            },
            HubEvent::ToldDeleted { device, messages } => Event::DeletedMessages {
                device: device.token.to_string(),
                messages,
            },
            HubEvent::ReceiptSent {
                connection,
                receipt,
            } => Event::ReceiptSent {
                connection: connection.0,
                message_id: receipt.message_id().to_string(),
                device: receipt.device().map(ToString::to_string),
            },
            HubEvent::UpstreamWaits { message, .. } => {
                Event::UpstreamWaiting(FromDevice::new(None, &message))
            }
            HubEvent::UpstreamSent {
                connection,
                message,
            }
            | HubEvent::UpstreamSentAgain {
                connection,
                message,
            } => Event::UpstreamSent(FromDevice::new(Some(connection), &message)),
            HubEvent::UpstreamExpired { message, .. } => {
                Event::UpstreamExpired(FromDevice::new(None, &message))
            }
            HubEvent::Draining(connection) => Event::Draining {
                connection: connection.0,
            },
            // The nack that comes next says why, and so does the end of the connection.
            _ => return,
        };
        self.report(event);
    }
}

/// Receipts name the app, which only the devices know.
fn with_category(command: HubCommand) -> HubCommand {
    match command {
        HubCommand::SendReceipt {
            sender,
            connection,
            receipt,
        } => HubCommand::SendReceipt {
            sender,
            connection,
            receipt: receipt.with_category(CATEGORY),
        },
        other => other,
    }
}

/// Since the Unix epoch.
fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let milliseconds = since.map_or(0, |since| since.as_millis());
    u64::try_from(milliseconds).unwrap_or(u64::MAX)
}
