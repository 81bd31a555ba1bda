//! Ids of downstream messages on this connection, to find a repeated one.

use std::collections::{BTreeSet, VecDeque};

use crate::hash::Hashed;
use crate::message::MessageId;

/// Ids that wait for an answer or were acked on this connection. One of them again is refused; a nacked one may come
/// again (`docs/protocol.md` §12 #21). There are thousands.
#[derive(Debug)]
pub(super) struct Answered {
    known: BTreeSet<Hashed<MessageId>>,
    acked: VecDeque<MessageId>,
    limit: usize,
}

impl Answered {
    /// Remembers `limit` acked ids, besides those that wait.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            known: BTreeSet::new(),
            acked: VecDeque::new(),
            limit,
        }
    }

    /// Takes down the id of a new message; `false` if it is no new one.
    pub(super) fn is_new(&mut self, id: &MessageId) -> bool {
        self.known.insert(Hashed::new(id.clone()))
    }

    pub(super) fn accepted(&mut self, id: MessageId) {
        self.acked.push_back(id);
        if self.acked.len() > self.limit
            && let Some(oldest) = self.acked.pop_front()
        {
            self.known.remove(&Hashed::new(oldest));
        }
    }

    pub(super) fn refused(&mut self, id: &MessageId) {
        self.known.remove(&Hashed::new(id.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_unless_it_was_refused_or_is_long_ago() {
        let id = |n: u32| MessageId::from(format!("m-{n}"));
        let mut ids = Answered::new(2);
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
