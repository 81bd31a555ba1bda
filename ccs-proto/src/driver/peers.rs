//! The connections of an endpoint, by name, doing what a hub asks for.

use std::collections::BTreeMap;

use super::server::Peer;
use crate::hub::{Command, Hub};
use crate::ledger::ConnectionId;
use crate::server::{NotSent, Unconfirmed};
use crate::time::Time;

/// The connections of an endpoint whose messages go through a [`Hub`]. What is sent on one of them otherwise takes places
/// that the hub counts on.
///
/// ```no_run
/// # use ccs_proto::Time;
/// # use ccs_proto::driver::{CarriedOut, Peers};
/// # use ccs_proto::hub::{Command, Hub};
/// fn carry_out(hub: &mut Hub, peers: &Peers, now: Time) {
///     while let Some(command) = hub.poll_command() {
///         let CarriedOut::NotHere(command) = peers.carry_out(hub, command) else {
///             continue;
///         };
///         match *command {
///             // Nothing is kept beyond this process.
///             Command::Store { id, .. } => hub.stored(now, id),
///             Command::Deliver { delivery, device, message, .. } => {
///                 println!("{} gets {:?}", device.token, message.payload());
///                 hub.delivered(now, delivery, 1_795_500_000_000);
///             }
///             _ => {}
///         }
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct Peers(BTreeMap<ConnectionId, Peer>);

/// What became of a command.
#[derive(Debug)]
pub enum CarriedOut {
    /// It is done.
    Done,
    /// It could not be done, mostly since its connection has ended: the hub knows, or is told with the connection's last
    /// event. Nothing is lost by it.
    TooLate,
    /// It is for a store or for a device, which are not here.
    NotHere(Box<Command>),
}

impl Peers {
    /// No connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection has logged in; tell the hub with [`Hub::login`].
    pub fn insert(&mut self, peer: Peer) {
        self.0.insert(peer.id(), peer);
    }

    /// The connection of this name.
    #[must_use]
    pub fn get(&self, connection: ConnectionId) -> Option<&Peer> {
        self.0.get(&connection)
    }

    /// A connection is over: tells the hub so, and what the connection leaves.
    pub fn closed(&mut self, hub: &mut Hub, now: Time, connection: ConnectionId) -> Option<Peer> {
        let peer = self.0.remove(&connection)?;
        for receipt in peer.take_unsent_receipts() {
            hub.receipt_failed(peer.sender(), connection, receipt);
        }
        hub.closed(now, connection, peer.take_unconfirmed());
        Some(peer)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does what is asked for a connection. An ack or a receipt that comes too late is told to the hub.
    pub fn carry_out(&self, hub: &mut Hub, command: Command) -> CarriedOut {
        match self.attempt(hub, command) {
            Some(carried_out) => carried_out,
            None => CarriedOut::TooLate,
        }
    }

    /// `None` if there is no connection of that name any more, or it takes nothing.
    fn attempt(&self, hub: &mut Hub, command: Command) -> Option<CarriedOut> {
        match command {
            Command::Ack {
                sender,
                message_id,
                token,
                canonical,
                ..
            } => {
                let content = token.content();
                let peer = self.get(token.connection());
                let given = peer.map(|peer| peer.ack(token, canonical.as_ref()));
                if !matches!(given, Some(Ok(()))) {
                    let failed = Unconfirmed {
                        message_id,
                        content,
                    };
                    hub.ack_failed(&sender, failed);
                    return None;
                }
            }
            Command::Nack {
                token,
                code,
                description,
                ..
            } => {
                let peer = self.get(token.connection())?;
                peer.nack(token, &code, &description).ok()?;
            }
            Command::Send {
                connection,
                message,
            } => self.get(connection)?.try_send(message).ok()?,
            Command::SendAgain {
                connection,
                message,
            } => {
                let peer = self.get(connection)?;
                if !peer.send_again(message.from(), message.message_id()) {
                    return None;
                }
            }
            Command::SendReceipt {
                sender,
                connection,
                receipt,
            } => {
                let Some(peer) = self.get(connection) else {
                    hub.receipt_failed(&sender, connection, receipt);
                    return None;
                };
                if let Err(NotSent::Closed(receipt) | NotSent::WindowFull(receipt)) =
                    peer.send_receipt(receipt)
                {
                    hub.receipt_failed(&sender, connection, *receipt);
                    return None;
                }
            }
            Command::SetWindows {
                connection,
                window,
                upstream_window,
            } => self.get(connection)?.set_windows(window, upstream_window),
            Command::Drain(connection) => self.get(connection)?.drain(),
            Command::End {
                connection,
                condition,
                text,
            } => self.get(connection)?.end_with(condition, text),
            other => return Some(CarriedOut::NotHere(Box::new(other))),
        }
        Some(CarriedOut::Done)
    }
}
