//! Telling a message that comes again from another one of the same id, without keeping either.

use crate::hash::HashKey;
use crate::message::Downstream;

/// What a message says, in 64 bits: two messages that differ in anything have the same ones by an accident of 2^-64.
///
/// The key is that of the connection by which it came. An endpoint takes one for each message, so it is cheap rather than a
/// lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    key: HashKey,
    print: u64,
}

impl Fingerprint {
    pub(super) fn new(message: &Downstream, key: HashKey) -> Self {
        let print = key.hash(message);
        Self { key, print }
    }

    /// Whether it is that of this message.
    #[must_use]
    pub fn is_of(&self, message: &Downstream) -> bool {
        *self == Self::new(message, self.key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::message::{Notification, Priority};

    fn key() -> HashKey {
        HashKey::new(*b"twenty random bytes.")
    }

    fn message() -> Downstream {
        Downstream::to("phone-1").data("n", "1")
    }

    #[test]
    fn every_part_of_a_message_counts() {
        let shown = |title: &str| message().notification(Notification::new().title(title));
        let messages = [
            message(),
            Downstream::to("phone-2").data("n", "1"),
            Downstream::to("phone-1"),
            Downstream::to("phone-1").data("n", ""),
            message().data("n", "1"),
            Downstream::to("phone-1").data("n1", ""),
            message().id("m"),
            message().collapse_key("n"),
            message().priority(Priority::High),
            message().content_available(true),
            message().mutable_content(true),
            message().mutable_content(false),
            message().delay_while_idle(true),
            message().time_to_live(Duration::from_secs(1)),
            message().receipt_requested(true),
            message().dry_run(true),
            shown("a"),
            shown("b"),
        ];
        let prints = messages.iter().map(|m| Fingerprint::new(m, key()).print);
        let different: BTreeSet<_> = prints.collect();
        assert_eq!(different.len(), messages.len());
        for (at, one) in messages.iter().enumerate() {
            let print = Fingerprint::new(one, key());
            let same = messages.iter().map(|other| print.is_of(other));
            assert!(same.eq((0..messages.len()).map(|other| other == at)));
        }
    }

    #[test]
    fn every_byte_and_the_length_count_whatever_the_nonce() {
        for byte in (0..=255).step_by(15) {
            let key = HashKey::new([byte; 20]);
            let mut different = BTreeSet::new();
            let mut texts = 0;
            for length in 1..50 {
                for changed in 0..length {
                    let mut text = vec![b'0'; length];
                    text[changed] = b'1';
                    let text = String::from_utf8(text).unwrap();
                    let message = Downstream::to(text.as_str());
                    different.insert(Fingerprint::new(&message, key).print);
                    texts += 1;
                }
            }
            assert_eq!(different.len(), texts, "{byte}");
        }
    }

    #[test]
    fn each_connection_has_its_own() {
        let [own, other] =
            [key(), HashKey::new([7; 20])].map(|key| Fingerprint::new(&message(), key));
        assert_ne!(own, other);
        assert!(own.is_of(&message()) && other.is_of(&message()));
    }
}
