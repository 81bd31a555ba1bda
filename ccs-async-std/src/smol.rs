//! smol: the same names as at the root, run by smol.
//!
//! What is spawned runs on smol's global executor, which starts its threads itself (`SMOL_THREADS`, one by default);
//! sockets and timers have a thread of `async-io`.

use std::future::Future;

use ccs_proto::driver;

pub use crate::names::*;

/// Settings of a service that survives its connections; see [`Client::start`](crate::Client::start).
pub type StartConfig = driver::service::StartConfig<AsyncIo<Smol>>;

/// An endpoint: accepts connections of app servers over TLS and logs them in.
///
/// ```no_run
/// use ccs_async_std::smol::{ApiKey, Arrival, Endpoint, Identity, ServerConfig, ServerEvent, LoginVerdict};
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
///     smol::spawn(async move {
///         while let Some(event) = events.next().await {
///             if let ServerEvent::Downstream { token, .. } = event {
///                 let _ = peer.ack(token, None);
///             }
///         }
///     }).detach();
/// }
/// # Ok(())
/// # }
/// ```
pub type Endpoint = driver::Endpoint<AsyncIo<Smol>>;

/// Connects, logs in and spawns the driver on smol's global executor.
///
/// Dropping the future drops the connection, at whatever stage it is; once it is done, how the connection ends is told
/// by [`Incoming`] and [`Client::closed`].
///
/// ```no_run
/// use ccs_async_std::smol::{Config, Downstream, Event, connect};
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
    driver::connect::<AsyncIo<Smol>>(config).await
}

/// Connects and logs in, and leaves it to the caller to poll the driver. Spawns nothing. Dropping the future drops the
/// connection, at whatever stage it is.
///
/// # Errors
/// Why there is no connection; see [`ConnectError`].
pub async fn connect_with(config: Config) -> Result<(Client, Incoming, Driver), ConnectError> {
    driver::connect_with::<AsyncIo<Smol>>(config).await
}

/// smol's global executor, which it starts itself.
#[derive(Debug)]
pub enum Smol {}

impl Spawn for Smol {
    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }
}
