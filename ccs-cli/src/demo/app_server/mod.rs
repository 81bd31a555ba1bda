//! The two app servers of the story: one that keeps what it was given, and one that does not.

mod naive;
mod service;

use std::sync::Arc;

use ccs_tokio::proto::message::NackCode;
use ccs_tokio::{Config, Downstream};
use thiserror::Error;

use super::desk::Desk;
use naive::Naive;
use service::Surviving;

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `Client::start`: survives its connections.
    Service,
    /// `connect`, used as many app servers do.
    Naive,
}

#[derive(Clone)]
pub enum AppServer {
    Service(Arc<Surviving>),
    Naive(Arc<Naive>),
}

/// The endpoint did not accept a message.
#[derive(Debug, Error)]
pub enum NotAccepted {
    #[error("it was refused: {0}")]
    Refused(NackCode),
    #[error("{0}")]
    GivenUp(String),
}

impl AppServer {
    pub fn start(kind: Kind, config: Config, desk: Arc<Desk>, seed: u64) -> Self {
        match kind {
            Kind::Service => Self::Service(Surviving::start(config, desk, seed)),
            Kind::Naive => Self::Naive(Naive::start(config, desk)),
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Service(_) => Kind::Service,
            Self::Naive(_) => Kind::Naive,
        }
    }

    /// Sends a message of the app server's own.
    pub async fn send(&self, message: Downstream) -> Result<(), NotAccepted> {
        let message = message.id(self.desk().next_id());
        match self {
            Self::Service(server) => server.send(message).await,
            Self::Naive(server) => server.send(message).await,
        }
    }

    pub fn desk(&self) -> &Arc<Desk> {
        match self {
            Self::Service(server) => server.desk(),
            Self::Naive(server) => server.desk(),
        }
    }

    /// It has a connection to send on, or does not need one.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Service(_) => true,
            Self::Naive(server) => server.is_connected(),
        }
    }

    /// Nothing is queued, and no handler is at work on what was acked.
    pub fn is_idle(&self) -> bool {
        match self {
            Self::Service(server) => server.queued() == 0,
            Self::Naive(server) => server.working() == 0,
        }
    }

    /// Ends it. Gives how many messages it had to leave unsent.
    pub async fn end(&self) -> usize {
        match self {
            Self::Service(server) => server.end().await,
            Self::Naive(server) => server.end().await,
        }
    }
}
