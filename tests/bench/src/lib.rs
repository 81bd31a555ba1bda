//! What the protocol costs a message, measured beside its peers and the limits.
//!
//! Times move with whatever else a machine does; so every job has its turn in every round, and what counts is a ratio within
//! one run.

pub mod corpus;
pub mod job;
pub mod jobs;
pub mod login;
pub mod loopback;
pub mod table;
