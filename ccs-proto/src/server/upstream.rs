//! What goes to the app server under its window: upstream messages and receipts.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::BytesMut;

use super::{NotSent, ServerConnection};
use crate::habit::{Habit, Tolerance};
use crate::ledger::Window;
use crate::message::{MessageId, Receipt, RegistrationToken, Upstream, envelope};
use crate::time::Time;

/// Prefix of a receipt's id before the id of the message that it confirms (`docs/protocol.md` §8).
const RECEIPT_PREFIX: &str = "dr2:";

/// Forgotten receipts, and settled messages that were written more than once, whose late acks are still known for what they
/// are.
const FORGOTTEN: usize = 1_000;

/// Receipts that wait to be written, at most. Those of many devices that come back at once are more than a window.
const UNWRITTEN_RECEIPTS: usize = 1_000;

/// A device chooses its own ids, so two devices may use the same one: the key is both.
type Key = (MessageId, RegistrationToken);

#[derive(Debug)]
pub(super) struct Upstreams {
    messages: Window<Key, Upstream>,
    /// Those to be written and those without an ack; only the latter are held to the window.
    receipts: Window<MessageId, Receipt>,
    receipt_window: usize,
    /// Receipts that made room for others, oldest first: their acks may still come.
    forgotten: VecDeque<MessageId>,
    repeats: Repeats,
}

/// Messages that are written more than once, since no ack came.
#[derive(Debug, Default)]
struct Repeats {
    /// To be written again.
    waiting: VecDeque<Key>,
    /// How many copies of a message in flight were written, beside the first.
    written: BTreeMap<Key, usize>,
    /// How many copies of settled messages were not acked, the oldest first: an app server that acks each has more to send.
    still_acked: VecDeque<(Key, usize)>,
}

impl Repeats {
    fn settled(&mut self, key: &Key) {
        let more = self.written.remove(key);
        self.still_acked
            .extend(more.map(|more| (key.clone(), more)));
        let excess = self.still_acked.len().saturating_sub(FORGOTTEN);
        self.still_acked.drain(..excess);
    }

    /// Whether this is the ack of a copy, of which there is one less then. The device may be named inexactly.
    fn take_ack(&mut self, id: &MessageId, to: &RegistrationToken) -> bool {
        let mut acks = self.still_acked.iter();
        let exact = acks.position(|((kept, from), _)| kept == id && from == to);
        let by_id = || {
            let mut acks = self.still_acked.iter();
            acks.position(|((kept, _), _)| kept == id)
        };
        let Some(at) = exact.or_else(by_id) else {
            return false;
        };
        if let Some((_, copies)) = self.still_acked.get_mut(at) {
            *copies = copies.saturating_sub(1);
            if *copies == 0 {
                self.still_acked.remove(at);
            }
        }
        true
    }

    fn awaits(&self, id: &MessageId, to: &RegistrationToken) -> bool {
        let mut acks = self.still_acked.iter();
        acks.any(|((kept, from), _)| kept == id && from == to)
    }
}

/// What an ack settled.
#[derive(Debug)]
pub(super) enum Settled {
    Message(Upstream),
    Receipt(Receipt),
    /// A receipt that is not kept any more.
    LateReceipt,
    /// A copy of a message that was settled by the ack of another one.
    Copy,
    /// The ack is refused; by a habit, where it would have been tolerated.
    Nothing(Option<Habit>),
}

/// What an ack is about.
enum Named {
    Message(Key),
    Receipt(MessageId),
}

/// How well an ack names it.
enum Match {
    Exact,
    Inexact,
}

/// The id of the receipt for a message.
fn prefixed(id: &MessageId) -> MessageId {
    MessageId::from(format!("{RECEIPT_PREFIX}{id}"))
}

pub(super) struct Left {
    pub(super) unacked: Vec<Upstream>,
    pub(super) unsent: Vec<Upstream>,
    pub(super) receipts: Vec<Receipt>,
}

impl Upstreams {
    pub(super) fn new(window: usize) -> Self {
        Self {
            messages: Window::new(window),
            receipts: Window::new(window.saturating_add(UNWRITTEN_RECEIPTS)),
            receipt_window: window,
            forgotten: VecDeque::new(),
            repeats: Repeats::default(),
        }
    }

    pub(super) fn set_window(&mut self, window: usize) {
        self.messages.set_limit(window);
    }

    /// Appends the next message that may go out; `false` if there is none.
    pub(super) fn transmit(&mut self, now: Time, to: &str, out: &mut BytesMut) -> bool {
        if let Some(message) = self.messages.hand_out(now) {
            envelope::push_upstream(out, to, message);
        } else if let Some(receipt) = self.next_receipt(now) {
            envelope::push_receipt(out, to, receipt);
        } else {
            return self.repeat(to, out);
        }
        true
    }

    fn repeat(&mut self, to: &str, out: &mut BytesMut) -> bool {
        while let Some(key) = self.repeats.waiting.pop_front() {
            if let Some(message) = self.messages.get(&key) {
                envelope::push_upstream(out, to, message);
                let written = self.repeats.written.entry(key).or_default();
                *written = written.saturating_add(1);
                return true;
            }
        }
        false
    }

    /// Settles what an ack names: the message of that id from that device, or the receipt. Clients differ, so where habits
    /// are tolerated what is [nearest](Self::nearest) counts too.
    pub(super) fn settle(
        &mut self,
        id: &MessageId,
        to: &RegistrationToken,
        tolerance: Tolerance,
    ) -> Settled {
        let key = match self.nearest(id, to) {
            // Another device's message of that id is not meant while the ack of a copy is expected.
            Some((_, Match::Inexact)) if self.repeats.awaits(id, to) => None,
            Some((_, Match::Inexact)) if tolerance == Tolerance::Nothing => {
                let message_id = id.compact();
                return Settled::Nothing(Some(Habit::InexactAck { message_id }));
            }
            found => found.map(|(key, _)| key),
        };
        let settled = match key {
            Some(Named::Message(key)) => {
                self.repeats.settled(&key);
                self.messages.settle(&key).map(Settled::Message)
            }
            Some(Named::Receipt(key)) => self.receipts.settle(&key).map(Settled::Receipt),
            None => None,
        };
        settled.unwrap_or_else(|| self.unknown(id, to, tolerance))
    }

    /// What an ack means. `to` is mostly the message's `from`, but for receipts some name the device; and some leave out
    /// the receipt's prefix (`docs/protocol.md` §12 #19, #45). So the exact pair is looked for first, then a receipt by
    /// either form of its id, then the id alone.
    fn nearest(&self, id: &MessageId, to: &RegistrationToken) -> Option<(Named, Match)> {
        let exact = (id.clone(), to.clone());
        if self.messages.get(&exact).is_some() {
            return Some((Named::Message(exact), Match::Exact));
        }
        if let Some(receipt) = self.receipts.get(id) {
            let same = receipt.from().as_str() == to.as_str();
            let how = if same { Match::Exact } else { Match::Inexact };
            return Some((Named::Receipt(id.clone()), how));
        }
        let prefixed = prefixed(id);
        if self.receipts.get(&prefixed).is_some() {
            return Some((Named::Receipt(prefixed), Match::Inexact));
        }
        let lowest = (id.clone(), RegistrationToken::from(""));
        let by_id = self.messages.first_from(lowest..);
        let by_id = by_id.filter(|(found, _)| found == id)?;
        Some((Named::Message(by_id.clone()), Match::Inexact))
    }

    /// An ack of nothing that is under way. That of a receipt which we gave up ourselves is no fault of the app server.
    fn unknown(&mut self, id: &MessageId, to: &RegistrationToken, tolerance: Tolerance) -> Settled {
        if self.repeats.take_ack(id, to) {
            return Settled::Copy;
        }
        let forgotten = self
            .forgotten
            .iter()
            .any(|kept| kept == id || *kept == prefixed(id));
        let of_receipt = id.as_str().starts_with(RECEIPT_PREFIX);
        match tolerance {
            _ if forgotten => Settled::LateReceipt,
            Tolerance::Habits if of_receipt => Settled::LateReceipt,
            Tolerance::Nothing if of_receipt => {
                let message_id = id.compact();
                Settled::Nothing(Some(Habit::LateReceiptAck { message_id }))
            }
            _ => Settled::Nothing(None),
        }
    }

    /// The next receipt to be written. If there is no place in the window for it, the oldest without an ack is forgotten.
    fn next_receipt(&mut self, now: Time) -> Option<&Receipt> {
        if self.receipts.queued() > 0
            && self.receipts.in_flight() >= self.receipt_window
            && let Some(oldest) = self.receipts.oldest().map(|(id, _)| id.clone())
        {
            self.receipts.settle(&oldest);
            self.forgotten.push_back(oldest);
            if self.forgotten.len() > FORGOTTEN {
                self.forgotten.pop_front();
            }
        }
        self.receipts.hand_out(now)
    }

    pub(super) fn is_idle(&self) -> bool {
        let waiting = [
            self.messages.in_flight(),
            self.messages.queued(),
            self.receipts.queued(),
        ];
        waiting.iter().all(|count| *count == 0)
    }

    pub(super) fn next_overdue(&self, patience: Duration) -> Option<Time> {
        self.messages.next_overdue(patience)
    }

    pub(super) fn take_overdue(&mut self, patience: Duration, now: Time) -> Option<&Upstream> {
        self.messages.take_overdue(patience, now)
    }

    pub(super) fn finish(mut self) -> Left {
        let mut receipts = self.receipts.take_in_flight();
        receipts.extend(self.receipts.take_queued());
        Left {
            unacked: self.messages.take_in_flight(),
            unsent: self.messages.take_queued(),
            receipts,
        }
    }
}

impl ServerConnection {
    /// Upstream messages that could be sent now without waiting for an ack.
    #[must_use]
    pub fn capacity(&self) -> usize {
        if self.takes_messages() {
            self.upstreams.messages.capacity()
        } else {
            0
        }
    }

    /// Upstream messages sent and not yet acked.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.upstreams.messages.in_flight()
    }

    /// Sends what a device sent. It also goes out while the connection drains, and is acked there.
    ///
    /// # Errors
    /// The message comes back when the window is full, when the same device's message of that id is under way, or when
    /// the connection takes no messages.
    pub fn send(&mut self, message: Upstream) -> Result<(), NotSent<Upstream>> {
        if !self.takes_messages() {
            return Err(NotSent::Closed(Box::new(message)));
        }
        if self.upstreams.messages.reserve().is_err() {
            return Err(NotSent::WindowFull(Box::new(message)));
        }
        let key = (message.message_id().clone(), message.from().clone());
        self.upstreams
            .messages
            .enqueue(key, message)
            .map_err(|message| NotSent::Duplicate(Box::new(message)))
    }

    /// Writes an upstream message that is in flight here once more, as no ack came for long. The first ack settles it, and
    /// one of each copy is expected. `false`, and nothing is written, when it is not in flight.
    pub fn send_again(&mut self, from: &RegistrationToken, message_id: &MessageId) -> bool {
        let key = (message_id.clone(), from.clone());
        if self.upstreams.messages.get(&key).is_none() || !self.takes_messages() {
            return false;
        }
        if !self.upstreams.repeats.waiting.contains(&key) {
            self.upstreams.repeats.waiting.push_back(key);
        }
        true
    }

    /// Gives up the upstream messages that were sent or accepted and never acked, in order, once the connection is over.
    /// Before that there are none: their acks may still come.
    #[must_use]
    pub fn take_unacked(&mut self) -> Vec<Upstream> {
        if !self.is_closed() {
            return Vec::new();
        }
        let mut unacked = self.upstreams.messages.take_in_flight();
        unacked.extend(self.upstreams.messages.take_queued());
        unacked
    }

    /// Gives up the receipts that were never sent, in order, once the connection is over. Before that there are none.
    #[must_use]
    pub fn take_unsent_receipts(&mut self) -> Vec<Receipt> {
        if self.is_closed() {
            self.upstreams.receipts.take_queued()
        } else {
            Vec::new()
        }
    }

    /// Sends a receipt: a device got the message. Receipts have a window of their own, and at its bound the oldest one
    /// without an ack is forgotten, since some app servers never ack receipts (`docs/protocol.md` §12 #45).
    ///
    /// # Errors
    /// As for [`send`](Self::send); the window is full only if a thousand receipts have not been written yet.
    pub fn send_receipt(&mut self, receipt: Receipt) -> Result<(), NotSent<Receipt>> {
        if !self.takes_messages() {
            return Err(NotSent::Closed(Box::new(receipt)));
        }
        let receipts = &mut self.upstreams.receipts;
        if receipts.reserve().is_err() {
            return Err(NotSent::WindowFull(Box::new(receipt)));
        }
        receipts
            .enqueue(receipt.message_id().clone(), receipt)
            .map_err(|receipt| NotSent::Duplicate(Box::new(receipt)))
    }
}
