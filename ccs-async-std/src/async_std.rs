//! async-std: its executor above what is shared.

use std::future::Future;

use ccs_proto::driver;

use crate::names::{Client, Config, ConnectError, Driver, Incoming};
use crate::runtime::{AsyncIo, Spawn};

/// Settings of a service that survives its connections; see [`Client::start`](crate::Client::start).
pub type StartConfig = driver::service::StartConfig<AsyncIo<AsyncStd>>;

/// An endpoint: accepts connections of app servers over TLS and logs them in.
///
/// ```no_run
/// use ccs_async_std::{ApiKey, Arrival, Endpoint, Identity, ServerConfig, ServerEvent, LoginVerdict};
///
/// # async fn run(chain: &[u8], key: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let identity = Identity::new(chain, key)?;
/// let mut endpoint = Endpoint::bind("127.0.0.1:5235", identity, ServerConfig::default(), |login| {
///     let known = login.key().matches(&ApiKey::from("KEY"));
///     async move { if known { LoginVerdict::Accept } else { LoginVerdict::Reject } }
/// })
/// .await?;
/// while let Ok(arrival) = endpoint.accept().await {
///     let Arrival::Connected { peer, mut events, .. } = arrival else { continue };
///     async_std::task::spawn(async move {
///         while let Some(event) = events.next().await {
///             if let ServerEvent::Downstream { token, .. } = event {
///                 let _ = peer.ack(token, None);
///             }
///         }
///     });
/// }
/// # Ok(())
/// # }
/// ```
pub type Endpoint = driver::Endpoint<AsyncIo<AsyncStd>>;

/// Connects, logs in and spawns the driver on async-std's executor.
///
/// Dropping the future drops the connection, at whatever stage it is; once it is done, how the connection ends is told
/// by [`Incoming`] and [`Client::closed`].
///
/// ```no_run
/// use ccs_async_std::{Config, Downstream, Event, connect};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::new("localhost", "123456789012".parse()?, "KEY".into());
/// let (client, mut incoming) = connect(config).await?;
/// let accepted = client.send(Downstream::to("DEVICE").data("hello", "world")).await?;
/// println!("accepted: {}", accepted.message_id);
/// while let Some(event) = incoming.next().await {
///     if let Event::Upstream(message) = event {
///         println!("{}: {:?}", message.from(), message.data());
///         message.ack()?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Why there is no connection; see [`ConnectError`].
pub async fn connect(config: Config) -> Result<(Client, Incoming), ConnectError> {
    driver::connect::<AsyncIo<AsyncStd>>(config).await
}

/// Connects and logs in, and leaves it to the caller to poll the driver. Spawns nothing. Dropping the future drops the
/// connection, at whatever stage it is.
///
/// # Errors
/// Why there is no connection; see [`ConnectError`].
pub async fn connect_with(config: Config) -> Result<(Client, Incoming, Driver), ConnectError> {
    driver::connect_with::<AsyncIo<AsyncStd>>(config).await
}

/// async-std's executor, which it starts itself.
#[derive(Debug)]
pub enum AsyncStd {}

impl Spawn for AsyncStd {
    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        async_std::task::spawn(task);
    }
}
