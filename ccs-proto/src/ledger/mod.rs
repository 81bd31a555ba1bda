//! What is under way on one connection: messages that wait for an answer, and messages that we owe one.
//!
//! Both roles keep the same two books. The [`window`] is what we send and the peer settles; the [`unsettled`] book is
//! what the peer sent and we settle, by spending a token that only this connection takes.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod line;
pub mod unsettled;
pub mod window;

pub use unsettled::{Token, TokenError, Unsettled};
pub use window::Window;

/// The caller's name for one connection, by which its tokens are told from another's. Give each connection of a
/// process its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl std::fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]", self.0)
    }
}
