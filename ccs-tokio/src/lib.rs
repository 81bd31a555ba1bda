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

mod connect;
mod endpoint;
mod io;
mod tls;

pub use ccs_proto::driver::{
    Answer, Broadcast, Client, Event, Incoming, Message, OwnedPermit, Peer, PeerEvents, Reserve,
    SendError, Verdict,
};
pub use ccs_proto::message::{
    Data, Downstream, MessageId, Notification, RegistrationToken, Upstream,
};
pub use ccs_proto::{
    AckError, ApiKey, AuthRequest, Blocked, ClientConfig, ConnectionError, SenderId, ServerConfig,
    ServerEvent, Tap,
};
pub use connect::{Config, ConnectError, Driver, connect, connect_with};
pub use endpoint::{AcceptError, Arrival, Endpoint};
pub use io::{TokioTimer, TokioTransport};
pub use tls::{Identity, InvalidCertificate, Trust};

/// The core that this crate drives, for all that is not named here.
pub use ccs_proto as proto;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
