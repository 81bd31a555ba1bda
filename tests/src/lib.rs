//! What the project's own tests share.

pub mod canary;
pub mod fixture;
pub mod pair;
pub mod pipe;
pub mod sim;
pub mod transcript;
