//! Two-way push on tokio: your server sends to devices, devices send to your server, and every message is
//! acknowledged.
//!
//! [`connect`] is the app server's side, [`Endpoint`] the side it connects to. Both speak CCS, the protocol of Google's
//! retired GCM/FCM XMPP service, over TLS that is always verified. What they do is decided in `ccs-proto`; this crate
//! owns sockets, TLS and timers.
//!
//! ```no_run
//! use ccs_tokio::{Config, Downstream, Event, connect};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new("localhost", "123456789012".parse()?, "KEY".into());
//! let (client, mut incoming) = connect(config).await?;
//! let accepted = client.send(Downstream::to("DEVICE").data("hello", "world")).await?;
//! println!("accepted: {}", accepted.message_id);
//! while let Some(event) = incoming.next().await {
//!     if let Event::Upstream(message) = event {
//!         println!("{}: {:?}", message.from(), message.data());
//!         message.ack()?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod io;
mod runtime;

use ccs_proto::driver;

pub use ccs_proto::driver::service::{
    Handling, Inbound, Routes, Sent, Service, ServiceError, ServiceEvent,
};
pub use ccs_proto::driver::{
    AcceptError, Answer, Arrival, Broadcast, CarriedOut, Client, ConnectError, EndpointConfig,
    Event, Incoming, LoginVerdict, Message, OwnedPermit, Peer, PeerEvents, Peers, Reserve,
    SendError,
};
pub use ccs_proto::message::{
    Data, Downstream, MessageId, Notification, RegistrationToken, Upstream,
};
pub use ccs_proto::session::Verdict;
pub use ccs_proto::{
    AckError, AdmissionConfig, ApiKey, AuthRequest, Blocked, ClientConfig, ConnectionError,
    SenderId, ServerConfig, ServerEvent, Tap,
};
pub use ccs_tls::{Identity, InvalidCertificate, Trust};
pub use io::{IoTimer, IoTransport};
pub use runtime::Tokio;

/// The core that this crate drives, for all that is not named here.
pub use ccs_proto as proto;

/// Where to connect, whom to believe and how to log in.
pub type Config = driver::Config<Trust>;

/// The driver of a connection that [`connect_with`] made.
pub type Driver = driver::ClientDriver<Tokio>;

/// Settings of a service that survives its connections; see [`Client::start`].
///
/// ```no_run
/// use ccs_tokio::{Client, Config, Downstream, ServiceEvent, StartConfig};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::new("localhost", "123456789012".parse()?, "KEY".into());
/// let (service, mut inbound) = Client::start(StartConfig::new(config));
/// let sent = service.send(Downstream::to("DEVICE").data("hello", "world")).await?;
/// println!("accepted: {}", sent.message_id);
/// while let Some(event) = inbound.next().await {
///     match event {
///         ServiceEvent::Delivery(message) => {
///             println!("{}", message.body());
///             message.ack();
///         }
///         ServiceEvent::Session(event) => println!("{event:?}"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub type StartConfig = driver::service::StartConfig<Tokio>;

/// An endpoint: accepts connections of app servers over TLS and logs them in.
///
/// ```no_run
/// use ccs_tokio::{ApiKey, Arrival, Endpoint, Identity, ServerConfig, ServerEvent, LoginVerdict};
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
///     tokio::spawn(async move {
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
pub type Endpoint = driver::Endpoint<Tokio>;

/// Connects, logs in and spawns the driver on the current runtime.
///
/// Dropping the future drops the connection, at whatever stage it is; once it is done, how the connection ends is told
/// by [`Incoming`] and [`Client::closed`].
///
/// # Errors
/// Why there is no connection; see [`ConnectError`].
///
/// # Panics
/// Outside a tokio runtime, as everything of tokio.
pub async fn connect(config: Config) -> Result<(Client, Incoming), ConnectError> {
    driver::connect::<Tokio>(config).await
}

/// Connects and logs in, and leaves it to the caller to poll the driver. Spawns nothing. Dropping the future drops the
/// connection, at whatever stage it is.
///
/// # Errors
/// Why there is no connection; see [`ConnectError`].
///
/// # Panics
/// Outside a tokio runtime, as everything of tokio.
pub async fn connect_with(config: Config) -> Result<(Client, Incoming, Driver), ConnectError> {
    driver::connect_with::<Tokio>(config).await
}

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
