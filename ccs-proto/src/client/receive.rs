//! What the endpoint sent, taken to where it belongs.

use super::handshake::Stage;
use super::{AckToken, ClientConnection, ClientEvent, Ignored, Outcome, Unacked};
use crate::connection::Received;
use crate::error::ConnectionError;
use crate::hash::Hashed;
use crate::message::{
    Control, FromEndpoint, MessageId, Nack, NackCode, Receipt, StanzaError, Upstream, message_id_of,
};
use crate::text::Text;
use crate::time::Time;
use crate::xmpp::iq::{Iq, IqKind, Payload, push_result, push_unavailable};
use crate::xmpp::message::{ErrorElement, Gcm, MessageStanza};
use crate::xmpp::{Stanza, StreamCondition};

/// What an answer counts for in the inbox at least: its ids and words, roughly.
pub(super) const ANSWER_BYTES: usize = 512;

impl ClientConnection {
    pub(super) fn read(&mut self, now: Time, mut input: &[u8]) -> Result<(), ConnectionError> {
        self.check()?;
        if !input.is_empty() {
            self.wire.last_received = now;
            self.pings_unheard = 0;
        }
        loop {
            // What comes behind the end is nobody's any more.
            if self.wire.is_over() {
                return self.check();
            }
            let handled = match self.wire.next(&mut input) {
                Ok(Some(received)) => self.handle(now, received),
                Ok(None) => return Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = handled {
                self.wire.fail(error.clone());
                return Err(error);
            }
        }
    }

    fn handle(&mut self, now: Time, received: Received) -> Result<(), ConnectionError> {
        match received {
            Received::Open(_) => self.header_received(),
            // Our end of the stream has crossed the success, behind which the endpoint begins a new stream.
            Received::Stanza(Stanza::Success)
                if self.wire.is_ending() && self.stage == Stage::Success =>
            {
                self.wire.restart();
            }
            // A login that was given up goes no further, and least of all sends the key.
            Received::Stanza(_) if self.wire.is_ending() && !self.stage.is_bound() => {}
            Received::Stanza(stanza) => self.stanza(now, stanza)?,
            Received::Close => self.wire.closed_by_peer(),
            Received::StrayText(_) => {
                return Err(ConnectionError::protocol(
                    StreamCondition::BadFormat,
                    "text between stanzas",
                ));
            }
        }
        Ok(())
    }

    fn stanza(&mut self, now: Time, stanza: Stanza) -> Result<(), ConnectionError> {
        match (stanza, &self.stage) {
            (Stanza::Message(message), Stage::Bound) => self.message(now, message),
            (Stanza::Iq(iq), stage) => {
                if stage.is_bound() || matches!(iq.kind, IqKind::Get) {
                    self.serve(iq);
                } else {
                    return self.handshake_iq(now, iq);
                }
            }
            (Stanza::StreamError { condition, text }, _) => {
                return Err(ConnectionError::StreamError { condition, text });
            }
            (Stanza::Features(features), Stage::Features(login)) => {
                let login = *login;
                return self.features_received(login, features);
            }
            (Stanza::Success, Stage::Success) => self.login_accepted(),
            (Stanza::Failure(condition), Stage::Success) => {
                return Err(self.login_refused(condition));
            }
            (Stanza::Presence, _) => {}
            (other, stage) => {
                return Err(ConnectionError::protocol(
                    StreamCondition::UnsupportedStanzaType,
                    format!(
                        "{} where it does not belong (waiting for {stage:?})",
                        name(&other)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Answers a request of the endpoint. Results are those of our pings; any byte is a sign of life already.
    fn serve(&mut self, iq: Iq) {
        let id = iq.id.as_deref();
        match (iq.kind, iq.payload) {
            (IqKind::Get, Payload::Ping) => self.wire.push(|out| push_result(out, id)),
            (IqKind::Get | IqKind::Set, _) => self.wire.push(|out| push_unavailable(out, id)),
            _ => {}
        }
    }

    fn message(&mut self, now: Time, stanza: MessageStanza) {
        if let Some(error) = stanza.error {
            return self.stanza_error(now, stanza.id, *error, stanza.gcm);
        }
        let Gcm::One(body) = stanza.gcm else {
            return self.emit(now, 0, ClientEvent::Ignored(Ignored::NoBody));
        };
        let bytes = body.len().max(ANSWER_BYTES);
        match FromEndpoint::parse_within(&body, self.config.limits.json_depth) {
            Ok(FromEndpoint::Upstream(message)) => self.upstream(now, message),
            Ok(FromEndpoint::Receipt(receipt)) => self.receipt(now, receipt),
            Ok(FromEndpoint::Ack(ack)) => {
                let id = ack.message_id.clone();
                self.answered(now, bytes, id, Outcome::Accepted(ack));
            }
            Ok(FromEndpoint::Nack(nack)) => self.nack(now, bytes, nack),
            Ok(FromEndpoint::Control(Control::ConnectionDraining)) => self.draining(now),
            Ok(FromEndpoint::Control(Control::Other(kind))) => {
                self.emit(
                    now,
                    body.len(),
                    ClientEvent::Ignored(Ignored::Unknown { kind }),
                );
            }
            Ok(FromEndpoint::Other { message_type, .. }) => {
                let kind = message_type;
                self.emit(
                    now,
                    body.len(),
                    ClientEvent::Ignored(Ignored::Unknown { kind }),
                );
            }
            Err(error) => {
                self.emit(
                    now,
                    bytes,
                    ClientEvent::Ignored(Ignored::Unreadable { error, body }),
                );
            }
        }
    }

    /// After our own end of the stream nothing can be acked, so nothing is delivered either: it comes again.
    fn can_ack(&self) -> bool {
        !self.wire.is_ending()
    }

    fn upstream(&mut self, now: Time, message: Upstream) {
        if self.can_ack() {
            let token = self.issue(now, message.from().text(), message.message_id());
            let bytes = message.body().len();
            self.emit(now, bytes, ClientEvent::Upstream { message, token });
        }
    }

    fn receipt(&mut self, now: Time, receipt: Receipt) {
        if self.can_ack() {
            let token = self.issue(now, receipt.from(), receipt.message_id());
            let bytes = receipt.body().len();
            self.emit(now, bytes, ClientEvent::Receipt { receipt, token });
        }
    }

    fn issue(&mut self, now: Time, to: &Text, message_id: &MessageId) -> AckToken {
        let unacked = Unacked {
            to: to.compact_waiting(),
            message_id: message_id.compact_waiting(),
        };
        let token = self.unsettled.issue(unacked, now);
        // The event that follows notes since when it is too many.
        self.inbox.set_unacked(self.unsettled.len());
        AckToken(token)
    }

    fn nack(&mut self, now: Time, bytes: usize, nack: Nack) {
        // Either form says it (`docs/protocol.md` §7).
        if nack.code == NackCode::ConnectionDraining {
            self.draining(now);
        }
        let id = nack.message_id.clone();
        self.answered(now, bytes, id, Outcome::Refused(nack));
    }

    fn draining(&mut self, now: Time) {
        if self.draining_since.is_none() {
            self.draining_since = Some(now);
            self.draining_place = self.inbox.next_place();
            self.emit(now, 0, ClientEvent::Draining);
            self.close_if_settled();
        }
    }

    /// Settles the message with this id, once; an answer to anything else is counted and frees nothing.
    fn answered(&mut self, now: Time, bytes: usize, message_id: MessageId, outcome: Outcome) {
        if self
            .window
            .settle(&Hashed::new(message_id.clone()))
            .is_none()
        {
            let event = ClientEvent::Ignored(Ignored::UnknownAnswer { message_id });
            return self.emit(now, bytes, event);
        }
        let event = ClientEvent::Answered {
            message_id,
            outcome,
        };
        self.inbox.push_answer(now, bytes, event);
        self.close_if_settled();
    }

    /// A stanza error settles the message that it echoes: by the stanza's id, which is the message's in what we send,
    /// else by the echoed body (`docs/protocol.md` §5.3).
    fn stanza_error(&mut self, now: Time, id: Option<Text>, error: ErrorElement, gcm: Gcm) {
        let body = match gcm {
            Gcm::One(body) => Some(body),
            Gcm::Missing | Gcm::Several => None,
        };
        let echoed = body.as_deref().and_then(message_id_of);
        let text = error.text.as_deref().map_or(0, str::len);
        let bytes = body.as_deref().map_or(0, str::len).saturating_add(text);
        let bytes = bytes.max(ANSWER_BYTES);
        let error = StanzaError::new(error.code, error.condition, error.text, id.clone(), body);
        let by_stanza = id.map(MessageId::from);
        for candidate in by_stanza.into_iter().chain(echoed) {
            if self
                .window
                .settle(&Hashed::new(candidate.clone()))
                .is_some()
            {
                let event = ClientEvent::Answered {
                    message_id: candidate,
                    outcome: Outcome::Rejected(error),
                };
                self.inbox.push_answer(now, bytes, event);
                return self.close_if_settled();
            }
        }
        self.emit(
            now,
            bytes,
            ClientEvent::Ignored(Ignored::StanzaError(error)),
        );
    }
}

fn name(stanza: &Stanza) -> &str {
    match stanza {
        Stanza::Features(_) => "<features>",
        Stanza::Auth(_) => "<auth>",
        Stanza::Success => "<success>",
        Stanza::Failure(_) => "<failure>",
        Stanza::Iq(_) => "<iq>",
        Stanza::Message(_) => "<message>",
        Stanza::Presence => "<presence>",
        Stanza::StreamError { .. } => "<error>",
        Stanza::Unsupported(name) => name,
    }
}
