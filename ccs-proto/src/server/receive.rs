//! What the app server sent, taken to where it belongs.

use super::handshake::Stage;
use super::upstream::Settled;
use super::{AnswerToken, Fingerprint, ServerConnection, ServerEvent, Unanswered};
use crate::connection::Received;
use crate::error::ConnectionError;
use crate::habit::{Habit, Tolerance};
use crate::message::envelope::{self, StanzaErrorKind};
use crate::message::{
    Downstream, FromAppServer, MessageId, NackCode, Refusal, RegistrationToken, Target,
};
use crate::text::Text;
use crate::time::Time;
use crate::xmpp::message::{Gcm, MessageStanza};
use crate::xmpp::{Stanza, StreamCondition};

/// Google's words for a repeated id (fixture E24).
const DUPLICATE: &str = "Message with the same id has been received before";
/// Google's words for an ack of something that was not sent (fixture E17).
const STRAY_ACK: &str = "Received acks for messages not sent over this connection";

/// Text between stanzas that is passed over within a minute (`docs/protocol.md` §12 #49).
const STRAY_BYTES: usize = 1024;
/// Acks of what was not sent that are answered within a minute: a peer that takes the answer for something to ack would
/// never end.
const STRAY_ACKS: usize = 1_000;

impl ServerConnection {
    pub(super) fn read(&mut self, now: Time, mut input: &[u8]) -> Result<(), ConnectionError> {
        self.check()?;
        if !input.is_empty() {
            self.wire.last_received = now;
            self.doubt.heard(now, self.window);
        }
        loop {
            // What comes behind the end is nobody's any more.
            if self.wire.is_over() {
                return self.check();
            }
            let handled = match self.next(&mut input) {
                Ok(Some(received)) => self.handle(now, received),
                Ok(None) => return Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = handled {
                self.fail(error.clone());
                return Err(error);
            }
        }
    }

    /// The next thing to handle. While a login is decided nothing is: the header that follows it belongs to another
    /// stream, so the bytes are held, under the same bound as all bytes before the login.
    fn next(&mut self, input: &mut &[u8]) -> Result<Option<Received>, ConnectionError> {
        let given = input.len();
        let received = if self.stage == Stage::Deciding {
            self.held.extend_from_slice(input);
            *input = &[];
            None
        } else {
            self.wire.next(input)?
        };
        if matches!(self.stage, Stage::Header | Stage::Auth | Stage::Deciding) {
            let used = given.saturating_sub(input.len());
            self.login_bytes = self.login_bytes.saturating_add(used);
            if self.login_bytes > self.config.login_bytes {
                return Err(ConnectionError::policy(format!(
                    "more than {} bytes before the login",
                    self.config.login_bytes
                )));
            }
        }
        Ok(received)
    }

    fn handle(&mut self, now: Time, received: Received) -> Result<(), ConnectionError> {
        self.in_stray_text &= matches!(received, Received::StrayText(_));
        match received {
            Received::Open(header) => self.header_received(header),
            // A login that was given up goes no further.
            Received::Stanza(_) if self.wire.is_ending() && self.stage != Stage::Bound => {}
            Received::Stanza(stanza) => return self.stanza(now, stanza),
            Received::Close => {
                self.doubt.ended();
                self.wire.closed_by_peer();
            }
            Received::StrayText(bytes) => return self.stray_text(now, bytes),
        }
        Ok(())
    }

    /// Text between stanzas is passed over, but not without end (`docs/protocol.md` §12 #49). However it is cut into
    /// reads, it is told once for each place where it stands.
    fn stray_text(&mut self, now: Time, bytes: usize) -> Result<(), ConnectionError> {
        if self.is_strict() || self.stage == Stage::Auth {
            if self.is_strict() {
                self.emit(now, 0, ServerEvent::Fault(Habit::StrayText));
            }
            return Err(ConnectionError::protocol(
                StreamCondition::BadFormat,
                "text between stanzas",
            ));
        }
        if !self.stray_text.allows(now, bytes, STRAY_BYTES) {
            return Err(ConnectionError::policy(format!(
                "more than {STRAY_BYTES} bytes of text between stanzas within a minute"
            )));
        }
        if !std::mem::replace(&mut self.in_stray_text, true) {
            self.emit(now, 0, ServerEvent::Ignored(Habit::StrayText));
        }
        Ok(())
    }

    fn stanza(&mut self, now: Time, stanza: Stanza) -> Result<(), ConnectionError> {
        match stanza {
            Stanza::Message(message) if self.stage == Stage::Bound => self.message(now, message),
            Stanza::Message(_) => Err(ConnectionError::protocol(
                StreamCondition::NotAuthorized,
                "a message before the stream is bound",
            )),
            Stanza::Iq(iq) => self.iq_received(now, iq),
            Stanza::Auth(auth) if self.stage == Stage::Auth => self.auth_received(now, &auth),
            // Sent by several clients and asked for by none (`docs/protocol.md` §2.6).
            Stanza::Presence if matches!(self.stage, Stage::Bind | Stage::Bound) => Ok(()),
            Stanza::StreamError { condition, text } => {
                Err(ConnectionError::StreamError { condition, text })
            }
            _ if self.stage == Stage::Auth => Err(ConnectionError::protocol(
                StreamCondition::NotAuthorized,
                "something but <auth> before the login",
            )),
            _ => Err(ConnectionError::protocol(
                StreamCondition::UnsupportedStanzaType,
                "an element that is no stanza of this stream",
            )),
        }
    }

    fn message(&mut self, now: Time, stanza: MessageStanza) -> Result<(), ConnectionError> {
        if self.wire.is_ending() {
            self.emit(now, 0, ServerEvent::Ignored(Habit::AfterClose));
            return Ok(());
        }
        let body = match stanza.gcm {
            Gcm::One(body) => body,
            // `docs/protocol.md` §12 #14.
            Gcm::Missing | Gcm::Several => {
                let text = "InvalidJson: exactly one gcm element is required";
                self.bad_request(now, stanza.id.as_deref(), None, text);
                return Ok(());
            }
        };
        let depth = self.config.limits.json_depth;
        let parsed = FromAppServer::parse_within(&body, self.config.tolerance, depth);
        match parsed.map_err(|refusal| *refusal) {
            Ok(FromAppServer::Downstream {
                message_id,
                message,
            }) => {
                return self.downstream(now, message_id, message, body.len());
            }
            Ok(FromAppServer::Ack { message_id, to }) => {
                return self.ack_received(now, stanza.id.as_deref(), &body, &message_id, &to);
            }
            Ok(FromAppServer::Nack { message_id }) => {
                let message_id = message_id.compact();
                self.emit(now, 0, ServerEvent::Ignored(Habit::Nack { message_id }));
            }
            Err(Refusal::StanzaError { text }) => {
                self.bad_request(now, stanza.id.as_deref(), Some(&body), &text);
            }
            Err(Refusal::Nack {
                message_id,
                from,
                code,
                description,
                habit,
            }) => {
                if let Some(habit) = habit {
                    self.emit(now, 0, ServerEvent::Fault(habit));
                }
                self.refuse(now, from.as_deref(), message_id, &code, &description);
            }
        }
        Ok(())
    }

    fn is_strict(&self) -> bool {
        self.config.tolerance == Tolerance::Nothing
    }

    fn downstream(
        &mut self,
        now: Time,
        message_id: MessageId,
        message: Downstream,
        bytes: usize,
    ) -> Result<(), ConnectionError> {
        let target = target_text(message.target());
        // Ten thousand of them are remembered.
        let message_id = message_id.compact();
        if self.draining_since.is_some() {
            let code = NackCode::ConnectionDraining;
            self.refuse(now, Some(&target), message_id, &code, "");
            return Ok(());
        }
        if !self.answered.is_new(&message_id) {
            let code = NackCode::InvalidJson;
            self.refuse(now, Some(&target), message_id, &code, DUPLICATE);
            return Ok(());
        }
        // Those it has no answer to are more than we count: ours may be on their way.
        let window = self.window;
        if self.is_strict() && self.unanswered.len() >= window {
            self.emit(
                now,
                0,
                ServerEvent::Fault(Habit::BeyondWindow { message_id }),
            );
            return Err(ConnectionError::protocol(
                StreamCondition::PolicyViolation,
                format!("more than {window} messages without an answer"),
            ));
        }
        let unanswered = Unanswered {
            target,
            message_id: message_id.clone(),
        };
        let token = AnswerToken {
            token: self.unanswered.issue(unanswered, now),
            content: Fingerprint::new(&message, self.hash_key),
        };
        let event = ServerEvent::Downstream {
            message_id,
            message,
            token,
        };
        self.emit(now, bytes, event);
        Ok(())
    }

    fn ack_received(
        &mut self,
        now: Time,
        stanza_id: Option<&str>,
        body: &Text,
        message_id: &MessageId,
        to: &RegistrationToken,
    ) -> Result<(), ConnectionError> {
        match self.upstreams.settle(message_id, to, self.config.tolerance) {
            Settled::Message(message) => {
                self.emit(now, message.body().len(), ServerEvent::Acked(message));
            }
            Settled::Receipt(receipt) => {
                self.emit(
                    now,
                    receipt.body().len(),
                    ServerEvent::ReceiptAcked(receipt),
                );
            }
            Settled::LateReceipt => {
                let message_id = message_id.compact();
                let habit = Habit::LateReceiptAck { message_id };
                self.emit(now, 0, ServerEvent::Ignored(habit));
            }
            Settled::Copy => {}
            Settled::Nothing(habit) => {
                if let Some(habit) = habit {
                    self.emit(now, 0, ServerEvent::Fault(habit));
                }
                if !self.stray_acks.allows(now, 1, STRAY_ACKS) {
                    return Err(ConnectionError::policy(format!(
                        "more than {STRAY_ACKS} acks of messages not sent over this connection within a minute"
                    )));
                }
                let kind = StanzaErrorKind::NotAcceptable406;
                self.stanza_error(kind, stanza_id, Some(body), STRAY_ACK);
                let event = ServerEvent::Refused {
                    message_id: Some(message_id.compact()),
                    reason: STRAY_ACK.to_owned(),
                };
                self.emit(now, 0, event);
            }
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        now: Time,
        from: Option<&str>,
        message_id: MessageId,
        code: &NackCode,
        description: &str,
    ) {
        self.wire.push(|out| {
            envelope::push_nack(out, from, message_id.as_str(), code, description);
        });
        let reason = match description {
            "" => code.as_str().to_owned(),
            description => format!("{}: {description}", code.as_str()),
        };
        let bytes = reason.len();
        let message_id = Some(message_id.compact());
        self.emit(now, bytes, ServerEvent::Refused { message_id, reason });
    }

    fn bad_request(&mut self, now: Time, stanza_id: Option<&str>, body: Option<&Text>, text: &str) {
        self.stanza_error(StanzaErrorKind::BadRequest400, stanza_id, body, text);
        let event = ServerEvent::Refused {
            message_id: None,
            reason: text.to_owned(),
        };
        self.emit(now, 0, event);
    }

    fn stanza_error(
        &mut self,
        kind: StanzaErrorKind,
        stanza_id: Option<&str>,
        body: Option<&Text>,
        text: &str,
    ) {
        let to = self.full_jid().to_owned();
        self.wire.push(|out| {
            envelope::push_stanza_error(out, kind, stanza_id, &to, body.map(Text::as_str), text);
        });
    }
}

/// What an answer names in `from`: the request's `to` (`docs/protocol.md` §5.1, §12 #34).
fn target_text(target: &Target) -> Text {
    match target {
        Target::Token(token) => token.text().compact_waiting(),
        Target::Topic(topic) => Text::from(topic.as_str()),
        Target::Condition(condition) => Text::from(condition.as_str()),
    }
}
