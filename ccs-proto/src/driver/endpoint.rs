//! Accepting app servers.

use std::fmt;
use std::future::{Future, poll_fn, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use thiserror::Error;

use super::Timer;
use super::alarm::Alarm;
use super::connect::beside;
use super::lobby::{Guest, Lobby};
use super::login::LoginVerdict;
use super::next_id;
use super::run::Driver;
use super::runtime::{Runtime, by};
use super::server::{Peer, PeerEvents, server_with};
use super::server_machine::ServerMachine;
use crate::admission::{AdmissionConfig, TooManyFailures, TooManyHalfOpen};
use crate::config::ServerConfig;
use crate::error::ConnectionError;
use crate::server::{AuthRequest, Nonce, ServerConnection};
use crate::time::Time;

/// Settings of an endpoint. A [`ServerConfig`] alone makes one with the defaults for the rest.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// The connections' settings.
    pub server: ServerConfig,
    /// How many strangers are dealt with, and how often they may be wrong.
    pub admission: AdmissionConfig,
    /// How long TLS may take. Default: 10 s (`docs/protocol.md` §1.4).
    pub tls_timeout: Duration,
}

impl From<ServerConfig> for EndpointConfig {
    fn from(server: ServerConfig) -> Self {
        Self {
            server,
            admission: AdmissionConfig::default(),
            tls_timeout: Duration::from_secs(10),
        }
    }
}

type Decision = Pin<Box<dyn Future<Output = LoginVerdict> + Send>>;
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
    /// Its address has too many connections that have not logged in.
    #[error(transparent)]
    TooManyHalfOpen(#[from] TooManyHalfOpen),
    /// It had not logged in when the endpoint was full of such connections, and was the oldest of them.
    #[error("it had not logged in and gave way to a newer connection")]
    GaveWay,
    /// Too many logins of its address failed; its key was not looked at.
    #[error(transparent)]
    TooManyFailures(#[from] TooManyFailures),
    /// The login failed or never came.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl<R: Runtime> Endpoint<R> {
    /// Listens on `address`, such as `"127.0.0.1:5235"`; port 0 lets the system choose one. `decide` is asked about every
    /// login; it may look the key up elsewhere. Dropping the future frees the address.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind<F, D>(
        address: impl fmt::Display,
        identity: R::Identity,
        config: impl Into<EndpointConfig>,
        decide: F,
    ) -> io::Result<Self>
    where
        F: Fn(&AuthRequest) -> D + Send + Sync + 'static,
        D: Future<Output = LoginVerdict> + Send + 'static,
    {
        let EndpointConfig {
            server,
            admission,
            tls_timeout,
        } = config.into();
        Ok(Self {
            listener: R::listen(&address.to_string()).await?,
            lobby: Lobby::new(admission),
            reception: Arc::new(Reception {
                identity,
                config: Arc::new(server),
                tls_timeout,
                clock: Mutex::new(R::timer()),
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
            match self.lobby.enter(address.ip()) {
                Ok(guest) => {
                    R::spawn(Arc::clone(&self.reception).receive(socket, address, guest));
                }
                Err(error) => {
                    let error = error.into();
                    return Poll::Ready(Ok(Arrival::Refused { address, error }));
                }
            }
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

type LoggedIn = Result<(Peer, PeerEvents), AcceptError>;
type ServerDriver<R> = Driver<<R as Runtime>::Transport, <R as Runtime>::Timer, ServerMachine>;

/// What logs newcomers in.
struct Reception<R: Runtime> {
    identity: R::Identity,
    config: Arc<ServerConfig>,
    tls_timeout: Duration,
    clock: Mutex<R::Timer>,
    decide: Box<Decide>,
}

impl<R: Runtime> Reception<R> {
    /// The whole life of one connection, in a task of its own: nobody waits for another's TLS or login.
    async fn receive(self: Arc<Self>, socket: R::Socket, address: SocketAddr, mut guest: Guest) {
        let login = async |guest: &mut Guest| self.log_in(socket, guest).await;
        let (logged_in, driver) = guest
            .unless_shown_out(login)
            .await
            .unwrap_or((Err(AcceptError::GaveWay), None));
        let arrival = match logged_in {
            Ok((peer, events)) => Arrival::Connected {
                address,
                peer,
                events,
            },
            Err(error) => Arrival::Refused { address, error },
        };
        guest.arrive(self.now(), arrival);
        if let Some(driver) = driver {
            // How the connection ends is told by its events; one that was refused has its farewell to say.
            let _ = driver.await;
        }
    }

    async fn log_in(
        &self,
        socket: R::Socket,
        guest: &mut Guest,
    ) -> (LoggedIn, Option<ServerDriver<R>>) {
        let mut alarm = Alarm::new(R::timer());
        let until = alarm.now() + self.tls_timeout;
        let accepting = R::accept(socket, &self.identity);
        let transport = match by(until, &mut alarm, accepting).await {
            Ok(transport) => transport,
            Err(error) => return (Err(AcceptError::Tls(error)), None),
        };
        let config = Arc::clone(&self.config);
        let nonce = Nonce(R::random());
        let connection = ServerConnection::new(config, next_id(), nonce, alarm.now());
        let (login, mut driver) = server_with(connection, transport, alarm);
        let mut blocked = None;
        let decided = login.decide(|request| {
            let allowed = guest.authenticating(self.now(), request.sender());
            blocked = allowed.err();
            match blocked {
                None => (self.decide)(request),
                // In the same words as a wrong key.
                Some(_) => Box::pin(ready(LoginVerdict::Reject)),
            }
        });
        let logged_in = beside(&mut driver, decided).await;
        let logged_in = logged_in.map_err(|error| match blocked {
            Some(failures) => failures.into(),
            None => error.into(),
        });
        (logged_in, Some(driver))
    }

    fn now(&self) -> Time {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.now()
    }
}
