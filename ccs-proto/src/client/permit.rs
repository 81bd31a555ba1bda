//! Places in the window: who holds one can send, and gives it back if he does not.

use super::{ClientConnection, NotAccepted};
use crate::hash::Hashed;
use crate::ledger::ConnectionId;
use crate::message::EncodedDownstream;

/// A place in the window. Sending with it cannot find the window full; dropping it gives the place back.
#[derive(Debug)]
pub struct Permit<'a> {
    connection: Option<&'a mut ClientConnection>,
}

impl<'a> Permit<'a> {
    pub(super) fn new(connection: &'a mut ClientConnection) -> Self {
        Self {
            connection: Some(connection),
        }
    }

    /// Accepts a message: it goes out with the next [`poll_transmit`](ClientConnection::poll_transmit), and its
    /// answer comes as [`Answered`](super::ClientEvent::Answered).
    ///
    /// # Errors
    /// The message comes back when its id is under way on this connection, or when the connection drains or ends since
    /// the place was taken.
    pub fn send(mut self, message: EncodedDownstream) -> Result<(), NotAccepted> {
        // Taken only by methods that consume the permit.
        let Some(connection) = self.connection.take() else {
            return Ok(());
        };
        if let Err(why) = connection.sendable() {
            connection.window.give_back();
            return Err(NotAccepted::Blocked(Box::new(message), why));
        }
        connection
            .window
            .enqueue(Hashed::new(message.id().clone()), message)
            .map_err(|message| NotAccepted::Duplicate(Box::new(message)))
    }

    /// Keeps the place beyond the borrow, for an adapter's owned permit.
    pub fn keep(mut self) -> Place {
        let id = self.connection.take().map_or(ConnectionId(0), |c| c.id);
        Place(id)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.window.give_back();
        }
    }
}

/// A place that is held without borrowing the connection. Bring it back with
/// [`resume`](ClientConnection::resume): a place that is lost stays taken.
#[derive(Debug)]
#[must_use = "a place that is dropped stays taken; bring it back with `resume`"]
pub struct Place(ConnectionId);

impl ClientConnection {
    /// Turns a kept place into a permit again.
    ///
    /// # Errors
    /// A place of another connection comes back.
    pub fn resume(&mut self, place: Place) -> Result<Permit<'_>, Place> {
        if place.0 == self.id {
            Ok(Permit::new(self))
        } else {
            Err(place)
        }
    }
}
