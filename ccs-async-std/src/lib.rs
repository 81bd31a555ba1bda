//! Two-way push on async-std and smol: your server sends to devices, devices send to your server, and every message is
//! acknowledged.
//!
//! **async-std is discontinued** ([RUSTSEC-2025-0052](https://rustsec.org/advisories/RUSTSEC-2025-0052)): its authors
//! point to smol, and so does this crate. What stands here at the root is for programs that are on async-std still; the
//! same under the same names is in [`smol`], with the feature `smol`, and for tokio in `ccs-tokio`. Moving over is a
//! change of the path that is imported.
//!
//! | feature | adds | |
//! |---|---|---|
//! | `async-std` | `connect`, `Endpoint` and their like at the root | default |
//! | `smol` | the same in `smol` | take this with `default-features = false` |
//!
//! Sockets, TLS and timers are the same for both, on `async-io`; a feature adds an executor and changes nothing of the
//! other's. What connections do is decided in `ccs-proto`.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

#[cfg(feature = "async-std")]
mod async_std;
mod io;
mod names;
mod runtime;
#[cfg(feature = "smol")]
pub mod smol;

#[cfg(feature = "async-std")]
pub use crate::async_std::{AsyncStd, Endpoint, StartConfig, connect, connect_with};
pub use names::*;
