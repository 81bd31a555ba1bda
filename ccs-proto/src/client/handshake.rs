//! From the first byte to the bound stream, as the app server (RFC 6120 §4.3, §6, §7; `docs/protocol.md` §2).

use super::{ClientConnection, ClientEvent};
use crate::config::TransportSecurity;
use crate::error::ConnectionError;
use crate::time::Time;
use crate::xmpp::iq::{Iq, IqKind, Payload, push_bind, push_session};
use crate::xmpp::sasl::push_auth;
use crate::xmpp::stream::{Features, push_client_header};

const BIND_ID: &str = "bind-1";
const SESSION_ID: &str = "session-1";

/// What the connection waits for. A flat list: the handshake is the one part that is a straight line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    Header(Login),
    Features(Login),
    Success,
    Bind { session_offered: bool },
    Session { jid: String },
    Bound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    Before,
    After,
}

impl Stage {
    pub(super) const FIRST: Self = Self::Header(Login::Before);

    pub(super) fn is_bound(&self) -> bool {
        *self == Self::Bound
    }
}

impl ClientConnection {
    /// The framer lets a header through only where one may come.
    pub(super) fn header_received(&mut self) {
        if let Stage::Header(login) = self.stage {
            self.stage = Stage::Features(login);
        }
    }

    pub(super) fn features_received(
        &mut self,
        login: Login,
        features: Features,
    ) -> Result<(), ConnectionError> {
        match login {
            Login::Before => self.log_in(features.mechanisms),
            Login::After => {
                let resource = self.config.resource.as_deref();
                self.wire.push(|out| push_bind(out, BIND_ID, resource));
                self.stage = Stage::Bind {
                    session_offered: features.session,
                };
                Ok(())
            }
        }
    }

    /// Sends the key, and only here: over verified TLS, by PLAIN and by nothing else.
    fn log_in(&mut self, offered: Vec<String>) -> Result<(), ConnectionError> {
        if self.transport != TransportSecurity::VerifiedTls {
            return Err(ConnectionError::InsecureTransport);
        }
        if !offered.iter().any(|mechanism| mechanism == "PLAIN") {
            return Err(ConnectionError::NoPlain { offered });
        }
        let config = &self.config;
        let domain = config.login_domain.as_deref();
        self.wire
            .push_secret(|out| push_auth(out, &config.sender, domain, &config.key));
        self.stage = Stage::Success;
        Ok(())
    }

    pub(super) fn login_accepted(&mut self) {
        self.wire.restart();
        let to = &self.config.stream_to;
        self.wire.push(|out| push_client_header(out, to));
        self.stage = Stage::Header(Login::After);
    }

    pub(super) fn login_refused(&self, condition: String) -> ConnectionError {
        ConnectionError::LoginRefused {
            sender: self.config.sender.as_str().to_owned(),
            condition,
        }
    }

    /// An answer to bind or session. Whether the id is repeated is up to the endpoint: one is known that leaves it out.
    pub(super) fn handshake_iq(&mut self, now: Time, iq: Iq) -> Result<(), ConnectionError> {
        let answers = |id: &str| iq.id.as_deref().is_none_or(|given| given == id);
        match (&self.stage, iq.kind) {
            (Stage::Bind { session_offered }, IqKind::Result) if answers(BIND_ID) => {
                let Payload::Bind { jid: Some(jid), .. } = iq.payload else {
                    return Ok(());
                };
                if *session_offered && self.config.session {
                    self.wire.push(|out| push_session(out, SESSION_ID));
                    self.stage = Stage::Session { jid };
                } else {
                    self.bound(now, jid);
                }
                Ok(())
            }
            (Stage::Bind { .. }, IqKind::Error(condition)) if answers(BIND_ID) => {
                Err(ConnectionError::BindRefused { condition })
            }
            // Nothing depends on the session, so a refusal changes nothing either.
            (Stage::Session { jid }, IqKind::Result | IqKind::Error(_)) if answers(SESSION_ID) => {
                let jid = jid.clone();
                self.bound(now, jid);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn bound(&mut self, now: Time, jid: String) {
        self.stage = Stage::Bound;
        self.wire.set_bound();
        self.emit(now, 0, ClientEvent::Bound { jid });
    }
}
