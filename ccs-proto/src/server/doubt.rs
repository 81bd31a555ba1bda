//! Acks that may not have arrived.

use std::collections::VecDeque;
use std::time::Duration;

use super::Fingerprint;
use crate::message::MessageId;
use crate::time::Time;

/// What was under way to the app server when something came from it, it has read by now: so long after it was written even
/// with a slow network and a slow reader.
const READ_AFTER: Duration = Duration::from_secs(60);

/// An acked message of which its app server may not know that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfirmed {
    /// Its id.
    pub message_id: MessageId,
    /// What tells it from another message of that id.
    pub content: Fingerprint,
}

/// Acked messages of which the app server may not know it (`docs/protocol.md` §12 #48). Nothing confirms an ack, and what
/// comes may have crossed it. But an app server cannot have sent a message if more answers than its window holds had not
/// been read before; and neither a minute nor the end of the stream lies between two things that cross. So this is as many
/// as the window, and what is acked between two reads.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    acked: Vec<Unconfirmed>,
    written: VecDeque<(Time, Unconfirmed)>,
}

impl Doubt {
    pub(super) fn acked(&mut self, message_id: MessageId, content: Fingerprint) {
        self.acked.push(Unconfirmed {
            message_id,
            content,
        });
    }

    /// Every ack so far has been handed out.
    pub(super) fn written(&mut self, now: Time) {
        let written = self.acked.drain(..).map(|acked| (now, acked));
        self.written.extend(written);
    }

    /// Something came from the app server.
    pub(super) fn heard(&mut self, now: Time, window: usize) {
        let read = self.written.len().saturating_sub(window);
        self.written.drain(..read);
        while let Some((written, _)) = self.written.front()
            && *written + READ_AFTER <= now
        {
            self.written.pop_front();
        }
    }

    /// The app server has ended the stream: it reads to our end of it before it lets go (RFC 6120 §4.4).
    pub(super) fn ended(&mut self) {
        self.written.clear();
    }

    pub(super) fn take(&mut self) -> Vec<Unconfirmed> {
        let written = std::mem::take(&mut self.written).into_iter();
        let mut all: Vec<_> = written.map(|(_, acked)| acked).collect();
        all.append(&mut self.acked);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::HashKey;
    use crate::message::Downstream;

    const START: Time = Time::ZERO;

    impl Doubt {
        fn ack(&mut self, id: &str) {
            let key = HashKey::new([7; 20]);
            let content = Fingerprint::new(&Downstream::to("phone-1"), key);
            self.acked(id.into(), content);
        }

        fn ids(&mut self) -> Vec<String> {
            let taken = self.take().into_iter();
            taken.map(|acked| acked.message_id.to_string()).collect()
        }
    }

    #[test]
    fn an_ack_is_in_doubt_until_as_many_as_the_window_holds_came_after_it() {
        let mut doubt = Doubt::default();
        for id in ["a", "b", "c"] {
            doubt.ack(id);
            doubt.written(START);
            doubt.heard(START, 2);
        }
        doubt.ack("not written");
        doubt.heard(START, 2);
        assert_eq!(doubt.ids(), ["b", "c", "not written"]);
        assert!(doubt.ids().is_empty());
    }

    #[test]
    fn what_is_acked_before_anything_comes_again_is_in_doubt_whatever_the_window() {
        let mut doubt = Doubt::default();
        for id in ["a", "b", "c"] {
            doubt.ack(id);
            doubt.written(START);
        }
        assert_eq!(doubt.ids(), ["a", "b", "c"]);
    }

    #[test]
    fn what_comes_a_minute_after_an_ack_was_written_did_not_cross_it() {
        let mut doubt = Doubt::default();
        doubt.ack("a");
        doubt.written(START);
        doubt.ack("b");
        doubt.written(START + Duration::from_secs(1));
        doubt.ack("c");
        doubt.heard(START + READ_AFTER, 100);
        assert_eq!(doubt.ids(), ["b", "c"]);
    }

    #[test]
    fn the_end_of_the_stream_confirms_what_was_written() {
        let mut doubt = Doubt::default();
        doubt.ack("a");
        doubt.written(START);
        doubt.ack("b");
        doubt.ended();
        assert_eq!(doubt.ids(), ["b"]);
    }
}
