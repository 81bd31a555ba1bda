//! Messages to devices: from submission to the one outcome.

use std::time::Duration;

use super::Session;
use super::command::{Command, Forgotten};
use super::event::{DeadReason, Refused, SessionEvent, Settlement, SubmitError};
use super::pool::Slot;
use super::queue::Place;
use super::retry::{self, Next};
use super::storing::Pending;
use crate::client::Outcome;
use crate::error::ConnectionError;
use crate::ledger::ConnectionId;
use crate::message::{Downstream, EncodedDownstream, MessageId, Nack, RegistrationToken};

/// What a message without a time to live has: the most there is, four weeks (`docs/protocol.md` §3.2).
const LONGEST_LIFE: Duration = Duration::from_secs(crate::message::limits::MAX_TIME_TO_LIVE);
/// The wire counts whole seconds, so now or never is within the first one.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

impl Session {
    /// Takes a message over. It is accepted with [`Accepted`](SessionEvent::Accepted), when it is stored, and its
    /// outcome comes with [`Settled`](SessionEvent::Settled), both under the id that is returned: the message's own, or a
    /// new one.
    ///
    /// # Errors
    /// Why it was not taken. At the bound of the queue it comes back.
    pub fn submit(
        &mut self,
        now: crate::time::Time,
        message: Downstream,
    ) -> Result<MessageId, SubmitError> {
        self.tick(now);
        if self.is_closing() {
            return Err(SubmitError::ShuttingDown(Box::new(message)));
        }
        if !self.has_room() {
            self.turned_away = true;
            return Err(SubmitError::Full(Box::new(message)));
        }
        let encoded = match message.message_id().cloned() {
            Some(id) if self.queue.contains(&id) => {
                return Err(SubmitError::Duplicate(Box::new(message)));
            }
            Some(id) => message.encode(id)?,
            None => message.encode(self.fresh_id())?,
        };
        let id = encoded.id().clone();
        let number = self.insert(encoded, Duration::ZERO);
        self.store(Pending::Accept(number));
        #[cfg(ccs_planted)]
        if self.is_planted(super::Planted::AcceptBeforeStored) {
            self.accepted(number);
        }
        self.turn();
        Ok(id)
    }

    /// Takes a message back that was not sent, or that was refused for a while and waits. `None`, and nothing taken
    /// back, when the endpoint may have it or nothing of that id is under way.
    pub fn cancel(&mut self, now: crate::time::Time, id: &MessageId) -> Option<Downstream> {
        self.tick(now);
        let number = self.queue.number_of(id)?;
        let entry = self.queue.get(number).filter(|entry| !entry.unknown)?;
        match entry.place() {
            Place::Burying => return None,
            Place::Out(connection) => {
                let slot = self.pool.get_mut(connection)?;
                slot.connection.cancel(id)?;
                slot.free = slot.free.saturating_add(1);
            }
            Place::Storing | Place::Ready(_) | Place::Suspect { .. } | Place::Waiting(_) => {}
        }
        let entry = self.queue.remove(number)?;
        self.forget(id.clone());
        self.turn();
        Some(entry.message.message().clone())
    }

    pub(super) fn insert(&mut self, message: EncodedDownstream, age: Duration) -> u64 {
        let life = message
            .message()
            .kept_for()
            .unwrap_or(LONGEST_LIFE)
            .max(SHORTEST_LIFE);
        let left = |span: Duration| self.now + span.saturating_sub(age);
        let too_late = self.config.give_up_after.map(left);
        self.queue.insert(message, left(life), too_late)
    }

    /// An id that no message under way has: the application may give ids of the same form.
    pub(super) fn fresh_id(&mut self) -> MessageId {
        loop {
            self.next_id = self.next_id.wrapping_add(1);
            let id = MessageId::from(format!("{}-{}", self.config.id_prefix, self.next_id));
            if !self.queue.contains(&id) {
                return id;
            }
        }
    }

    fn has_room(&self) -> bool {
        self.queue.len() < self.config.queue_messages
            && self.queue.bytes() < self.config.queue_bytes
            && self.takes_events()
    }

    pub(super) fn takes_events(&self) -> bool {
        !self.events.is_full()
    }

    pub(super) fn note_room(&mut self) {
        if self.turned_away && self.has_room() {
            self.turned_away = false;
            self.emit(SessionEvent::Room);
        }
    }

    /// Room that an answer makes is taken by the next message that waits, so it ends nothing: in a long queue there would
    /// be two events for each answer.
    pub(super) fn note_window(&mut self) {
        let waits = self.queue.has_ready();
        if !self.stalled && waits && self.pool.is_full() {
            self.stalled = true;
            self.emit(SessionEvent::WindowStalled);
        } else if self.stalled && !waits {
            self.stalled = false;
            self.emit(SessionEvent::WindowResumed);
        }
    }

    /// Gives a connection as many messages as it has room for.
    pub(super) fn fill(&mut self, id: ConnectionId) {
        while let Some(slot) = self.pool.get(id).filter(|slot| has_place(slot)) {
            let idle = slot.connection.capacity() >= self.config.client.window;
            #[cfg(ccs_planted)]
            if self.is_planted(super::Planted::OneInFlight) && !idle {
                return;
            }
            if !idle && self.pool.is_on_trial(id) {
                return;
            }
            let Some(number) = self.next_for(id, idle) else {
                return;
            };
            let Some(entry) = self.queue.get(number) else {
                return;
            };
            if entry.is_over(self.now) {
                self.run_out(number);
                continue;
            }
            let suspect = matches!(entry.place(), Place::Suspect { .. });
            let message = entry.message.clone();
            let target = message.message().target().as_str();
            if let Err(later) = self.pace.let_through(self.now, target) {
                self.queue.put(number, Place::Waiting(later));
                continue;
            }
            let sent = self.pool.get_mut(id).is_some_and(|slot| {
                let permit = slot.connection.reserve();
                let sent = permit.is_ok_and(|permit| permit.send(message).is_ok());
                slot.free = slot.free.saturating_sub(usize::from(sent));
                sent
            });
            if !sent {
                return;
            }
            self.queue.put(number, Place::Out(id));
            if suspect {
                self.pool.alone = Some((id, number));
            }
        }
    }

    /// The answer to a message, which only the connection that has it can give.
    pub(super) fn answered(&mut self, id: ConnectionId, message_id: &MessageId, outcome: Outcome) {
        let Some(number) = self.queue.number_of(message_id) else {
            return;
        };
        let Some(entry) = self.queue.get_mut(number) else {
            return;
        };
        if entry.place() != Place::Out(id) {
            return;
        }
        // Whatever the answer is, the stream lives.
        if let Some(slot) = self.pool.get_mut(id) {
            slot.has_answered = true;
        }
        entry.deaths = 0;
        entry.losses = 0;
        match outcome {
            Outcome::Accepted(ack) => self.acked(number, ack.canonical),
            Outcome::Refused(nack) => self.nacked(id, number, nack),
            Outcome::Rejected(error) => {
                let refused = Refused::Stanza(Box::new(error));
                self.settle(number, Settlement::Refused(refused));
            }
        }
    }

    fn acked(&mut self, number: u64, canonical: Option<RegistrationToken>) {
        if let Some(entry) = self.queue.get(number) {
            let target = entry.message.message().target().as_str();
            self.pace.taken(target);
            if let Some(new) = canonical.clone() {
                let old = target.to_owned();
                self.emit(SessionEvent::TokenReplaced { old, new });
            }
        }
        self.settle(number, Settlement::Acked { canonical });
    }

    fn nacked(&mut self, id: ConnectionId, number: u64, nack: Nack) {
        let Some(entry) = self.queue.get_mut(number) else {
            return;
        };
        let next = retry::next(&nack, entry.unknown);
        #[cfg(ccs_planted)]
        let next = match (self.config.planted, next) {
            (Some(super::Planted::DropOnNack), Next::SameConnection) => {
                self.queue.remove(number);
                return;
            }
            (Some(super::Planted::RetryPermanent), Next::GiveUp) => Next::SameConnection,
            (Some(super::Planted::DuplicateIsRefused), Next::Acked) => Next::GiveUp,
            (_, next) => next,
        };
        match next {
            Next::Acked => self.acked(number, None),
            Next::GiveUp => self.refuse(number, nack),
            // Not the message's fault, and no attempt of its.
            Next::OtherConnection => self.go_home(number),
            Next::SameConnection | Next::SlowDown | Next::LogInAgain => {
                self.try_again(id, number, next, nack);
            }
        }
    }

    fn refuse(&mut self, number: u64, nack: Nack) {
        if let Some(entry) = self.queue.get(number)
            && nack.code.is_token_dead()
        {
            let token = entry.message.message().target().as_str().to_owned();
            let code = nack.code.clone();
            self.emit(SessionEvent::TokenGone { token, code });
        }
        let refused = Refused::Nack(Box::new(nack));
        self.settle(number, Settlement::Refused(refused));
    }

    fn try_again(&mut self, id: ConnectionId, number: u64, next: Next, nack: Nack) {
        let Some(entry) = self.queue.get_mut(number) else {
            return;
        };
        let code = nack.code.clone();
        let last = Box::new(nack);
        entry.attempts = entry.attempts.saturating_add(1);
        entry.last_nack = Some(last.clone());
        entry.stays_on = (next == Next::SameConnection).then_some(id);
        let attempts = entry.attempts;
        let message_id = entry.message.id().clone();
        let target = entry.message.message().target().clone();
        let over = entry.is_over(self.now);
        let worn_out = attempts >= self.config.attempts;
        #[cfg(ccs_planted)]
        let worn_out = worn_out && !self.is_planted(super::Planted::RetryForEver);
        let shut_out = next == Next::LogInAgain;
        let failed = attempts.saturating_sub(1);
        let due = match next {
            Next::SlowDown => self
                .pace
                .slow_down(self.now, target.as_str(), &mut self.random),
            // Until the login works again there is nothing to send on.
            Next::LogInAgain => self.now,
            _ => self.now + self.config.retry.wait(failed, &mut self.random),
        };
        if over {
            self.run_out(number);
        } else if worn_out {
            self.bury(number, DeadReason::Attempts { attempts, last });
        } else {
            #[cfg(ccs_planted)]
            self.plant_new_id(number);
            self.queue.put(number, Place::Waiting(due));
            self.emit(SessionEvent::Retrying {
                id: message_id,
                attempt: attempts,
                after: due - self.now,
                code: code.clone(),
            });
        }
        if shut_out {
            let error = ConnectionError::LoginRefused {
                sender: self.config.client.sender.to_string(),
                condition: code.to_string(),
            };
            self.shut_out(id, error);
        }
    }

    fn settle(&mut self, number: u64, outcome: Settlement) {
        if let Some(entry) = self.queue.remove(number) {
            let id = entry.message.id().clone();
            self.forget(id.clone());
            #[cfg(ccs_planted)]
            if self.is_planted(super::Planted::DoubleSettle) {
                let (id, outcome) = (id.clone(), outcome.clone());
                self.emit(SessionEvent::Settled { id, outcome });
            }
            self.emit(SessionEvent::Settled { id, outcome });
        }
    }

    fn forget(&mut self, id: MessageId) {
        let forgotten = Forgotten::Downstream(id);
        self.commands.push_back(Command::Forget(forgotten));
    }

    /// Messages that a connection accepted and never sent.
    pub(super) fn take_back(&mut self, unsent: Vec<EncodedDownstream>) {
        for message in unsent {
            if let Some(number) = self.queue.number_of(message.id()) {
                self.go_home(number);
            }
        }
    }

    /// Puts a message where it can be sent from, unless its time is over.
    pub(super) fn go_home(&mut self, number: u64) {
        let Some(entry) = self.queue.get(number) else {
            return;
        };
        if entry.is_over(self.now) {
            return self.run_out(number);
        }
        let place = if self.is_suspect(entry) {
            let losses = entry.losses;
            Place::Suspect { losses }
        } else {
            let there = |id: &ConnectionId| {
                let slot = self.pool.get(*id);
                slot.is_some_and(Slot::takes_messages)
            };
            Place::Ready(entry.stays_on.filter(there))
        };
        self.queue.put(number, place);
    }

    /// Messages whose wait is over can be sent; those whose time is over are given up.
    pub(super) fn release_due(&mut self) {
        while let Some(number) = self.queue.take_overdue(self.now) {
            let place = self.queue.get(number).map(super::queue::Entry::place);
            if let Some(Place::Ready(_) | Place::Suspect { .. } | Place::Waiting(_)) = place {
                self.run_out(number);
            }
        }
        while let Some(number) = self.queue.take_due(self.now) {
            self.go_home(number);
            #[cfg(ccs_planted)]
            if self.is_planted(super::Planted::StaleTimer) {
                self.stale.insert((self.now + SHORTEST_LIFE, number));
            }
        }
        #[cfg(ccs_planted)]
        self.plant_stale_timers();
    }

    /// The time of a message is over: what the endpoint was told by then does not matter any more.
    fn run_out(&mut self, number: u64) {
        let Some(entry) = self.queue.get_mut(number) else {
            return;
        };
        if entry.expires <= self.now {
            self.settle(number, Settlement::Expired);
        } else {
            let last = entry.last_nack.take();
            self.bury(number, DeadReason::TooLate { last });
        }
    }
}

fn has_place(slot: &Slot) -> bool {
    slot.takes_messages() && slot.connection.capacity() > 0
}
