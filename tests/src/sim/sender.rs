//! Who the app servers are: each has a sender id and a key of its own.

use std::fmt;

use ccs_proto::message::SenderId;
use ccs_proto::{ApiKey, ClientConfig};

use crate::pair::{KEY, SENDER};

/// One of the app servers of a run, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sender(pub(super) usize);

impl Sender {
    pub(super) fn id(self) -> SenderId {
        let id = format!("{SENDER}{}", self.0);
        id.parse().unwrap_or_else(|_| unreachable!("digits"))
    }

    pub(super) fn key(self) -> ApiKey {
        ApiKey::from(format!("{KEY}-{}", self.0).as_str())
    }

    pub(super) fn client_config(self) -> ClientConfig {
        ClientConfig::new(self.id(), self.key())
    }

    /// As part of a name for dice.
    pub(super) fn word(self) -> u64 {
        self.0 as u64
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "app server {}", self.0)
    }
}
