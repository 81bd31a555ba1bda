//! Fuzz bodies: each takes bytes, makes a case of them, and panics when a promise of `ccs-proto` is broken.
//!
//! They are a library so that they run in two ways: under cargo-fuzz, which looks for new cases, and under `cargo test`,
//! which replays the corpus and a loop of random cases that is the same every time.

mod input;

pub mod framer;
pub mod ledger;
pub mod reader;
