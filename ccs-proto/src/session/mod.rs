//! A service that survives its connections, as an app server: nothing that was accepted is lost.
//!
//! A [`Session`] owns the messages that go out and the connections that carry them. It says when to dial, what to write
//! and what to store ([`Command`]), and is told what came of it; like everything here it does no I/O, reads no clock
//! and draws no randomness but from the seed it was given.
//!
//! ```text
//!     submit ──►┌─────────────────────────────┐──► poll_event ──► outcomes, and what one should see
//!               │ Session                     │──► poll_delivery ──► what devices sent
//!    handled ──►│   queue     connections ────┼──◄ receive, poll_transmit, for each connection
//!               └─────────────────────────────┘──► poll_command ──► dial, close, store
//! ```
//!
//! **To devices**, at least once: a message is accepted when it is stored, and is settled once
//! ([`Settled`](SessionEvent::Settled)): acked, refused, expired or dead. What the endpoint refuses for a while goes out
//! again by the rules of its code; what was in flight on a lost connection is *unknown* and goes out again with the same
//! id, before newer messages. No order is promised beyond that: a message that waits does not hold up the others.
//!
//! **From devices**, at least once: a message is acked when a handler has said so and that is stored, each of its copies
//! on the connection by which it came, or not at all; then it comes again, and is acked without being handled again. The
//! messages of one device are handled in the order in which they came, one at a time; other devices do not wait for it.

mod backoff;
mod command;
mod config;
mod connections;
mod dedup;
mod deliveries;
mod ending;
mod event;
mod incoming;
mod outbox;
mod outgoing;
mod pace;
#[cfg(ccs_planted)]
mod planted;
mod pool;
mod queue;
mod random;
mod reconnect;
mod retry;
mod router;
mod storing;
mod suspects;

use std::collections::VecDeque;

use bytes::BytesMut;

pub use backoff::Backoff;
pub use command::{Command, DialId, Forgotten, Record, StoreId};
pub use config::SessionConfig;
pub use connections::NotWanted;
pub use deliveries::{Delivery, DeliveryKey, DeliveryToken, Verdict};
pub use ending::{Left, SessionFinished};
pub use event::{
    DeadLetter, DeadMessage, DeadReason, Received, ReconnectReason, Refused, SessionEvent,
    Settlement, SubmitError,
};
#[cfg(ccs_planted)]
pub use planted::Planted;
pub use reconnect::DialFailure;
pub use router::{HandlerCounts, HandlerId, Router, Run, RunEnd, RunId};

use crate::connection::earliest;
use crate::ledger::ConnectionId;
use crate::time::Time;
use dedup::Remembered;
use deliveries::Deliveries;
use ending::Stage;
pub(crate) use outbox::Outbox;
use pace::Pace;
use pool::Pool;
use queue::Queue;
use random::Random;
use reconnect::Reconnect;
use storing::Stores;

/// Everything of one sender, over all its connections. See the [module](self).
///
/// Methods may be called in any order. After any of them, poll commands, events and deliveries until there are none, and
/// [`poll_transmit`](Self::poll_transmit) of every connection until it says `false`; then wait for input, for the next
/// deadline or for the application.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    random: Random,
    now: Time,
    queue: Queue,
    pace: Pace,
    next_id: u64,
    pool: Pool,
    reconnect: Reconnect,
    deliveries: Deliveries,
    remembered: Remembered,
    stores: Stores,
    dead_letters: Outbox<DeadLetter>,
    commands: VecDeque<Command>,
    events: Outbox<SessionEvent>,
    /// A message came back for want of room.
    turned_away: bool,
    /// The windows of all connections were full, which was said, and messages wait since.
    stalled: bool,
    stage: Stage,
    #[cfg(ccs_planted)]
    stale: std::collections::BTreeSet<(Time, u64)>,
}

impl Session {
    /// A session that has nothing yet; its first command is to dial.
    #[must_use]
    pub fn new(config: SessionConfig, now: Time) -> Self {
        let mut session = Self {
            random: Random::new(config.seed),
            now,
            queue: Queue::default(),
            pace: Pace::new(config.slow_down),
            next_id: 0,
            pool: Pool::default(),
            reconnect: Reconnect::default(),
            deliveries: Deliveries::default(),
            remembered: Remembered::new(config.remembered_messages, config.remembered_bytes),
            stores: Stores::default(),
            dead_letters: Outbox::new(config.dead_letters, config.dead_letters_bytes),
            commands: VecDeque::new(),
            events: Outbox::new(config.events, config.events_bytes),
            turned_away: false,
            stalled: false,
            stage: Stage::Open,
            #[cfg(ccs_planted)]
            stale: std::collections::BTreeSet::new(),
            config,
        };
        #[cfg(ccs_planted)]
        {
            let out_of_order = session.is_planted(Planted::DeviceOutOfOrder);
            session.deliveries.out_of_order = out_of_order;
        }
        session.turn();
        session
    }

    /// The next thing for the driver to do.
    #[must_use]
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        let was_full = self.events.is_full();
        let event = self.events.pop();
        if was_full {
            self.turn();
        }
        event
    }

    /// Whether there are events to poll.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The connections there are, for the byte methods below.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.pool.ids()
    }

    /// Whether the login is done on this connection.
    #[must_use]
    pub fn is_bound(&self, connection: ConnectionId) -> bool {
        self.pool
            .get(connection)
            .is_some_and(|slot| slot.connection.is_bound())
    }

    /// Whether to read from this connection's transport; see
    /// [`ClientConnection::wants_input`](crate::ClientConnection::wants_input).
    #[must_use]
    pub fn wants_input(&self, connection: ConnectionId) -> bool {
        self.pool
            .get(connection)
            .is_some_and(|slot| slot.connection.wants_input())
    }

    /// Takes bytes that were read. What is wrong with them ends the connection, and shows in
    /// [`Disconnected`](SessionEvent::Disconnected).
    pub fn receive(&mut self, now: Time, connection: ConnectionId, input: &[u8]) {
        let now = self.tick(now);
        if let Some(slot) = self.pool.get_mut(connection) {
            let _ = slot.connection.receive(now, input);
        }
        self.turn();
    }

    /// The transport has ended: the peer sends nothing more.
    pub fn receive_eof(&mut self, now: Time, connection: ConnectionId) {
        let now = self.tick(now);
        if let Some(slot) = self.pool.get_mut(connection) {
            let _ = slot.connection.receive_eof(now);
        }
        self.turn();
    }

    /// The transport failed; the driver says how.
    pub fn transport_failed(
        &mut self,
        now: Time,
        connection: ConnectionId,
        what: impl Into<String>,
    ) {
        let now = self.tick(now);
        if let Some(slot) = self.pool.get_mut(connection) {
            slot.connection.transport_failed(now, what);
        }
        self.turn();
    }

    /// Appends bytes to write on this connection and says whether there were any; see
    /// [`ClientConnection::poll_transmit`](crate::ClientConnection::poll_transmit). Messages are given to a connection
    /// here and nowhere else, so one that cannot write gets none.
    #[must_use]
    pub fn poll_transmit(
        &mut self,
        now: Time,
        connection: ConnectionId,
        out: &mut BytesMut,
    ) -> bool {
        let now = self.tick(now);
        self.fill(connection);
        let any = self
            .pool
            .get_mut(connection)
            .is_some_and(|slot| slot.connection.poll_transmit(now, out));
        self.turn();
        any
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next. Ask again after any other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.is_ended() {
            return None;
        }
        earliest([
            self.pool.next_timeout(),
            self.queue.next_due(),
            self.queue.next_deadline(),
            self.dial_deadline(),
            self.deliveries.next_due(),
            self.stores.next_due(),
            self.stage.deadline(),
        ])
    }

    /// Lets time pass. Calling it early or late does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        let now = self.tick(now);
        for slot in self.pool.slots_mut() {
            slot.connection.handle_timeout(now);
        }
        self.turn();
    }

    /// Messages to devices that are accepted, or being stored, and not settled.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Deliveries that are not done with.
    #[must_use]
    pub fn undone(&self) -> usize {
        self.deliveries.len()
    }

    /// Handled messages that are remembered, to know a copy.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.remembered.len()
    }

    /// Messages that were given up, the oldest first, as many as the settings keep.
    pub fn dead_letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.dead_letters.iter()
    }

    /// Time never goes back, whatever the caller's clock does.
    fn tick(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        self.now
    }

    /// Does everything that is to be done after something happened.
    fn turn(&mut self) {
        if self.is_ended() {
            return;
        }
        self.collect();
        self.deliveries.resume_due(self.now);
        self.release_due();
        self.store_again();
        self.advance_end();
        if self.is_ended() {
            return;
        }
        self.plan_dial();
        self.note_window();
        self.note_room();
    }

    fn emit(&mut self, event: SessionEvent) {
        self.events.push(event.weight(), event);
    }

    fn look_at(&mut self, dead: DeadLetter) {
        self.dead_letters.push(dead.weight(), dead);
        self.dead_letters.trim();
    }

    fn keep_dead(&mut self, dead: DeadLetter) {
        self.look_at(dead.clone());
        self.emit(SessionEvent::DeadLetter(dead));
    }
}
