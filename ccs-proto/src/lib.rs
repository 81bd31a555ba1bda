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
//! one core: [`ClientConnection`] is the app server, [`ServerConnection`] the endpoint. Whoever owns the bytes loops:
//! events out, bytes out, then one input or the next deadline, in any order and as often as he likes.
//!
//! ```
//! use std::io::{self, Write};
//! use std::sync::mpsc::{Receiver, RecvTimeoutError};
//! use std::time::{Duration, Instant};
//!
//! use bytes::BytesMut;
//! use ccs_proto::{ClientConnection, ClientEvent, ConnectionError, Time};
//!
//! /// `socket` writes over verified TLS; a thread reads, and gives what it read to `inputs`.
//! fn drive(
//!     connection: &mut ClientConnection,
//!     mut socket: impl Write,
//!     inputs: Receiver<Vec<u8>>,
//!     mut on_event: impl FnMut(&mut ClientConnection, ClientEvent),
//! ) -> io::Result<Result<(), ConnectionError>> {
//!     let started = Instant::now();
//!     let now = || Time::from_origin(started.elapsed());
//!     let mut bytes = BytesMut::new();
//!     loop {
//!         while let Some(event) = connection.poll_event() {
//!             on_event(connection, event);
//!         }
//!         while connection.poll_transmit(now(), &mut bytes) {
//!             socket.write_all(&bytes.split())?;
//!         }
//!         if let Some(end) = connection.end() {
//!             return Ok(end);
//!         }
//!         let deadline = connection.poll_timeout();
//!         let patience = deadline.map_or(Duration::MAX, |deadline| deadline - now());
//!         // What is wrong with the bytes ends the connection, and shows in `end`.
//!         let _ = match inputs.recv_timeout(patience) {
//!             Ok(bytes) => connection.receive(now(), &bytes),
//!             Err(RecvTimeoutError::Disconnected) => connection.receive_eof(now()),
//!             Err(RecvTimeoutError::Timeout) => Ok(connection.handle_timeout(now())),
//!         };
//!     }
//! }
//! ```
//!
//! Above one connection is the [`session`]: it survives the connections of an app server, sends again, acks once, and does
//! no I/O either.
//!
//! The examples go on from here: `blocking` is this loop with `std::net` and rustls, `event_loop` serves many
//! connections with mio, `in_memory` joins both roles by hand and shows each step. On tokio, async-std and smol,
//! `ccs-tokio` and `ccs-async-std` have it all done.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod admission;
mod client;
mod config;
mod connection;
mod error;
mod habit;
mod hash;
pub mod hub;
mod key;
mod ledger;
pub mod message;
mod plain;
mod server;
pub mod session;
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

pub use admission::{
    Admission, AdmissionConfig, Admitted, FailureLimit, HalfOpenId, Ticket, TooManyFailures,
    TooManyHalfOpen,
};
pub use client::{
    AckError, AckToken, Blocked, ClientConnection, ClientEvent, Finished, Ignored, NotAccepted,
    Outcome, Permit, Place,
};
pub use config::{ClientConfig, DEFAULT_DOMAIN, Limits, ServerConfig, TransportSecurity};
pub use error::ConnectionError;
pub use habit::{Habit, Tolerance};
pub use key::ApiKey;
pub use ledger::ConnectionId;
pub use message::SenderId;
pub use server::{
    AnswerError, AnswerToken, AuthRequest, Fingerprint, Nonce, NotSent, ServerConnection,
    ServerEvent, ServerFinished, Unconfirmed,
};
pub use tap::{Direction, Tap};
pub use text::Text;
pub use time::Time;
pub use xml::XmlLimits;
pub use xmpp::StreamCondition;
