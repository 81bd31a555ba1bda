//! An endpoint that keeps what it took: all connections of all senders, and the devices behind it.
//!
//! A [`Hub`] stands between the app servers' connections and the devices. It is told what happens on each connection, what
//! devices send and whether they can be reached, and says what is to be answered, sent, delivered and stored
//! ([`Command`]). Like everything here it does no I/O and reads no clock.
//!
//! ```text
//!                 ┌──────────────────────────────────┐
//!  handle, login ►│ Hub                              │──► poll_command ──► ack, send, deliver, store …
//!  accept, refuse ►│   senders: connections, upstream │
//! submit, delivered ►│   mail: what devices did not get │──► poll_event ──► messages to decide on, and what one should see
//!                 └──────────────────────────────────┘
//! ```
//!
//! **To devices**, at least once unless it expired or was collapsed: a message comes as
//! [`Downstream`](HubEvent::Downstream); the application says who gets it ([`accept`](Hub::accept)) or refuses it. It is
//! acked when it is stored, and given to each device at once, or when the device can be reached: what waited in the order of
//! acceptance. A message that an app server sends again since its ack may be lost is acked again and not delivered twice; one
//! that differs in anything is another, whatever its id (`docs/protocol.md` §12 #48).
//!
//! **From devices**, at least once unless it expired: a message that is [submitted](Hub::submit) is accepted when it is
//! stored, and stays until an app server has acked it. It goes to the sender's connections in turn (§12 #29); what a
//! connection leaves un-acked goes out on another one, before newer messages.

mod command;
mod config;
mod connections;
mod delivery;
mod downstream;
mod event;
mod lately;
mod mail;
mod mailbox;
#[cfg(ccs_planted)]
mod planted;
mod receipts;
mod senders;
mod share;
mod storing;
mod upstream;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use command::{Command, Record, StoreId};
pub use config::{HubConfig, SenderLimits};
pub use downstream::{Acceptance, Arrival, ArrivalId, Gone};
pub use event::{Discarded, HubEvent, SubmitError};
pub use mail::{Copy, DeliveryId, Device};
pub use mailbox::Reach;
#[cfg(ccs_planted)]
pub use planted::Planted;

use crate::ledger::ConnectionId;
use crate::message::SenderId;
use crate::server::ServerEvent;
use crate::time::Time;
use downstream::Pending;
use mail::Mail;
use senders::Senders;
use storing::Stores;
use upstream::Upstreams;

/// All connections of all senders, and what is kept for them and for devices. See the [module](self).
///
/// Methods may be called in any order. After any of them, poll commands and events until there are none, in this order of
/// concern: commands are what keeps the promises. Then wait for the next thing to happen or for the next deadline.
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
    now: Time,
    senders: Senders,
    upstreams: Upstreams,
    arrivals: BTreeMap<ArrivalId, Pending>,
    mail: Mail,
    stores: Stores,
    /// The last number that was given to anything.
    last: u64,
    timers: BTreeSet<(Time, Due)>,
    commands: VecDeque<Command>,
    events: VecDeque<HubEvent>,
    /// Everything drains, and so does what logs in from now on.
    closing: bool,
}

/// What has its time, each at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A connection that just logged in gets what waits.
    Greeted(ConnectionId),
    /// An upstream message that waits has waited for too long.
    UpstreamExpires(u64),
    /// An upstream message was not acked for long.
    SendAgain(u64),
    /// A message that waits for a device has waited for too long.
    CopyExpires(DeliveryId),
    /// A connection that took no more receipts may take some.
    Receipts(ConnectionId),
}

impl Hub {
    /// A hub without connections, that keeps nothing.
    #[must_use]
    pub fn new(config: HubConfig, now: Time) -> Self {
        Self {
            config,
            now,
            senders: Senders::default(),
            upstreams: Upstreams::default(),
            arrivals: BTreeMap::new(),
            mail: Mail::default(),
            stores: Stores::default(),
            last: 0,
            timers: BTreeSet::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
            closing: false,
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<HubEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next. Ask again after any other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Lets time pass. Calling it early or late does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        self.tick(now);
        self.run_due();
    }

    /// Takes what happened on a connection. Logins are decided elsewhere: [`login`](Self::login) tells that one is done, and
    /// [`closed`](Self::closed) that a connection is over.
    pub fn handle(&mut self, now: Time, connection: ConnectionId, event: ServerEvent) {
        self.tick(now);
        match event {
            ServerEvent::Downstream {
                message_id,
                message,
                token,
            } => self.arrive(connection, message_id, message, token),
            ServerEvent::Acked(message) => self.acked(connection, &message),
            // Everything else is told by the connection's own events, and changes nothing here.
            _ => {}
        }
        self.run_due();
    }

    /// Gives a sender limits of its own, for the connections that it opens from now on.
    pub fn set_limits(&mut self, sender: &SenderId, limits: SenderLimits) {
        self.senders.get_or_insert(sender, &self.config).limits = limits;
    }

    /// Messages from devices that no connection has, of all senders.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.senders.iter().map(|sender| sender.waiting.len()).sum()
    }

    /// Messages from devices that are accepted, or being stored, and not acked.
    #[must_use]
    pub fn unacked(&self) -> usize {
        self.upstreams.len()
    }

    /// Messages for devices that did not get them yet, one for each device.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.mail.len()
    }

    /// Time never goes back, whatever the caller's clock does.
    fn tick(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// Does what is due. Everything that takes something over ends with it, so that what may not wait does not.
    fn run_due(&mut self) {
        while let Some((due, what)) = self.timers.first().copied()
            && due <= self.now
        {
            self.timers.pop_first();
            match what {
                Due::Greeted(connection) => self.greeted(connection),
                Due::UpstreamExpires(number) => self.upstream_expires(number),
                Due::SendAgain(number) => self.send_again(number),
                Due::CopyExpires(delivery) => self.copy_expires(delivery),
                Due::Receipts(connection) => self.receipts_due(connection),
            }
        }
    }

    fn emit(&mut self, event: HubEvent) {
        self.events.push_back(event);
    }

    fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    /// A number that nothing else has.
    fn next_number(&mut self) -> u64 {
        self.last = self.last.saturating_add(1);
        self.last
    }
}
