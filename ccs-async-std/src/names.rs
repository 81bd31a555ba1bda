//! What is the same whichever executor runs it.

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

pub use crate::io::{IoTimer, IoTransport};
pub use crate::runtime::{AsyncIo, Spawn};

/// The core that this crate drives, for all that is not named here.
pub use ccs_proto as proto;

/// Where to connect, whom to believe and how to log in.
pub type Config = driver::Config<Trust>;

/// The driver of a connection that `connect_with` made. Any executor can poll it.
pub type Driver = driver::Driver<Box<dyn driver::Transport + Send>, IoTimer, driver::ClientMachine>;
