//! Choices made by the first bytes of a case.

use ccs_proto::XmlLimits;

/// Takes bytes off the front of a case; zeros once it is used up.
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }

    /// The next so many bytes, or as many as there are.
    pub fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A text whose length, in bytes of the case, stands before it.
    pub fn text(&mut self) -> String {
        let length = usize::from(self.byte() & 63);
        String::from_utf8_lossy(self.take(length)).into_owned()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Limits that a case of a few bytes can go over.
pub fn small_limits() -> XmlLimits {
    XmlLimits {
        stanza: 96,
        depth: 3,
        attributes: 3,
        namespaces: 2,
        name: 16,
        attribute_value: 32,
        text: 48,
        white_space: 16,
    }
}
