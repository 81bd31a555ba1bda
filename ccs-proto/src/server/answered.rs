//! Ids of downstream messages on this connection, to find a repeated one.

use std::collections::{BTreeSet, VecDeque};
use std::hash::BuildHasher;

use super::fingerprint::HashKey;
use crate::message::MessageId;

/// Ids that wait for an answer or were acked on this connection. One of them again is refused; a nacked one may come
/// again (`docs/protocol.md` §12 #21). There are thousands, and hashes are compared faster than ids.
#[derive(Debug)]
pub(super) struct Answered {
    known: BTreeSet<(u64, MessageId)>,
    acked: VecDeque<MessageId>,
    limit: usize,
    key: HashKey,
}

impl Answered {
    /// Remembers `limit` acked ids, besides those that wait.
    pub(super) fn new(limit: usize, key: HashKey) -> Self {
        Self {
            known: BTreeSet::new(),
            acked: VecDeque::new(),
            limit,
            key,
        }
    }

    fn hashed(&self, id: MessageId) -> (u64, MessageId) {
        (self.key.hash_one(&id), id)
    }

    /// Takes down the id of a new message; `false` if it is no new one.
    pub(super) fn is_new(&mut self, id: &MessageId) -> bool {
        self.known.insert(self.hashed(id.clone()))
    }

    pub(super) fn accepted(&mut self, id: MessageId) {
        self.acked.push_back(id);
        if self.acked.len() > self.limit
            && let Some(oldest) = self.acked.pop_front()
        {
            self.known.remove(&self.hashed(oldest));
        }
    }

    pub(super) fn refused(&mut self, id: &MessageId) {
        self.known.remove(&self.hashed(id.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Nonce;
    use super::*;

    #[test]
    fn an_id_is_new_once_unless_it_was_refused_or_is_long_ago() {
        let id = |n: u32| MessageId::from(format!("m-{n}"));
        let mut ids = Answered::new(2, HashKey::new(Nonce([7; 20])));
        assert!(ids.is_new(&id(1)));
        assert!(!ids.is_new(&id(1)), "pending");
        ids.accepted(id(1));
        assert!(!ids.is_new(&id(1)), "acked");
        assert!(ids.is_new(&id(2)));
        ids.refused(&id(2));
        assert!(ids.is_new(&id(2)), "nacked");
        for n in 2..4 {
            ids.is_new(&id(n));
            ids.accepted(id(n));
        }
        assert!(ids.is_new(&id(1)), "two others were acked since");
    }
}
