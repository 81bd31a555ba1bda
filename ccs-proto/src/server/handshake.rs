//! From the first byte to the bound stream, as the endpoint (RFC 6120 §4.3, §6, §7; `docs/protocol.md` §2, §12).

use super::{AuthRequest, ServerConnection, ServerEvent};
use crate::config::DEFAULT_DOMAIN;
use crate::error::ConnectionError;
use crate::message::SenderId;
use crate::time::Time;
use crate::xmpp::StreamCondition;
use crate::xmpp::iq::{Iq, IqKind, Payload, push_bound, push_result, push_unavailable};
use crate::xmpp::sasl::{Auth, Plain, SUCCESS, SaslFailure, push_failure};
use crate::xmpp::stream::{
    FEATURES_AFTER_LOGIN, FEATURES_BEFORE_LOGIN, Header, push_server_header,
};

/// Bytes of a resource that a client may ask for: RFC 7622 §3.4 allows 1,023, of which eight are ours.
const RESOURCE_BYTES: usize = 1_015;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Header,
    Auth,
    /// The owner decides on the login.
    Deciding,
    RestartedHeader,
    Bind,
    Bound,
}

impl Stage {
    pub(super) const FIRST: Self = Self::Header;
}

/// Who the session acts as, from the login alone.
#[derive(Debug)]
pub(super) struct Identity {
    sender: SenderId,
    domain: &'static str,
}

impl Identity {
    fn new(sender: SenderId, login_domain: Option<&str>) -> Self {
        // `docs/protocol.md` §12 #7.
        let domain = match login_domain {
            Some("fcm.googleapis.com") => "fcm.googleapis.com",
            _ => DEFAULT_DOMAIN,
        };
        Self { sender, domain }
    }

    pub(super) fn bare_jid(&self) -> String {
        format!("{}@{}", self.sender, self.domain)
    }
}

impl ServerConnection {
    /// The client's header: ours and what we offer go back, each as an element of its own.
    pub(super) fn header_received(&mut self, header: Header) {
        let from = header.to.as_deref().unwrap_or(DEFAULT_DOMAIN);
        match self.stage {
            Stage::Header => {
                self.push_header(from, 0);
                self.wire
                    .push(|out| out.extend_from_slice(FEATURES_BEFORE_LOGIN));
                self.stage = Stage::Auth;
            }
            Stage::RestartedHeader => {
                self.push_header(from, 1);
                self.wire
                    .push(|out| out.extend_from_slice(FEATURES_AFTER_LOGIN));
                self.stage = Stage::Bind;
            }
            // The framer lets a header through only where one may come.
            _ => {}
        }
    }

    /// Before a stream error or an early end: a stream must be open to be ended.
    pub(super) fn open_own_stream(&mut self) {
        match self.stage {
            Stage::Header => self.push_header(DEFAULT_DOMAIN, 0),
            Stage::RestartedHeader => self.push_header(DEFAULT_DOMAIN, 1),
            _ => return,
        }
        self.stage = Stage::Auth;
    }

    fn push_header(&mut self, from: &str, which: usize) {
        let id = self.nonce.stream_id(which);
        self.wire.push(|out| push_server_header(out, from, id));
    }

    pub(super) fn auth_received(&mut self, now: Time, auth: &Auth) -> Result<(), ConnectionError> {
        match auth.plain() {
            Ok(Plain {
                sender,
                domain,
                key,
            }) => {
                self.identity = Some(Identity::new(sender.clone(), domain.as_deref()));
                self.stage = Stage::Deciding;
                let connection = self.id;
                self.emit(
                    now,
                    0,
                    ServerEvent::Login(AuthRequest {
                        connection,
                        sender,
                        key,
                    }),
                );
                Ok(())
            }
            Err(failure) => self.refuse_login("", failure),
        }
    }

    /// Lets the app server in.
    ///
    /// # Errors
    /// A request of another connection comes back.
    pub fn accept(&mut self, now: Time, request: AuthRequest) -> Result<(), AuthRequest> {
        if request.connection != self.id || self.stage != Stage::Deciding {
            return Err(request);
        }
        if self.wire.is_ending() {
            return Ok(());
        }
        self.wire.push(|out| out.extend_from_slice(SUCCESS));
        self.wire.restart();
        self.wire.hide_input(false);
        self.stage = Stage::RestartedHeader;
        let held = std::mem::take(&mut self.held);
        // An error is kept and returned by the next `receive`.
        let _ = self.receive(now, &held);
        Ok(())
    }

    /// Refuses the login. With its last try ([`login_tries`](crate::ServerConfig::login_tries)) the stream ends.
    ///
    /// # Errors
    /// A request of another connection comes back.
    pub fn reject(&mut self, now: Time, request: AuthRequest) -> Result<(), AuthRequest> {
        if request.connection != self.id || self.stage != Stage::Deciding {
            return Err(request);
        }
        self.wire.tick(now);
        let sender = request.sender.as_str();
        match self.refuse_login(sender, SaslFailure::NotAuthorized) {
            Ok(()) => {
                let held = std::mem::take(&mut self.held);
                // An error is kept and returned by the next `receive`.
                let _ = self.receive(now, &held);
            }
            Err(error) => self.fail(error),
        }
        self.report_closed(now);
        Ok(())
    }

    /// Tells the peer; an error if that was its last try.
    fn refuse_login(&mut self, sender: &str, failure: SaslFailure) -> Result<(), ConnectionError> {
        self.wire.push(|out| push_failure(out, failure));
        self.failed_logins = self.failed_logins.saturating_add(1);
        if self.failed_logins < self.config.login_tries {
            self.identity = None;
            self.stage = Stage::Auth;
            return Ok(());
        }
        Err(ConnectionError::LoginRefused {
            sender: sender.to_owned(),
            condition: failure.as_str().to_owned(),
        })
    }

    /// Any iq of a client that is logged in.
    pub(super) fn iq_received(&mut self, now: Time, iq: Iq) -> Result<(), ConnectionError> {
        if !matches!(self.stage, Stage::Bind | Stage::Bound) {
            return Err(ConnectionError::protocol(
                StreamCondition::NotAuthorized,
                "an iq before the login",
            ));
        }
        let id = iq.id.as_deref();
        match (iq.kind, iq.payload) {
            (IqKind::Set, Payload::Bind { resource, .. }) if self.stage == Stage::Bind => {
                self.bind(now, id, resource.as_deref());
            }
            (IqKind::Set, Payload::Session) | (IqKind::Get, Payload::Ping) => {
                self.wire.push(|out| push_result(out, id));
            }
            (IqKind::Get | IqKind::Set, _) => self.wire.push(|out| push_unavailable(out, id)),
            _ => {}
        }
        Ok(())
    }

    /// The resource is what was asked for, followed by eight hexadecimal digits (`docs/protocol.md` §12 #8). One that is
    /// too long is passed over, as a server may (RFC 6120 §7.7): every stanza error would repeat it.
    fn bind(&mut self, now: Time, id: Option<&str>, resource: Option<&str>) {
        let Some(identity) = &self.identity else {
            return;
        };
        let resource = resource.filter(|resource| resource.len() <= RESOURCE_BYTES);
        let suffix = self.nonce.resource();
        let jid = format!(
            "{}/{}{suffix:08X}",
            identity.bare_jid(),
            resource.unwrap_or_default()
        );
        let sender = identity.sender.clone();
        self.wire.push(|out| push_bound(out, id, &jid));
        self.wire.set_bound();
        self.stage = Stage::Bound;
        self.jid = Some(jid.clone());
        self.emit(now, 0, ServerEvent::Bound { sender, jid });
    }
}

impl ServerConnection {
    /// The full JID of the stream, once it is bound.
    pub(super) fn full_jid(&self) -> &str {
        self.jid.as_deref().unwrap_or_default()
    }
}

impl super::Nonce {
    fn stream_id(self, which: usize) -> u64 {
        let chunk = self.0.chunks_exact(8).nth(which).unwrap_or_default();
        chunk.iter().fold(0, |id, byte| id << 8 | u64::from(*byte))
    }

    fn resource(self) -> u32 {
        let (_, tail) = self.0.split_at(16);
        tail.iter().fold(0, |id, byte| id << 8 | u32::from(*byte))
    }
}
