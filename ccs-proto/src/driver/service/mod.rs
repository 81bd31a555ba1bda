//! A service that survives its connections: the handles of a [`Session`] and the future that drives it.
//!
//! ```text
//! Client::start(config) ──► (Service, Inbound)      and a driver, which the runtime runs
//!     Service::send     ──► accepted, refused, expired or dead, however many connections that takes
//!     Inbound::next     ──► what devices sent, and what one should see;  or Routes: a handler for each kind
//! ```

mod error;
mod inbound;
mod machine;
mod orders;
mod routes;
mod run;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

pub use error::ServiceError;
pub use inbound::{Handling, Inbound, ServiceEvent};
pub use orders::Sent;
pub use routes::Routes;
pub use run::ServiceDriver;

use super::Config;
use super::client::Client;
use super::runtime::Runtime;
use super::shared::Shared;
use super::waiters::Ticket;
use crate::message::{Downstream, MessageId};
use crate::session::{DeadLetter, Left, Session, SessionConfig};
use crate::time::Time;
use machine::{Ask, SessionMachine};
use orders::Goal;

/// How long a service whose handles were all dropped goes on to finish what it has.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings of a service on the runtime `R`.
#[non_exhaustive]
pub struct StartConfig<R: Runtime> {
    /// Where to connect, whom to believe and how to log in.
    pub connect: Config<R::Trust>,
    /// How much is held, how often is tried, how long is waited. Its `client` is taken from `connect`.
    pub session: SessionConfig,
    /// Handlers for what devices send. None by default: it comes by [`Inbound`].
    pub routes: Option<Routes>,
}

impl<R: Runtime> StartConfig<R> {
    /// The defaults, with a seed and a prefix for ids from the operating system's random numbers.
    #[must_use]
    pub fn new(connect: Config<R::Trust>) -> Self {
        let client = Arc::new(connect.client.clone());
        let prefix = format!("{:08x}", u32::from_be_bytes(R::random()));
        let seed = u64::from_be_bytes(R::random());
        Self {
            connect,
            session: SessionConfig::new(client, prefix, seed),
            routes: None,
        }
    }
}

impl<R: Runtime> fmt::Debug for StartConfig<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartConfig")
            .field("connect", &self.connect)
            .field("session", &self.session)
            .field("routes", &self.routes)
            .finish()
    }
}

impl Client {
    /// Starts a service that survives its connections, and has the runtime run its driver. Nothing is waited for: it dials by
    /// itself, and tells by [`Inbound`] how that goes.
    ///
    /// Take what comes by that stream, or drop it. While it is held and nobody takes from it, the service stands still as soon as
    /// [`events`](SessionConfig::events) wait there, 10,000 by default: every connection that is lost and every message that is
    /// accepted is one.
    ///
    /// The runtime is known by the type of `config`: see the adapters' `StartConfig`.
    #[must_use = "the service ends when its handles are dropped"]
    pub fn start<R: Runtime>(config: StartConfig<R>) -> (Service, Inbound) {
        let (service, inbound, driver) = Self::start_with(config);
        R::spawn(driver);
        (service, inbound)
    }

    /// Starts a service, and leaves it to the caller to poll the driver. Spawns nothing.
    #[must_use = "the service ends when its handles are dropped"]
    pub fn start_with<R: Runtime>(config: StartConfig<R>) -> (Service, Inbound, ServiceDriver<R>) {
        let StartConfig {
            connect,
            mut session,
            routes,
        } = config;
        session.client = Arc::new(connect.client.clone());
        let (events, bytes) = (session.events, session.events_bytes);
        let session = Session::new(session, Time::ZERO);
        let shared = Shared::new(SessionMachine::new(
            session,
            events,
            bytes,
            routes.is_some(),
        ));
        let handle = Arc::new(Handle {
            shared: Arc::clone(&shared),
        });
        let service = Service {
            handle: Arc::clone(&handle),
        };
        let driver = ServiceDriver::new(shared, connect, routes);
        (service, Inbound::new(handle), driver)
    }
}

/// Sends to devices, whatever connections come and go. Cheap to clone; when every handle is dropped, what was accepted is
/// finished for 30 s at most, and the service ends.
#[derive(Clone)]
pub struct Service {
    handle: Arc<Handle>,
}

impl Service {
    /// Sends a message and waits for what becomes of it: for a place in the queue, in the order of asking, then as long as
    /// it takes, over retries and connections, to its time to live at most. Woken by its outcome and by the end of the
    /// service.
    ///
    /// Dropping the future takes the message back, unless the endpoint may have it or the outcome is there already; then
    /// that comes as [`Settled`](crate::session::SessionEvent::Settled).
    ///
    /// # Errors
    /// What was wrong with the message, what the endpoint had against it, or why it was given up; see [`ServiceError`].
    pub async fn send(&self, message: Downstream) -> Result<Sent, ServiceError> {
        self.order(Goal::Settled, message).await
    }

    /// Hands a message over, and waits only until the service has it: from then on it is sent, whoever is gone. Its outcome
    /// comes as [`Settled`](crate::session::SessionEvent::Settled), under the id that is returned. Woken when it has
    /// it, and by the end of the service. Dropping the future before that means that nothing is sent; afterwards the message
    /// is sent all the same.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn submit(&self, message: Downstream) -> Result<MessageId, ServiceError> {
        let sent = self.order(Goal::Accepted, message).await?;
        Ok(sent.message_id)
    }

    async fn order(&self, goal: Goal, message: Downstream) -> Result<Sent, ServiceError> {
        let shared = &self.handle.shared;
        let number = shared.act(|machine| machine.orders.place(goal, message));
        let waiting = Waiting {
            handle: &self.handle,
            number,
        };
        let result = poll_fn(|cx| shared.look(|machine| machine.orders.poll(number, cx))).await;
        drop(waiting);
        result
    }

    /// Messages that are accepted and not settled.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.handle.shared.look(|machine| machine.session.queued())
    }

    /// Messages that were given up, the oldest first, as many as the settings keep.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.handle.shared.look(|machine| match &machine.finished {
            Some(finished) => finished.dead_letters.clone(),
            None => machine.session.dead_letters().cloned().collect(),
        })
    }

    /// Ends the service in order, and waits until it is over: nothing new is taken, what was accepted is sent and its
    /// answers are waited for, for `patience` at most. Gives what is left, in order. Woken by the end. Dropping the future
    /// does not take the shutdown back once it was polled, and loses nothing of what is left: see [`ended`](Self::ended).
    pub async fn shutdown(&self, patience: Duration) -> Vec<Left> {
        self.handle.ask(Ask::Shutdown(patience));
        self.ended().await
    }

    /// Waits until the service is over, whoever ends it, and gives what is left; at once if it is, as often
    /// as it is asked. Woken by the end. Dropping the future changes nothing.
    pub async fn ended(&self) -> Vec<Left> {
        let mut watch = Watch {
            handle: &self.handle,
            ticket: None,
        };
        poll_fn(|cx| {
            let ticket = &mut watch.ticket;
            self.handle.shared.look(|machine| match &machine.finished {
                Some(finished) => Poll::Ready(finished.messages.clone()),
                None => {
                    let line = &mut machine.watching_end;
                    let held = *ticket.get_or_insert_with(|| line.join());
                    line.wait(held, cx.waker());
                    Poll::Pending
                }
            })
        })
        .await
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}

/// A message that somebody waits for, taken back with the future that does.
struct Waiting<'a> {
    handle: &'a Handle,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.handle
            .shared
            .attempt(|machine| ((), machine.abandon(self.number)));
    }
}

/// A task that waits for the end, forgotten with the future that holds it.
struct Watch<'a> {
    handle: &'a Handle,
    ticket: Option<Ticket>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.handle
                .shared
                .look(|machine| machine.watching_end.leave(ticket));
        }
    }
}

/// What every handle of one service holds; when the last is gone, the service ends.
struct Handle {
    shared: Arc<Shared<SessionMachine>>,
}

impl Handle {
    fn ask(&self, ask: Ask) {
        self.shared.act(|machine| machine.asked.push_back(ask));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.ask(Ask::Shutdown(PATIENCE));
    }
}
