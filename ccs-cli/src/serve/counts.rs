//! How often each thing happened, for whoever looks at the end only.

use std::collections::BTreeMap;

use serde::Serialize;

use super::event::Event;

/// Members that are never left out, so that a test can look at them without looking for them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    logins: u64,
    refused: u64,
    downstream: u64,
    acks: u64,
    nacks: u64,
    nacks_by_code: BTreeMap<String, u64>,
    invalid: u64,
    sent_again: u64,
    delivered: u64,
    stored: u64,
    discarded: u64,
    receipts_sent: u64,
    receipts_acked: u64,
    upstream_sent: u64,
    upstream_acked: u64,
    upstream_expired: u64,
    faults: u64,
    drains: u64,
    closed: u64,
}

impl Counts {
    pub fn note(&mut self, event: &Event) {
        let count = match event {
            Event::Login { .. } => &mut self.logins,
            Event::Refused { .. } => &mut self.refused,
            Event::Downstream { .. } => &mut self.downstream,
            Event::Ack { .. } => &mut self.acks,
            Event::Nack { error, .. } => {
                *self.nacks_by_code.entry(error.clone()).or_default() += 1;
                &mut self.nacks
            }
            Event::Invalid { .. } => &mut self.invalid,
            Event::SentAgain { .. } => &mut self.sent_again,
            Event::Delivered(_) => &mut self.delivered,
            Event::Stored(_) => &mut self.stored,
            Event::Discarded { .. } => &mut self.discarded,
            Event::ReceiptSent { .. } => &mut self.receipts_sent,
            Event::ReceiptAcked { .. } => &mut self.receipts_acked,
            Event::UpstreamSent(_) => &mut self.upstream_sent,
            Event::UpstreamAcked(_) => &mut self.upstream_acked,
            Event::UpstreamExpired(_) => &mut self.upstream_expired,
            Event::Fault { .. } => &mut self.faults,
            Event::Draining { .. } => &mut self.drains,
            Event::Closed { .. } => &mut self.closed,
            _ => return,
        };
        *count += 1;
    }
}
