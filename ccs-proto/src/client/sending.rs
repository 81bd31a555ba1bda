//! Messages on their way to the endpoint: places in the window, and what is taken back.

use bytes::BytesMut;

use super::{Blocked, ClientConnection, Permit};
use crate::connection::TRANSMIT_BYTES;
use crate::hash::Hashed;
use crate::message::{EncodedDownstream, MessageId};
use crate::time::Time;

impl ClientConnection {
    /// Messages that could be reserved now: the window less what is in flight, queued or reserved; none while the
    /// connection drains or ends.
    #[must_use]
    pub fn capacity(&self) -> usize {
        match self.sendable() {
            Ok(()) => self.window.capacity(),
            Err(_) => 0,
        }
    }

    /// Messages sent and not yet answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.window.in_flight()
    }

    /// Takes a place in the window. Messages may be sent before the stream is bound; they go out when it is.
    ///
    /// # Errors
    /// Why nothing can be sent now.
    pub fn reserve(&mut self) -> Result<Permit<'_>, Blocked> {
        self.sendable()?;
        self.window.reserve().map_err(|_| Blocked::WindowFull)?;
        Ok(Permit::new(self))
    }

    pub(super) fn sendable(&self) -> Result<(), Blocked> {
        if self.wire.is_ending() || self.closing_since.is_some() {
            Err(Blocked::Closed)
        } else if self.draining_since.is_some() {
            Err(Blocked::Draining)
        } else {
            Ok(())
        }
    }

    /// Gives up the messages that were accepted and not sent, in order. On a draining connection they never will be.
    #[must_use]
    pub fn take_unsent(&mut self) -> Vec<EncodedDownstream> {
        let unsent = self.window.take_queued();
        self.close_if_settled();
        unsent
    }

    /// Takes back a message that was accepted and not sent yet. `None` when its bytes were handed out before, or when
    /// nothing of that id is under way.
    pub fn cancel(&mut self, id: &MessageId) -> Option<EncodedDownstream> {
        let message = self.window.cancel(&Hashed::new(id.clone()))?;
        self.close_if_settled();
        Some(message)
    }

    /// Gives up the messages that were sent and not answered, in order, once the connection is over. Before that there
    /// are none: their answers may still come.
    #[must_use]
    pub fn take_unanswered(&mut self) -> Vec<EncodedDownstream> {
        if self.is_closed() {
            self.window.take_in_flight()
        } else {
            Vec::new()
        }
    }

    pub(super) fn transmit_messages(&mut self, now: Time, out: &mut BytesMut) {
        let sending =
            self.stage.is_bound() && self.draining_since.is_none() && !self.wire.is_ending();
        let room = out.len().saturating_add(TRANSMIT_BYTES);
        while sending && out.len() < room {
            let Some(message) = self.window.hand_out(now) else {
                break;
            };
            let before = out.len();
            message.push_stanza(out);
            self.wire.show(out.get(before..).unwrap_or_default());
        }
    }
}
