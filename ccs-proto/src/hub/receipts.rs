//! Receipts: by the connection that the message came by, if it lives, else by any other, else by the next.

use super::Hub;
use super::command::Command;
use super::event::HubEvent;
use super::mail::Taken;
use super::senders::LineState;
use crate::ledger::ConnectionId;
use crate::message::{Receipt, SenderId};

impl Hub {
    pub(super) fn receipt(&mut self, taken: &Taken, sent_at: u64) {
        let copy = &taken.copy;
        let receipt = Receipt::new(&copy.message_id, copy.device.token.clone(), sent_at);
        let limit = self.config.receipts;
        let Some(sender) = self.senders.get_mut(&taken.sender) else {
            return;
        };
        let lines = &sender.lines;
        let own = copy.connection.filter(|id| lines.contains_key(id));
        let open = || {
            let mut lines = lines.iter();
            let (id, _) = lines.find(|(_, line)| line.state == LineState::Open)?;
            Some(*id)
        };
        match own.or_else(open) {
            Some(connection) => self.send_receipt(connection, receipt),
            None => {
                sender.receipts.push_back(receipt);
                if sender.receipts.len() > limit {
                    sender.receipts.pop_front();
                }
            }
        }
    }

    pub(super) fn send_receipts(&mut self, sender: &SenderId, connection: ConnectionId) {
        let waiting = self.senders.get_mut(sender);
        let waiting = waiting.map(|sender| std::mem::take(&mut sender.receipts));
        for receipt in waiting.into_iter().flatten() {
            self.send_receipt(connection, receipt);
        }
    }

    fn send_receipt(&mut self, connection: ConnectionId, receipt: Receipt) {
        self.command(Command::SendReceipt {
            connection,
            receipt: receipt.clone(),
        });
        self.emit(HubEvent::ReceiptSent {
            connection,
            receipt,
        });
    }
}
