//! Why `ccs serve` does not run.

use std::io;
use std::path::PathBuf;

use ccs_tokio::InvalidCertificate;
use thiserror::Error;

use super::accounts::AccountsError;
use super::scenario::ScenarioError;
use crate::state::StateError;

/// Why an endpoint does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{}: {why}", .path.display())]
    Sender {
        path: PathBuf,
        why: ccs_tokio::proto::message::InvalidSenderId,
    },
    #[error(transparent)]
    Senders(#[from] AccountsError),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Identity(#[from] InvalidCertificate),
    #[error("no certificate could be made: {0}")]
    Certificate(String),
    #[error("the operating system gives no random numbers")]
    NoRandom,
    #[error(
        "{address} cannot be listened on: {error}; is another ccs serve running? --listen takes another address"
    )]
    Listen { address: String, error: io::Error },
    #[error("signals cannot be waited for: {0}")]
    Signals(io::Error),
}

impl ServeError {
    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::State(_) | Self::Sender { .. } | Self::Senders(_) | Self::Scenario(_) => 2,
            Self::Identity(_) | Self::Certificate(_) => 4,
            Self::Listen { error, .. } if error.kind() == io::ErrorKind::InvalidInput => 2,
            Self::Listen { .. } => 5,
            Self::NoRandom | Self::Signals(_) => 1,
        }
    }
}
