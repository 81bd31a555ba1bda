//! Receipts: by the connection that the message came by, if it lives, else by any other, else by the next.

use super::Hub;
use super::command::Command;
use super::event::HubEvent;
use super::mail::Taken;
use crate::ledger::ConnectionId;
use crate::message::{Receipt, SenderId};

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
            None => self.receipt_failed(&taken.sender, receipt),
        }
    }

    /// A receipt could not be sent, since its connection had ended. It goes by another one when the hub is told of that
    /// end, or else by the next that logs in.
    pub fn receipt_failed(&mut self, sender: &SenderId, receipt: Receipt) {
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
