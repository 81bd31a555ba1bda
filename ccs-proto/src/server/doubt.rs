//! Acks that may not have arrived.

use crate::message::MessageId;

/// Acked messages of which the app server may not know it: nothing came from it since the ack was written
/// (`docs/protocol.md` §12 #48). Bounded by what can be acked between two reads, which is the window and one read.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    acked: Vec<MessageId>,
    written: Vec<MessageId>,
}

impl Doubt {
    pub(super) fn acked(&mut self, id: MessageId) {
        self.acked.push(id);
    }

    /// Every ack so far has been handed out.
    pub(super) fn written(&mut self) {
        self.written.append(&mut self.acked);
    }

    /// Something came from the app server.
    pub(super) fn heard(&mut self) {
        self.written.clear();
    }

    pub(super) fn take(&mut self) -> Vec<MessageId> {
        self.written();
        std::mem::take(&mut self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ack_is_in_doubt_until_something_came_after_it_was_written() {
        let mut doubt = Doubt::default();
        doubt.acked("a".into());
        doubt.heard();
        doubt.written();
        doubt.acked("b".into());
        doubt.heard();
        doubt.written();
        doubt.acked("c".into());
        assert_eq!(doubt.take(), ["b".into(), "c".into()]);
        assert!(doubt.take().is_empty());
    }
}
