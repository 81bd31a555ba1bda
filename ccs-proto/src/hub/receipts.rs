//! Receipts: by the connection that the message came by, if it lives, else by any other, else by the next.

use std::time::Duration;

use super::command::Command;
use super::event::HubEvent;
use super::mail::Taken;
use super::{Due, Hub};
use crate::ledger::ConnectionId;
use crate::message::{Receipt, SenderId};

/// When a receipt that was not sent is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Hub {
    pub(super) fn receipt(&mut self, taken: &Taken, sent_at: u64) {
        let copy = &taken.copy;
        let receipt = Receipt::new(&copy.message_id, copy.device.token.clone(), sent_at);
        let Some(sender) = self.senders.get(&taken.sender) else {
            return;
        };
        let own = copy.connection.filter(|id| sender.lines.contains_key(id));
        match own.or_else(|| sender.any_open()) {
            Some(connection) => self.send_receipt(&taken.sender, connection, receipt),
            None => self.keep_receipt(&taken.sender, receipt),
        }
    }

    /// A receipt was not sent: its connection had ended, or had too many to write. It goes out when the hub is told of that
    /// end, or a second later, or by the next connection that logs in.
    pub fn receipt_failed(
        &mut self,
        sender: &SenderId,
        connection: ConnectionId,
        receipt: Receipt,
    ) {
        self.keep_receipt(sender, receipt);
        let again = (self.now + AGAIN_AFTER, Due::Receipts(connection));
        self.timers.insert(again);
    }

    pub(super) fn receipts_due(&mut self, connection: ConnectionId) {
        if let Some(sender) = self.senders.owner(connection).cloned() {
            self.send_receipts(&sender);
        }
    }

    fn keep_receipt(&mut self, sender: &SenderId, receipt: Receipt) {
        let limit = self.config.receipts;
        if let Some(sender) = self.senders.get_mut(sender) {
            sender.receipts.push_back(receipt);
            if sender.receipts.len() > limit {
                sender.receipts.pop_front();
            }
        }
    }

    /// Sends the receipts that wait, if there is a connection for them.
    pub(super) fn send_receipts(&mut self, id: &SenderId) {
        if let Some(sender) = self.senders.get_mut(id)
            && let Some(connection) = sender.any_open()
        {
            for receipt in std::mem::take(&mut sender.receipts) {
                self.send_receipt(id, connection, receipt);
            }
        }
    }

    fn send_receipt(&mut self, sender: &SenderId, connection: ConnectionId, receipt: Receipt) {
        self.command(Command::SendReceipt {
            sender: sender.clone(),
            connection,
            receipt: receipt.clone(),
        });
        self.emit(HubEvent::ReceiptSent {
            connection,
            receipt,
        });
    }
}
