//! Accepting app servers.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use thiserror::Error;

use super::connect::beside;
use super::lobby::{Guest, Lobby};
use super::next_id;
use super::runtime::{Runtime, within};
use super::server::{Peer, PeerEvents, Verdict, server};
use crate::config::ServerConfig;
use crate::error::ConnectionError;
use crate::server::{AuthRequest, Nonce, ServerConnection};
use crate::time::Time;

/// How long TLS may take (`docs/protocol.md` §1.4).
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

type Decision = Pin<Box<dyn Future<Output = Verdict> + Send>>;
type Decide = dyn Fn(&AuthRequest) -> Decision + Send + Sync;

/// An endpoint: accepts connections of app servers over TLS and logs them in.
///
/// Dropping it stops listening; connections that logged in and were taken live on.
pub struct Endpoint<R: Runtime> {
    listener: R::Listener,
    lobby: Lobby,
    reception: Arc<Reception<R>>,
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

impl<R: Runtime> Endpoint<R> {
    /// Listens on `address`, such as `"127.0.0.1:5235"`; port 0 lets the system choose one. `decide` is asked about every
    /// login; it may look the key up elsewhere.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind<F, D>(
        address: impl fmt::Display,
        identity: R::Identity,
        config: ServerConfig,
        decide: F,
    ) -> io::Result<Self>
    where
        F: Fn(&AuthRequest) -> D + Send + Sync + 'static,
        D: Future<Output = Verdict> + Send + 'static,
    {
        Ok(Self {
            listener: R::listen(&address.to_string()).await?,
            lobby: Lobby::new(),
            reception: Arc::new(Reception {
                identity,
                config: Arc::new(config),
                decide: Box::new(move |request| Box::pin(decide(request))),
            }),
        })
    }

    /// The address that is listened on, with the port that was chosen for port 0.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        R::local_addr(&self.listener)
    }

    /// The next connection that is logged in, or failed to. New ones are taken in while this is polled, and log in beside
    /// each other. Woken by one that is done, by a newcomer, and by room for one; dropping the future loses nothing.
    ///
    /// # Errors
    /// The listener failed, as for lack of file handles. It may be tried again, after a while.
    pub async fn accept(&mut self) -> io::Result<Arrival> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        loop {
            if let Some(arrival) = self.lobby.poll_arrival(cx) {
                return Poll::Ready(Ok(arrival));
            }
            if !self.lobby.has_room() {
                return Poll::Pending;
            }
            let (socket, address) = match R::poll_accept(&mut self.listener, cx) {
                Poll::Ready(accepted) => accepted?,
                Poll::Pending => return Poll::Pending,
            };
            let reception = Arc::clone(&self.reception);
            let guest = self.lobby.enter();
            R::spawn(reception.receive(socket, address, guest));
        }
    }
}

impl<R: Runtime> fmt::Debug for Endpoint<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

/// What logs newcomers in.
struct Reception<R: Runtime> {
    identity: R::Identity,
    config: Arc<ServerConfig>,
    decide: Box<Decide>,
}

impl<R: Runtime> Reception<R> {
    /// The whole life of one connection, in a task of its own: nobody waits for another's TLS or login.
    async fn receive(self: Arc<Self>, socket: R::Socket, address: SocketAddr, guest: Guest) {
        let transport = within::<R, _>(TLS_TIMEOUT, R::accept(socket, &self.identity)).await;
        let transport = match transport {
            Ok(transport) => transport,
            Err(error) => {
                let error = AcceptError::Tls(error);
                return guest.arrive(Arrival::Refused { address, error });
            }
        };
        let config = Arc::clone(&self.config);
        let connection = ServerConnection::new(config, next_id(), Nonce(R::random()), Time::ZERO);
        let (login, mut driver) = server(connection, transport, R::timer());
        let decided = login.decide(|request| (self.decide)(request));
        guest.arrive(match beside(&mut driver, decided).await {
            Ok((peer, events)) => Arrival::Connected {
                address,
                peer,
                events,
            },
            Err(error) => Arrival::Refused {
                address,
                error: error.into(),
            },
        });
        // How the connection ends is told by its events.
        let _ = driver.await;
    }
}
