//! The loop of a service: what the session asks for, its dials, its connections, its handlers.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::super::alarm::Alarm;
use super::super::connect::{Config, ConnectError, dial};
use super::super::next_id;
use super::super::pump::{Bytes, CLOSE_PATIENCE, Pump};
use super::super::runtime::Runtime;
use super::super::shared::Shared;
use super::super::tasks::Tasks;
use super::machine::SessionMachine;
use super::routes::{Handlers, Routes};
use crate::config::TransportSecurity;
use crate::connection::earliest;
use crate::ledger::ConnectionId;
use crate::session::{Command, DialFailure, DialId};
use crate::time::Time;

/// Rounds of one poll, so that a busy service leaves room for other tasks.
const ROUNDS: usize = 16;

/// The future that moves a service: poll it, on the runtime that it was made for, until the service is over.
///
/// Woken by every transport, dial and handler of it, by the timer, and by every handle. Dropping it cuts all connections;
/// those who wait are told what is left.
#[must_use = "nothing moves unless the driver is polled; spawn it"]
pub struct ServiceDriver<R: Runtime> {
    shared: Arc<Shared<SessionMachine>>,
    config: Arc<Config<R::Trust>>,
    alarm: Alarm<R::Timer>,
    dials: Tasks<DialId, Result<R::Transport, ConnectError>>,
    connections: BTreeMap<ConnectionId, Pump<R::Transport>>,
    /// Those that are over, and how long their transports may take to close.
    closing: BTreeMap<ConnectionId, (Pump<R::Transport>, Time)>,
    handlers: Option<Handlers>,
}

impl<R: Runtime> ServiceDriver<R> {
    pub(super) fn new(
        shared: Arc<Shared<SessionMachine>>,
        config: Config<R::Trust>,
        routes: Option<Routes>,
    ) -> Self {
        Self {
            shared,
            config: Arc::new(config),
            alarm: Alarm::new(R::timer()),
            dials: Tasks::new(),
            connections: BTreeMap::new(),
            closing: BTreeMap::new(),
            handlers: routes.map(Handlers::new),
        }
    }

    /// Does what the session asks for. Whether it asked for anything.
    fn obey(&mut self, now: Time) -> bool {
        let mut progress = false;
        while let Some(command) = self.shared.drive(|machine| machine.session.poll_command()) {
            progress = true;
            match command {
                Command::Dial(id) => {
                    let config = Arc::clone(&self.config);
                    let dialling = async move {
                        let mut alarm = Alarm::new(R::timer());
                        dial::<R>(&config, &mut alarm).await
                    };
                    self.dials.insert(id, Box::pin(dialling));
                }
                Command::CancelDial(id) => self.dials.remove(id),
                Command::Close(id) => {
                    if let Some(pump) = self.connections.remove(&id) {
                        self.closing.insert(id, (pump, now + CLOSE_PATIENCE));
                    }
                }
                // Nothing is kept beyond this process, so there is nothing to wait for.
                Command::Store { id, .. } => {
                    self.shared.drive(|machine| machine.session.stored(now, id));
                }
                Command::Forget(_) => {}
            }
        }
        progress
    }

    /// Whether a dial came to anything.
    fn dial(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let mut progress = false;
        while let Some((dial, dialled)) = self.dials.poll_next(cx) {
            progress = true;
            match dialled {
                Ok(transport) => {
                    let id = next_id();
                    // `dial` knows no other way.
                    let security = TransportSecurity::VerifiedTls;
                    let wanted = self
                        .shared
                        .drive(|machine| machine.session.dialled(now, dial, id, security));
                    if wanted.is_ok() {
                        self.connections.insert(id, Pump::new(transport));
                    }
                }
                Err(error) => {
                    let failure = failure(&error);
                    self.shared
                        .drive(|machine| machine.session.dial_failed(now, dial, failure));
                }
            }
        }
        progress
    }

    /// Whether any bytes moved.
    fn pump(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let mut progress = false;
        for (id, pump) in &mut self.connections {
            let line = Line {
                shared: &self.shared,
                connection: *id,
            };
            // What one of them read may be for another to write.
            progress |= pump.turn(cx, now, &line).moved;
        }
        progress
    }

    /// What was written goes out and transports are closed, but neither is waited for long.
    fn close(&mut self, cx: &mut Context<'_>, now: Time) {
        let shared = &self.shared;
        self.closing.retain(|id, (pump, until)| {
            let line = Line {
                shared,
                connection: *id,
            };
            now < *until && pump.poll_close(cx, now, &line).is_pending()
        });
    }

    fn deadline(&self) -> Option<Time> {
        earliest([
            self.shared.look(|machine| machine.session.poll_timeout()),
            self.handlers.as_ref().and_then(Handlers::poll_timeout),
            self.closing.values().map(|(_, until)| *until).min(),
        ])
    }
}

impl<R: Runtime> Future for ServiceDriver<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.park(cx.waker());
        for _ in 0..ROUNDS {
            let now = this.alarm.now();
            this.shared.drive(|machine| machine.tick(now));
            let mut progress = this.obey(now);
            progress |= this.dial(cx, now);
            progress |= this.pump(cx, now);
            if let Some(handlers) = &mut this.handlers {
                progress |= handlers.turn(cx, now, &this.shared);
            }
            this.close(cx, now);
            let over = this.shared.look(|machine| machine.session.is_ended());
            if over && this.connections.is_empty() && this.closing.is_empty() {
                this.shared.drive(SessionMachine::end);
                return Poll::Ready(());
            }
            if !progress {
                if !this.alarm.wait(cx, this.deadline()) {
                    return Poll::Pending;
                }
            } else if this.shared.look(|machine| machine.has_deliveries()) {
                // Whoever takes them acks the first of them while the rest is still to be read.
                this.alarm.after_others(cx);
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R: Runtime> Drop for ServiceDriver<R> {
    fn drop(&mut self) {
        self.shared.drive(SessionMachine::end);
    }
}

/// One connection's bytes, by way of the session.
struct Line<'a> {
    shared: &'a Shared<SessionMachine>,
    connection: ConnectionId,
}

impl Bytes for Line<'_> {
    fn wants_input(&self) -> bool {
        let id = self.connection;
        self.shared.look(|machine| machine.session.wants_input(id))
    }

    fn receive(&self, now: Time, input: &[u8]) {
        let id = self.connection;
        self.shared
            .drive(|machine| machine.session.receive(now, id, input));
    }

    fn receive_eof(&self, now: Time) {
        let id = self.connection;
        self.shared
            .drive(|machine| machine.session.receive_eof(now, id));
    }

    fn transport_failed(&self, now: Time, what: String) {
        let id = self.connection;
        self.shared
            .drive(|machine| machine.session.transport_failed(now, id, what));
    }

    fn poll_transmit(&self, now: Time, out: &mut BytesMut) -> bool {
        let id = self.connection;
        self.shared
            .drive(|machine| machine.session.poll_transmit(now, id, out))
    }

    fn is_secret(&self) -> bool {
        let id = self.connection;
        !self.shared.look(|machine| machine.session.is_bound(id))
    }
}

/// By what the next dial is put off.
fn failure(error: &ConnectError) -> DialFailure {
    let what = error.to_string();
    match error {
        ConnectError::Unreachable { .. } => DialFailure::Unreachable(what),
        // A transport that ends says nothing of certificates. What TLS objects to is data.
        ConnectError::Tls { error, .. } if error.kind() != ErrorKind::InvalidData => {
            DialFailure::Unreachable(what)
        }
        _ => DialFailure::Tls(what),
    }
}
