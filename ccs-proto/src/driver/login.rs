//! A connection of an endpoint up to its login.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::server::{Peer, PeerEvents};
use crate::error::ConnectionError;
use crate::server::{AuthRequest, ServerEvent};

/// What an endpoint says to a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginVerdict {
    /// The app server may come in.
    Accept,
    /// It may not; it is told `not-authorized`, whatever the reason.
    Reject,
}

/// A connection that is not logged in yet.
#[must_use = "a connection whose login is dropped is closed"]
pub struct Login {
    events: PeerEvents,
}

impl Login {
    pub(super) fn new(events: PeerEvents) -> Self {
        Self { events }
    }

    /// Sees the login through: asks `decide` about the sender and key that were shown, and returns when the stream is
    /// bound. Woken by what the app server does and by `decide`'s own future, which is dropped if the connection
    /// ends before: this ends within [`handshake_timeout`](crate::ServerConfig::handshake_timeout). Dropping the future closes
    /// the connection.
    ///
    /// # Errors
    /// Why the connection ended before.
    pub async fn decide<F, D>(
        mut self,
        mut decide: F,
    ) -> Result<(Peer, PeerEvents), ConnectionError>
    where
        F: FnMut(&AuthRequest) -> D,
        D: Future<Output = LoginVerdict>,
    {
        loop {
            match self.events.next().await {
                Some(ServerEvent::Login(request)) => {
                    let verdict = self.unless_over(decide(&request)).await?;
                    self.events.answer(request, verdict);
                }
                Some(ServerEvent::Bound { sender, jid }) => {
                    return Ok((Peer::new(&self.events, sender, jid), self.events));
                }
                event => ended(event)?,
            }
        }
    }

    /// What a decision comes to, unless the connection ends before: nobody waits for it then.
    async fn unless_over<D>(&mut self, decision: D) -> Result<LoginVerdict, ConnectionError>
    where
        D: Future<Output = LoginVerdict>,
    {
        let mut decision = pin!(decision);
        poll_fn(|cx| {
            if let Poll::Ready(verdict) = decision.as_mut().poll(cx) {
                return Poll::Ready(Ok(verdict));
            }
            while let Poll::Ready(event) = self.events.poll_event(cx) {
                if let Err(error) = ended(event) {
                    return Poll::Ready(Err(error));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// How a connection ended that is not logged in, if it did.
fn ended(event: Option<ServerEvent>) -> Result<(), ConnectionError> {
    match event {
        Some(ServerEvent::Closed(Err(error))) => Err(error),
        Some(ServerEvent::Closed(Ok(()))) | None => Err(ConnectionError::UnexpectedEof),
        Some(_) => Ok(()),
    }
}
