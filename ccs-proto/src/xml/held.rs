//! The memory of the framer: the beginning of a unit whose end is still to come.

use zeroize::Zeroize;

/// What most messages need.
const FIRST: usize = 2048;
/// What a stanza of a login needs: who has not logged in may hold little.
const FIRST_OF_STRANGER: usize = 512;

/// Bytes that grow up to a limit, and of which nothing is left behind as long as they may be a login.
#[derive(Debug)]
pub struct Held {
    bytes: Vec<u8>,
    limit: usize,
    secret: bool,
}

impl Held {
    /// Nothing yet. What will be held may be secret.
    pub const fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            secret: true,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of memory.
    #[cfg(any(test, feature = "internals"))]
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// What comes from here on is no login.
    pub fn set_public(&mut self) {
        self.forget();
        self.secret = false;
    }

    /// Memory doubles, but never beyond the limit: while it moves, the old one and the new one are there at once. It moves
    /// by hand, since a vector that moves by itself leaves its old place as it was.
    pub fn push(&mut self, bytes: &[u8]) {
        let needed = self.bytes.len().saturating_add(bytes.len());
        if needed > self.bytes.capacity() {
            let first = if self.secret {
                FIRST_OF_STRANGER
            } else {
                FIRST
            };
            let doubled = self.bytes.capacity().saturating_mul(2).max(first);
            let mut larger = Vec::with_capacity(doubled.min(self.limit).max(needed));
            larger.extend_from_slice(&self.bytes);
            self.replace(larger);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Lets go of the bytes, and keeps what memory most messages need: where one was cut, the next will be. A stranger is left
    /// nothing.
    pub fn clear(&mut self) {
        if self.secret || self.bytes.capacity() > FIRST {
            self.forget();
        } else {
            self.bytes.clear();
        }
    }

    /// Lets go of the memory too: most connections idle most of the time.
    pub fn forget(&mut self) {
        self.replace(Vec::new());
    }

    fn replace(&mut self, bytes: Vec<u8>) {
        let mut old = std::mem::replace(&mut self.bytes, bytes);
        if self.secret {
            old.zeroize();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_doubles_up_to_the_limit_and_only_when_it_has_to() {
        let mut held = Held::new(1500);
        for (more, memory) in [
            (1, 512),
            (511, 512),
            (0, 512),
            (1, 1024),
            (511, 1024),
            (1, 1500),
            (475, 1500),
        ] {
            held.push(&[b'x'; 511][..more]);
            assert_eq!(held.memory(), memory, "after {} bytes", held.bytes().len());
        }
        held.forget();
        assert_eq!((held.memory(), held.bytes()), (0, &b""[..]));
    }

    #[test]
    fn memory_is_kept_for_the_next_message_and_not_for_a_large_one_or_a_stranger() {
        let mut held = Held::new(65_536);
        held.push(b"x");
        held.clear();
        assert_eq!(held.memory(), 0, "a stranger's");
        held.set_public();
        for (bytes, memory) in [(1, 2048), (2048, 2048), (2049, 0)] {
            held.push(&vec![b'x'; bytes]);
            held.clear();
            assert_eq!((held.memory(), held.bytes()), (memory, &b""[..]), "{bytes}");
        }
    }

    #[test]
    fn after_the_login_it_begins_with_room_for_a_message() {
        let mut held = Held::new(65_536);
        held.set_public();
        for (more, memory) in [(1, 2048), (2047, 2048), (1, 4096)] {
            held.push(&[b'x'; 2047][..more]);
            assert_eq!(held.memory(), memory, "after {} bytes", held.bytes().len());
        }
    }
}
