//! Accepting app servers.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ccs_proto::driver::{self, Peer, PeerEvents, Verdict};
use ccs_proto::{AuthRequest, ConnectionError, Nonce, ServerConfig, ServerConnection, Time};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::connect::next_id;
use crate::io::{TokioTimer, TokioTransport};
use crate::tls::{Identity, random};

/// How long TLS may take (`docs/protocol.md` §1.4).
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that are not logged in yet, at most; others wait in the listener's queue.
const LOGINS: usize = 1_024;
/// Logged-in connections that `accept` has not taken yet.
const READY: usize = 64;

type Decision = Pin<Box<dyn Future<Output = Verdict> + Send>>;
type Decide = dyn Fn(&AuthRequest) -> Decision + Send + Sync;

/// An endpoint: accepts connections of app servers over TLS and logs them in.
///
/// ```no_run
/// use ccs_tokio::{ApiKey, Arrival, Endpoint, Identity, ServerConfig, ServerEvent, Verdict};
///
/// # async fn run(chain: &[u8], key: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let identity = Identity::new(chain, key)?;
/// let mut endpoint = Endpoint::bind("127.0.0.1:5235", identity, ServerConfig::default(), |login| {
///     let known = login.key().matches(&ApiKey::from("KEY"));
///     async move { if known { Verdict::Accept } else { Verdict::Reject } }
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
pub struct Endpoint {
    listener: TcpListener,
    tls: TlsAcceptor,
    config: Arc<ServerConfig>,
    decide: Arc<Decide>,
    logins: Arc<Semaphore>,
    ready: (mpsc::Sender<Arrival>, mpsc::Receiver<Arrival>),
}

/// What came of a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Arrival {
    /// An app server logged in.
    Connected {
        /// Where it is.
        address: SocketAddr,
        /// To answer and to send.
        peer: Peer,
        /// What it does.
        events: PeerEvents,
    },
    /// A connection ended before it was logged in.
    Refused {
        /// Where it came from.
        address: SocketAddr,
        /// Why it ended.
        error: AcceptError,
    },
}

/// Why a connection was not logged in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// TLS failed: a plain-text client, one that does not believe the certificate, or none at all.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    /// The login failed or never came.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl Endpoint {
    /// Listens on `address`. `decide` is asked about every login; it may look the key up elsewhere.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind<F, D>(
        address: impl ToSocketAddrs,
        identity: Identity,
        config: ServerConfig,
        decide: F,
    ) -> io::Result<Self>
    where
        F: Fn(&AuthRequest) -> D + Send + Sync + 'static,
        D: Future<Output = Verdict> + Send + 'static,
    {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            tls: TlsAcceptor::from(identity.server_config()),
            config: Arc::new(config),
            decide: Arc::new(move |request| Box::pin(decide(request))),
            logins: Arc::new(Semaphore::new(LOGINS)),
            ready: mpsc::channel(READY),
        })
    }

    /// The address that is listened on, with the port that was chosen for port 0.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection that is logged in, or failed to. Connections log in beside each other, while this is polled;
    /// dropping the future loses nothing.
    ///
    /// # Errors
    /// The listener failed, as for lack of file handles. It may be tried again, after a while.
    pub async fn accept(&mut self) -> io::Result<Arrival> {
        loop {
            let next = async {
                // A permit for each login; the semaphore is never closed.
                let permit = Arc::clone(&self.logins).acquire_owned().await.ok();
                let accepted = self.listener.accept().await;
                (permit, accepted)
            };
            tokio::select! {
                biased;
                Some(arrival) = self.ready.1.recv() => return Ok(arrival),
                (permit, accepted) = next => {
                    let (stream, address) = accepted?;
                    let login = log_in(
                        stream,
                        address,
                        self.tls.clone(),
                        Arc::clone(&self.config),
                        Arc::clone(&self.decide),
                    );
                    let ready = self.ready.0.clone();
                    tokio::spawn(async move {
                        let arrival = login.await;
                        drop(permit);
                        // Without an endpoint to take it the connection is dropped, which closes it.
                        let _ = ready.send(arrival).await;
                    });
                }
            }
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

async fn log_in(
    stream: TcpStream,
    address: SocketAddr,
    tls: TlsAcceptor,
    config: Arc<ServerConfig>,
    decide: Arc<Decide>,
) -> Arrival {
    match try_log_in(stream, tls, config, decide).await {
        Ok((peer, events)) => Arrival::Connected {
            address,
            peer,
            events,
        },
        Err(error) => Arrival::Refused { address, error },
    }
}

async fn try_log_in(
    stream: TcpStream,
    tls: TlsAcceptor,
    config: Arc<ServerConfig>,
    decide: Arc<Decide>,
) -> Result<(Peer, PeerEvents), AcceptError> {
    stream.set_nodelay(true).map_err(AcceptError::Tls)?;
    let stream = timeout(TLS_TIMEOUT, tls.accept(stream))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(AcceptError::Tls)?;
    let connection = ServerConnection::new(config, next_id(), Nonce(random()), Time::ZERO);
    let (login, driver) =
        driver::server(connection, TokioTransport::new(stream), TokioTimer::new());
    // How the connection ends is told by its events.
    tokio::spawn(async {
        let _ = driver.await;
    });
    Ok(login.decide(|request| decide(request)).await?)
}
