//! An endpoint that listens, and how to connect to it: all of a runtime's own.

use std::future::poll_fn;

use ccs_proto::driver::{
    AcceptError, Arrival, Client, Config, Endpoint, EndpointConfig, Incoming, LoginVerdict, Peer,
    PeerEvents, connect,
};
use ccs_proto::{ApiKey, ServerConfig};
use ccs_tls::Trust;
use futures_util::future::join;

use crate::ends::{KEY, SENDER};
use crate::link::LOCALHOST;
use crate::runtime::Run;

/// Listens, and lets in who has the key.
pub async fn endpoint<R: Run>(config: ServerConfig) -> (Endpoint<R>, u16) {
    let identity = LOCALHOST.1.clone();
    // Every case comes from one address, and some hang up in the middle of a login again and again.
    let mut config = EndpointConfig::from(config);
    config.admission.failures_per_address.count = 10_000;
    config.admission.failures_per_account.count = 10_000;
    let endpoint = Endpoint::bind("127.0.0.1:0", identity, config, |login| {
        let verdict = match login.key().matches(&ApiKey::from(KEY)) {
            true => LoginVerdict::Accept,
            false => LoginVerdict::Reject,
        };
        async move { verdict }
    });
    let endpoint = endpoint.await.expect("a port");
    let port = endpoint.local_addr().expect("an address").port();
    (endpoint, port)
}

/// How to connect to it.
pub fn config(port: u16) -> Config<Trust> {
    let mut config = Config::new("127.0.0.1", SENDER.parse().expect("digits"), KEY.into());
    config.port = port;
    config.trust = LOCALHOST.0.clone();
    config
}

/// The next that logs in; who does not is passed over.
pub async fn arrival<R: Run>(endpoint: &mut Endpoint<R>) -> (Peer, PeerEvents) {
    loop {
        if let Arrival::Connected { peer, events, .. } =
            endpoint.accept().await.expect("it listens")
        {
            return (peer, events);
        }
    }
}

/// Why the next connection was not let in.
pub async fn refused<R: Run>(endpoint: &mut Endpoint<R>) -> AcceptError {
    match endpoint.accept().await.expect("it listens") {
        Arrival::Refused { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

/// Logs in.
pub async fn logged_in<R: Run>(
    endpoint: &mut Endpoint<R>,
    config: Config<Trust>,
) -> (Client, Incoming, Peer, PeerEvents) {
    let (connected, (peer, events)) = join(connect::<R>(config), arrival(endpoint)).await;
    let (client, incoming) = connected.expect("logged in");
    (client, incoming, peer, events)
}

/// A listener that knows nothing of CCS, and its port.
pub async fn listener<R: Run>() -> (R::Listener, u16) {
    let listener = R::listen("127.0.0.1:0").await.expect("a port");
    let port = R::local_addr(&listener).expect("an address").port();
    (listener, port)
}

/// The next that connects to it.
pub async fn accept<R: Run>(listener: &mut R::Listener) -> R::Socket {
    let accepted = poll_fn(|cx| R::poll_accept(listener, cx)).await;
    accepted.expect("a client").0
}
