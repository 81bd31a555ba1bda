//! The key shows nowhere, and stays nowhere. What the command prints is searched in `ccs-cli/tests/commands/secrets.rs`.
#![allow(missing_docs)]

#[cfg(target_os = "linux")]
mod memory;
mod shown;
