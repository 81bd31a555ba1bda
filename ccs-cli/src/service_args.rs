//! Starting a service, and for how long it tries.

use std::time::Duration;

use ccs_tokio::{Client, Inbound, Service, StartConfig};
use clap::Args;

use crate::exit::Failure;
use crate::login::LoginArgs;
use crate::watch::Watch;

/// Options of every command that goes on over as many connections as it takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct ServiceArgs {
    #[command(flatten)]
    login: LoginArgs,
    /// Seconds for which an endpoint out of reach, and a message that is refused for now, are tried again
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    retry_for: u64,
}

/// For how long a message waits that the endpoint does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// `--retry-for`.
    RetryFor,
    /// As long as it has to live.
    TimeToLive,
}

impl ServiceArgs {
    /// Starts a service that connects and logs in, and goes on when connections are lost.
    pub fn start(&self, waiting: Waiting) -> Result<(Service, Inbound, Watch), Failure> {
        let (config, hint) = self.login.config()?;
        let patience = Duration::from_secs(self.retry_for);
        let mut start = StartConfig::new(config);
        start.session.give_up_after = match waiting {
            Waiting::RetryFor => Some(patience),
            Waiting::TimeToLive => None,
        };
        let (service, inbound) = Client::start(start);
        Ok((service, inbound, Watch::new(patience, hint)))
    }
}
