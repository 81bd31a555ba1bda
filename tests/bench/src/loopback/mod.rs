//! Both ends of a connection over TLS 1.3 on this machine, each in a process of its own.
//!
//! ```text
//!   this process                              the process that is measured
//!   Load: numbered stanzas, ids searched ◄──► a peer
//! ```
//!
//! Whoever is measured meets the same other side: bytes that were prepared, written in batches. So what differs between
//! two runs is the peer.

pub mod certificate;
pub mod child;
pub mod counting;
pub mod load;
pub mod login;
pub mod measure;
pub mod numbered;
pub mod pace;
pub mod process;
pub mod program;
pub mod pump;
pub mod raw;
#[cfg(feature = "xmpp-rs")]
pub mod xmpp_rs;

use serde::{Deserialize, Serialize};

/// Messages that are not acked yet, at most (`docs/protocol.md` §7).
pub const WINDOW: u64 = 100;

/// Who sends messages; the other one acks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The endpoint, what devices sent.
    Up,
    /// The app server, what devices get.
    Down,
}

impl Direction {
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}
