//! Dialling an endpoint and logging in.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use ccs_proto::driver::{self, Client, Incoming};
use ccs_proto::{
    ApiKey, ClientConfig, ClientConnection, ConnectionError, ConnectionId, SenderId, Time,
    TransportSecurity,
};
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::io::{TokioTimer, TokioTransport};
use crate::tls::{Trust, random};

/// Where to connect, whom to believe and how to log in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Host to dial, a name or an address.
    pub host: String,
    /// Port to dial. Default: 5235 (`docs/protocol.md` §1.1).
    pub port: u16,
    /// Name that the endpoint's certificate must be for. None by default: `host`.
    pub server_name: Option<String>,
    /// Whom to believe. Default: the public authorities.
    pub trust: Trust,
    /// How long TCP and TLS may take together. Default: 10 s. The login has its own time in `client`.
    pub connect_timeout: Duration,
    /// The connection's settings.
    pub client: ClientConfig,
}

impl Config {
    /// The defaults for one host and sender.
    #[must_use]
    pub fn new(host: impl Into<String>, sender: SenderId, key: ApiKey) -> Self {
        Self {
            host: host.into(),
            port: 5235,
            server_name: None,
            trust: Trust::public(),
            connect_timeout: Duration::from_secs(10),
            client: ClientConfig::new(sender, key),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No certificate can be for such a name.
    #[error("{0:?} is no host name or address that a certificate could be for")]
    InvalidServerName(String),
    /// The host could not be reached.
    #[error("{host}:{port} cannot be reached: {error}")]
    Unreachable {
        /// Host dialled.
        host: String,
        /// Port dialled.
        port: u16,
        /// What the system says.
        error: io::Error,
    },
    /// TLS failed, in most cases since the endpoint's certificate is not believed. Nothing was sent.
    #[error("TLS with {host}:{port} failed: {error}; nothing was sent")]
    Tls {
        /// Host dialled.
        host: String,
        /// Port dialled.
        port: u16,
        /// What rustls says.
        error: io::Error,
    },
    /// The connection ended before the login was done.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// The driver of a connection that [`connect_with`] made.
pub type Driver =
    driver::Driver<TokioTransport<TlsStream<TcpStream>>, TokioTimer, driver::ClientMachine>;

/// Connects, logs in and spawns the driver on the current runtime.
///
/// # Errors
/// Why there is no connection; see [`ConnectError`].
///
/// # Panics
/// Outside a tokio runtime, as everything of tokio.
pub async fn connect(config: Config) -> Result<(Client, Incoming), ConnectError> {
    let (client, incoming, driver) = connect_with(config).await?;
    // How the connection ends is told by `incoming` and by `Client::closed`.
    tokio::spawn(async {
        let _ = driver.await;
    });
    Ok((client, incoming))
}

/// Connects and logs in, and leaves it to the caller to poll the driver. Spawns nothing.
///
/// # Errors
/// Why there is no connection; see [`ConnectError`].
pub async fn connect_with(config: Config) -> Result<(Client, Incoming, Driver), ConnectError> {
    let stream = dial(&config).await?;
    let connection = ClientConnection::new(
        Arc::new(config.client),
        next_id(),
        // `dial` knows no other way.
        TransportSecurity::VerifiedTls,
        Time::ZERO,
    );
    let prefix = format!("{:08x}", u32::from_be_bytes(random()));
    let (client, incoming, mut driver) = driver::client(
        connection,
        TokioTransport::new(stream),
        TokioTimer::new(),
        prefix,
    );
    log_in(&client, &mut driver).await?;
    Ok((client, incoming, driver))
}

/// Polls the driver until the login is done.
async fn log_in(client: &Client, driver: &mut Driver) -> Result<(), ConnectionError> {
    let mut bound = pin!(client.bound());
    let mut driver = pin!(driver);
    poll_fn(|cx| {
        // It cannot end without the other ending too.
        let _ = driver.as_mut().poll(cx);
        match bound.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn dial(config: &Config) -> Result<TlsStream<TcpStream>, ConnectError> {
    let Config { host, port, .. } = config;
    let name = config.server_name.as_ref().unwrap_or(host);
    let server_name = ServerName::try_from(name.clone())
        .map_err(|_| ConnectError::InvalidServerName(name.clone()))?;
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let unreachable = |error| ConnectError::Unreachable {
        host: host.clone(),
        port: *port,
        error,
    };
    let started = Instant::now();
    let stream = timeout(
        config.connect_timeout,
        TcpStream::connect((host.as_str(), *port)),
    )
    .await
    .unwrap_or_else(|_| Err(late()))
    .map_err(unreachable)?;
    // Writes are batched above; what is written should go out at once.
    stream.set_nodelay(true).map_err(unreachable)?;
    let connector = TlsConnector::from(config.trust.client_config());
    timeout(
        config.connect_timeout.saturating_sub(started.elapsed()),
        connector.connect(server_name, stream),
    )
    .await
    .unwrap_or_else(|_| Err(late()))
    .map_err(|error| ConnectError::Tls {
        host: host.clone(),
        port: *port,
        error,
    })
}

/// A name for one more connection of this process.
pub(crate) fn next_id() -> ConnectionId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed))
}
