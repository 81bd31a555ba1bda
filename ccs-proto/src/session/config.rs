//! Settings of a session, with the defaults and where they come from.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use crate::config::ClientConfig;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Settings of a session: how much it holds, how often it tries, how long it waits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Settings of each connection; who logs in.
    pub client: Arc<ClientConfig>,
    /// Connections that take messages at once, at most; those that drain are not counted. Default: 1. A further one is
    /// opened when the windows of all are full and messages wait.
    pub connections: usize,
    /// Connections that drain at once, at most; of more than these the oldest is closed from this side. Default: 4.
    pub draining_connections: usize,
    /// What stands before the number in the id of a message that was given none. Another one each time a session is
    /// made, or ids come twice (`docs/protocol.md` §12 #46).
    pub id_prefix: String,
    /// From which all jitter is drawn: one seed, one run.
    pub seed: u64,

    /// Messages accepted and not settled, at most. Default: 10,000.
    pub queue_messages: usize,
    /// Bytes of their stanzas, about and at most: payload and notification as they are sent, ids and targets as they were given,
    /// 192 for the rest. Default: 64 MiB.
    pub queue_bytes: usize,
    /// Events that nobody took, at which nothing more is accepted or taken from connections. Default: 10,000.
    pub events: usize,
    /// Bytes of them, at most. Default: 8 MiB.
    pub events_bytes: usize,

    /// Waits before a refused message is sent again. Default: 1 s, doubling to 60 s (`docs/protocol.md` §6.1).
    pub retry: Backoff,
    /// How often a message is refused for a while before it is a dead letter. Default: 10.
    pub attempts: u32,
    /// How long after its acceptance a message that is not settled becomes a dead letter, if it is not sent just then.
    /// Default: never, only its time to live counts.
    pub give_up_after: Option<Duration>,
    /// Waits for a target of which the endpoint says that it gets too much. Default: 60 s, doubling to 10 minutes; half
    /// of it at least.
    pub slow_down: Backoff,
    /// Stream errors with a message in flight after which it is a dead letter: it is what ends the streams. After as
    /// many connections that were just lost it goes out alone and with waits, and after
    /// [`attempts`](Self::attempts) more it is a dead letter as well. Default: 3.
    pub stream_deaths: u32,
    /// Dead letters that are kept to look at; the oldest goes first. Default: 1,000.
    pub dead_letters: usize,
    /// Bytes of them, at most. Default: 8 MiB.
    pub dead_letters_bytes: usize,

    /// Waits before the next dial, after a refused dial or a lost connection. Default: 1 s, doubling to 5 minutes.
    pub reconnect: Backoff,
    /// The same after a failed TLS handshake, which seldom mends itself. Default: 30 s, doubling to 5 minutes.
    pub reconnect_tls: Backoff,
    /// The wait after a refused login, never less. Default: 5 minutes.
    pub reconnect_login: Duration,
    /// How long a connection has to hold before it counts as healthy. If nothing has failed for as long, waits start again
    /// from the first. Default: 60 s.
    pub healthy_after: Duration,
    /// How long a dial may take. Default: 30 s.
    pub dial_timeout: Duration,

    /// Upstream messages and receipts that are not done with, at which no more are taken from the connections. Default:
    /// 1,000.
    pub upstream_messages: usize,
    /// Bytes of their bodies, at most. Default: 8 MiB.
    pub upstream_bytes: usize,
    /// Waits before a handler gets a message again, at least half of each. Default: 1 s, doubling to 60 s.
    pub handler_retry: Backoff,
    /// How often a handler gets a message before it is a dead letter. Default: 5.
    pub handler_tries: u32,
    /// Handled messages that are remembered, so that a copy is acked and not handled again. Default: 100,000.
    pub remembered_messages: usize,
    /// Bytes of their names, at most. Default: 32 MiB.
    pub remembered_bytes: usize,
    /// Waits before a refused `Store` is asked for again. Default: 1 s, doubling to 60 s.
    pub store_retry: Backoff,
    /// A bug on purpose.
    #[cfg(ccs_planted)]
    pub planted: Option<super::Planted>,
}

impl SessionConfig {
    /// The defaults.
    #[must_use]
    pub fn new(client: Arc<ClientConfig>, id_prefix: impl Into<String>, seed: u64) -> Self {
        let to_a_minute = Backoff::new(SECOND, MINUTE);
        let five_minutes = MINUTE.saturating_mul(5);
        Self {
            client,
            connections: 1,
            draining_connections: 4,
            id_prefix: id_prefix.into(),
            seed,
            queue_messages: 10_000,
            queue_bytes: 64 * 1024 * 1024,
            events: 10_000,
            events_bytes: 8 * 1024 * 1024,
            retry: to_a_minute,
            attempts: 10,
            give_up_after: None,
            slow_down: Backoff::new(MINUTE, MINUTE.saturating_mul(10)),
            stream_deaths: 3,
            dead_letters: 1_000,
            dead_letters_bytes: 8 * 1024 * 1024,
            reconnect: Backoff::new(SECOND, five_minutes),
            reconnect_tls: Backoff::new(SECOND.saturating_mul(30), five_minutes),
            reconnect_login: five_minutes,
            healthy_after: MINUTE,
            dial_timeout: SECOND.saturating_mul(30),
            upstream_messages: 1_000,
            upstream_bytes: 8 * 1024 * 1024,
            handler_retry: to_a_minute,
            handler_tries: 5,
            remembered_messages: 100_000,
            remembered_bytes: 32 * 1024 * 1024,
            store_retry: to_a_minute,
            #[cfg(ccs_planted)]
            planted: None,
        }
    }
}
