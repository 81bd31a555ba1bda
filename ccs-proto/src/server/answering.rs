//! Answers to downstream messages, each once and on the connection that it came by.

use super::{AnswerError, AnswerToken, ServerConnection, Unanswered, Unconfirmed};
use crate::ledger::TokenError;
use crate::message::{NackCode, RegistrationToken, envelope};

impl ServerConnection {
    /// Acks a message: it has been taken over. `canonical` is the token that the app server should use from now on, where
    /// the one it used is outdated.
    ///
    /// # Errors
    /// A token of another connection comes back; on an ended stream nothing can be answered.
    pub fn ack(
        &mut self,
        token: AnswerToken,
        canonical: Option<&RegistrationToken>,
    ) -> Result<(), AnswerError> {
        let content = token.content;
        let Unanswered { target, message_id } = self.spend(token)?;
        let canonical = canonical.map(RegistrationToken::as_str);
        self.wire.push(|out| {
            envelope::push_ack(out, &target, message_id.as_str(), canonical);
        });
        self.doubt.acked(message_id.clone(), content);
        self.answered.accepted(message_id);
        Ok(())
    }

    /// Acks a message twice, as a fault would: for endpoints that put app servers to the test.
    ///
    /// # Errors
    /// As for [`ack`](Self::ack).
    pub fn ack_twice(&mut self, token: AnswerToken) -> Result<(), AnswerError> {
        let content = token.content;
        let Unanswered { target, message_id } = self.spend(token)?;
        for _ in 0..2 {
            self.wire
                .push(|out| envelope::push_ack(out, &target, message_id.as_str(), None));
        }
        self.doubt.acked(message_id.clone(), content);
        self.answered.accepted(message_id);
        Ok(())
    }

    /// Refuses a message. Its id may be used again.
    ///
    /// # Errors
    /// As for [`ack`](Self::ack).
    pub fn nack(
        &mut self,
        token: AnswerToken,
        code: &NackCode,
        description: &str,
    ) -> Result<(), AnswerError> {
        let Unanswered { target, message_id } = self.spend(token)?;
        self.wire.push(|out| {
            envelope::push_nack(out, Some(&target), message_id.as_str(), code, description);
        });
        self.answered.refused(&message_id);
        Ok(())
    }

    fn spend(&mut self, token: AnswerToken) -> Result<Unanswered, AnswerError> {
        // What cannot be answered any more stays in the books, as unanswered.
        if self.wire.is_ending() && token.connection() == self.id {
            return Err(AnswerError::Closed);
        }
        let AnswerToken { token, content } = token;
        let foreign = |TokenError(token)| AnswerError::Foreign(AnswerToken { token, content });
        self.unanswered.settle(token).map_err(foreign)
    }

    /// Gives up the acked messages of which the app server may not know that they are, once the connection is over: one of
    /// them on another connection is sent again (`docs/protocol.md` §12 #48). As many as the window, or what was acked since
    /// anything came. Before the end there are none, nor after one that came in order from the app server.
    #[must_use]
    pub fn take_unconfirmed(&mut self) -> Vec<Unconfirmed> {
        if self.is_closed() {
            self.doubt.take()
        } else {
            Vec::new()
        }
    }

    /// Downstream messages that the application has not answered.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }
}
