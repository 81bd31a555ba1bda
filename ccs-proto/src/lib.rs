//! CCS without I/O: bytes in; events, bytes to write and the next deadline out.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod text;
mod time;
#[allow(dead_code, unused_imports, reason = "the connection will use it")]
mod xml;

pub use text::Text;
pub use time::Time;
