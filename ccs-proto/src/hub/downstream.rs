//! What app servers send, until it is accepted or refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use super::command::{Command, Record, StoreId};
use super::event::HubEvent;
use super::mailbox::Reach;
use super::senders::Doubtful;
use super::storing::Stored;
use super::{DeliveryId, Device, Hub};
use crate::ledger::ConnectionId;
use crate::message::{Downstream, MessageId, NackCode, RegistrationToken, SenderId, Target};
use crate::server::AnswerToken;
use crate::time::Time;

/// A message to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrivalId {
    connection: ConnectionId,
    number: u64,
}

impl ArrivalId {
    pub(super) fn first_of(connection: ConnectionId) -> Self {
        let number = 0;
        Self { connection, number }
    }

    /// The connection by which it came.
    #[must_use]
    pub fn connection(self) -> ConnectionId {
        self.connection
    }
}

/// A message of an app server that is neither accepted nor refused.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// To be named in the answer.
    pub id: ArrivalId,
    /// Whose it is.
    pub sender: SenderId,
    /// The id that the sender gave it.
    pub message_id: MessageId,
    /// The message.
    pub message: Arc<Downstream>,
}

/// Who gets a message, and whether each of them can be reached now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acceptance {
    devices: BTreeMap<RegistrationToken, Reach>,
    canonical: Option<RegistrationToken>,
}

impl Acceptance {
    /// These devices get it, each of them once. There may be none, as for a topic without subscribers.
    #[must_use]
    pub fn new(devices: impl IntoIterator<Item = (RegistrationToken, Reach)>) -> Self {
        Self {
            devices: devices.into_iter().collect(),
            canonical: None,
        }
    }

    /// The ack names the token that the app server should use from now on.
    #[must_use]
    pub fn with_canonical(mut self, token: RegistrationToken) -> Self {
        self.canonical = Some(token);
        self
    }
}

/// The connection by which a message came has ended, or the message was decided on before. Nothing happens: if it was not
/// answered, its app server sends it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the message waits for no decision any more; if it was not answered, it comes again")]
pub struct Gone;

#[derive(Debug)]
pub(super) struct Pending {
    sender: SenderId,
    message_id: MessageId,
    message: Arc<Downstream>,
    token: AnswerToken,
}

/// An accepted message that is being stored.
#[derive(Debug)]
pub(super) struct Accepting {
    sender: SenderId,
    message_id: MessageId,
    target: Target,
    token: AnswerToken,
    canonical: Option<RegistrationToken>,
}

impl Hub {
    pub(super) fn arrive(
        &mut self,
        connection: ConnectionId,
        message_id: MessageId,
        message: Downstream,
        token: AnswerToken,
    ) {
        // One connection too many is being ended: what comes by it is not answered.
        let Some((id, sender)) = self.senders.of(connection) else {
            return;
        };
        let same = |doubtful: &Doubtful| doubtful.is(&message);
        let known = sender.doubtful.take_if(&message_id, same).is_some();
        #[cfg(ccs_planted)]
        let known = self.plant_doubt(known, &message_id);
        if known {
            self.emit(HubEvent::SentAgain {
                connection,
                message_id: message_id.clone(),
            });
            return self.command(Command::Ack {
                sender: id,
                message_id,
                target: message.target().clone(),
                token,
                canonical: None,
            });
        }
        let number = self.next_number();
        let arrival = Arrival {
            id: ArrivalId { connection, number },
            sender: id.clone(),
            message_id: message_id.clone(),
            message: Arc::new(message),
        };
        let pending = Pending {
            sender: id,
            message_id,
            message: Arc::clone(&arrival.message),
            token,
        };
        self.arrivals.insert(arrival.id, pending);
        self.emit(HubEvent::Downstream(arrival));
    }

    /// Takes a message over, for these devices. It is acked when it is stored. If so much is kept that there is no room for
    /// it, its app server is told to try again instead ([`TooMuchKept`](HubEvent::TooMuchKept)).
    ///
    /// # Errors
    /// [`Gone`], and nothing happens, when nobody can be answered any more.
    pub fn accept(
        &mut self,
        now: Time,
        arrival: ArrivalId,
        acceptance: Acceptance,
    ) -> Result<(), Gone> {
        self.tick(now);
        // What has had its time is not delivered, although nobody has looked since.
        self.run_due();
        let Pending {
            sender,
            message_id,
            message,
            token,
        } = self.arrivals.remove(&arrival).ok_or(Gone)?;
        let Acceptance { devices, canonical } = acceptance;
        if devices.is_empty() || message.is_dry_run() {
            self.command(Command::Ack {
                sender,
                message_id,
                target: message.target().clone(),
                token,
                canonical,
            });
            return Ok(());
        }
        let share = self.mail.shares.of(&sender);
        let shares = &self.mail.shares;
        if !shares.has_room(share, &self.config, &devices, &message) {
            self.emit(HubEvent::TooMuchKept {
                connection: arrival.connection,
                message_id: message_id.clone(),
            });
            self.nack(message_id, message.target(), token, "too much is stored");
            return Ok(());
        }
        let expires = self.now + message.kept_for().unwrap_or(self.config.kept_for);
        let id = StoreId(self.next_number());
        let connection = Some(arrival.connection);
        self.mail
            .letter(id, connection, &sender, &message_id, &message, expires);
        for (token, reach) in &devices {
            let device = Device::new(sender.clone(), token.clone());
            let delivery = DeliveryId(self.next_number());
            self.tell_if_online(&device, *reach);
            let mailbox = self.mail.find_or_open(device, *reach);
            self.set_reach(mailbox, *reach);
            self.mail.insert(delivery, id, mailbox);
        }
        let target = message.target().clone();
        let record = Record::Downstream {
            sender: sender.clone(),
            message_id: message_id.clone(),
            message,
            devices: devices.into_keys().collect(),
            expires,
        };
        let accepting = Accepting {
            sender,
            message_id,
            target,
            token,
            canonical,
        };
        #[cfg(ccs_planted)]
        if self.is_planted(super::Planted::AckBeforeStored) {
            self.command(Command::Store { id, record });
            self.downstream_stored(id, accepting);
            return Ok(());
        }
        self.store(id, Stored::Downstream(accepting), record);
        Ok(())
    }

    /// Refuses a message. Its app server may use the id again.
    ///
    /// # Errors
    /// As for [`accept`](Self::accept).
    pub fn refuse(
        &mut self,
        arrival: ArrivalId,
        code: NackCode,
        description: impl Into<String>,
    ) -> Result<(), Gone> {
        let pending = self.arrivals.remove(&arrival).ok_or(Gone)?;
        self.command(Command::Nack {
            message_id: pending.message_id,
            target: pending.message.target().clone(),
            token: pending.token,
            code,
            description: description.into(),
        });
        Ok(())
    }

    /// Leaves a message without an answer, as a fault would: it holds a place in its connection's window, and comes again
    /// on another connection.
    pub fn pass_over(&mut self, arrival: ArrivalId) {
        self.arrivals.remove(&arrival);
    }

    pub(super) fn downstream_stored(&mut self, id: StoreId, accepting: Accepting) {
        let Accepting {
            sender,
            message_id,
            target,
            token,
            canonical,
        } = accepting;
        let copies = self.mail.copies_of(id);
        // Nobody can be told that it is accepted, so it comes again, and nothing of it has happened.
        if self.senders.owner(token.connection()).is_none() {
            for copy in copies {
                self.take_copy(copy);
            }
            return;
        }
        self.command(Command::Ack {
            sender,
            message_id,
            target,
            token,
            canonical,
        });
        for copy in copies {
            self.release(copy);
        }
    }

    pub(super) fn downstream_not_stored(&mut self, id: StoreId, accepting: Accepting) {
        for copy in self.mail.copies_of(id) {
            self.take_copy(copy);
        }
        self.nack(accepting.message_id, &accepting.target, accepting.token, "");
    }

    fn nack(&mut self, message_id: MessageId, target: &Target, token: AnswerToken, why: &str) {
        self.command(Command::Nack {
            message_id,
            target: target.clone(),
            token,
            code: NackCode::ServiceUnavailable,
            description: why.to_owned(),
        });
    }
}
