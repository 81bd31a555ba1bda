//! Fuzz bodies: each takes bytes, makes a case of them, and panics when a promise of `ccs-proto` is broken.
//!
//! They are a library so that they run in two ways: under cargo-fuzz, which looks for new cases, and under `cargo test`,
//! which replays the corpus and a loop of random cases that is the same every time.

mod events;
mod input;
mod output;
mod script;

pub mod client;
pub mod differential;
pub mod foreign;
pub mod framer;
pub mod io;
pub mod json;
pub mod ledger;
pub mod pair;
pub mod reader;
pub mod sasl;
pub mod server;
pub mod stanza;
pub mod writer;
