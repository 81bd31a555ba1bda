//! Dialling an endpoint and logging in.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use thiserror::Error;

use super::alarm::Alarm;
use super::client::{Client, client_with};
use super::client_machine::ClientMachine;
use super::incoming::Incoming;
use super::run::Driver;
use super::runtime::{Runtime, by};
use super::shared::Machine;
use super::{Timer, Transport, next_id};
use crate::client::ClientConnection;
use crate::config::{ClientConfig, TransportSecurity};
use crate::error::ConnectionError;
use crate::key::ApiKey;
use crate::message::SenderId;

/// Where to connect, whom to believe and how to log in. `T` is the adapter's type for whom to believe.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config<T> {
    /// Host to dial, a name or an address.
    pub host: String,
    /// Port to dial. Default: 5235 (`docs/protocol.md` §1.1).
    pub port: u16,
    /// Name that the endpoint's certificate must be for. None by default: `host`.
    pub server_name: Option<String>,
    /// Whom to believe. Default: the public authorities.
    pub trust: T,
    /// How long TCP and TLS may take together. Default: 10 s. The login has its own time in `client`.
    pub connect_timeout: Duration,
    /// The connection's settings.
    pub client: ClientConfig,
}

impl<T: Default> Config<T> {
    /// The defaults for one host and sender.
    #[must_use]
    pub fn new(host: impl Into<String>, sender: SenderId, key: ApiKey) -> Self {
        Self {
            host: host.into(),
            port: 5235,
            server_name: None,
            trust: T::default(),
            connect_timeout: Duration::from_secs(10),
            client: ClientConfig::new(sender, key),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No certificate can be for such a name. Nothing was dialled.
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
        /// What the TLS library says.
        error: io::Error,
    },
    /// The connection ended before the login was done.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// The driver of a client's connection on a runtime.
pub type ClientDriver<R> = Driver<<R as Runtime>::Transport, <R as Runtime>::Timer, ClientMachine>;

/// Connects, logs in and has the runtime run the driver. See [`connect_with`].
///
/// Dropping the future drops the connection, at whatever stage it is; nothing was spawned until it is done.
///
/// # Errors
/// Why there is no connection; see [`ConnectError`].
pub async fn connect<R: Runtime>(
    config: Config<R::Trust>,
) -> Result<(Client, Incoming), ConnectError> {
    let (client, incoming, driver) = connect_with::<R>(config).await?;
    // How the connection ends is told by `incoming` and by `Client::closed`.
    R::spawn(async {
        let _ = driver.await;
    });
    Ok((client, incoming))
}

/// Connects and logs in, and leaves it to the caller to poll the driver. Spawns nothing.
///
/// Dropping the future drops the connection, at whatever stage it is.
///
/// # Errors
/// Why there is no connection; see [`ConnectError`].
pub async fn connect_with<R: Runtime>(
    config: Config<R::Trust>,
) -> Result<(Client, Incoming, ClientDriver<R>), ConnectError> {
    let mut alarm = Alarm::new(R::timer());
    let transport = dial::<R>(&config, &mut alarm).await?;
    let connection = ClientConnection::new(
        Arc::new(config.client),
        next_id(),
        // `dial` knows no other way.
        TransportSecurity::VerifiedTls,
        alarm.now(),
    );
    let prefix = format!("{:08x}", u32::from_be_bytes(R::random()));
    let (client, incoming, mut driver) = client_with(connection, transport, alarm, prefix);
    beside(&mut driver, client.bound()).await?;
    Ok((client, incoming, driver))
}

pub(super) async fn dial<R: Runtime>(
    config: &Config<R::Trust>,
    alarm: &mut Alarm<R::Timer>,
) -> Result<R::Transport, ConnectError> {
    let Config { host, port, .. } = config;
    let name = config.server_name.as_ref().unwrap_or(host);
    let verifier = R::verifier(&config.trust, name)
        .ok_or_else(|| ConnectError::InvalidServerName(name.clone()))?;
    let until = alarm.now() + config.connect_timeout;
    let socket = by(until, alarm, R::dial(host, *port))
        .await
        .map_err(|error| ConnectError::Unreachable {
            host: host.clone(),
            port: *port,
            error,
        })?;
    by(until, alarm, R::secure(socket, verifier))
        .await
        .map_err(|error| ConnectError::Tls {
            host: host.clone(),
            port: *port,
            error,
        })
}

/// Polls the driver until `future` is done. It must be one that ends when the connection does.
pub(super) async fn beside<T, R, M, F>(driver: &mut Driver<T, R, M>, future: F) -> F::Output
where
    T: Transport + Unpin,
    R: Timer + Unpin,
    M: Machine,
    F: Future,
{
    let (mut driver, mut future) = (pin!(driver), pin!(future));
    let mut driving = true;
    poll_fn(|cx| {
        if driving {
            driving = driver.as_mut().poll(cx).is_pending();
        }
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
