//! CCS without I/O: two-way push with an acknowledgement for every message, both roles.
//!
//! CCS (Cloud Connection Server) is the protocol between app servers and a push service: XMPP over TLS with JSON inside,
//! an ack for every message on its own connection, at most 100 unanswered at a time. Google's endpoint was shut down
//! from 2024-07-22; this crate speaks both ends.
//!
//! ```text
//!    bytes read ──► receive ──►┌─────────────────────┐──► poll_event ──► messages, acks, receipts
//!                              │  ClientConnection   │
//! bytes to write ◄─ poll_transmit │  ServerConnection   │◄── send, ack, nack, close
//!                              └─────────────────────┘
//!         time ──► handle_timeout        ──► poll_timeout ──► the next deadline
//! ```
//!
//! The state machines do no I/O, read no clock, draw no random numbers, log nothing and start no thread. Two roles share
//! one core: [`ClientConnection`] is the app server, [`ServerConnection`] the endpoint. On tokio use `ccs-tokio`, which
//! drives them.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod client;
mod config;
mod connection;
mod error;
mod key;
mod ledger;
pub mod message;
mod server;
mod tap;
mod text;
mod time;
mod xml;
mod xmpp;

#[cfg(feature = "driver")]
pub mod driver;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;

pub use client::{
    AckError, AckToken, Blocked, ClientConnection, ClientEvent, Finished, Ignored, NotAccepted,
    Outcome, Permit, Place,
};
pub use config::{ClientConfig, DEFAULT_DOMAIN, ServerConfig, TransportSecurity};
pub use error::ConnectionError;
pub use key::ApiKey;
pub use ledger::ConnectionId;
pub use message::SenderId;
pub use server::{
    AnswerError, AnswerToken, AuthRequest, Habit, Nonce, SendError, ServerConnection, ServerEvent,
    ServerFinished,
};
pub use tap::{Direction, Tap};
pub use text::Text;
pub use time::Time;
pub use xml::XmlLimits;
pub use xmpp::StreamCondition;
