//! The endpoint: the real hub, and the real other role on each connection. It knows app servers by their logins only. What is
//! answered to messages, and what devices do, is decided outside.

mod obey;
mod store;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ccs_proto::hub::{Arrival, DeliveryId, Device, Hub, HubConfig, HubEvent};
use ccs_proto::message::{Downstream, MessageId, SenderId, Upstream};
use ccs_proto::{
    AuthRequest, ConnectionId, Nonce, ServerConfig, ServerConnection, ServerEvent, Time,
};

use super::faults::Point;
use super::invariants::{Key, Mail, Post, key_of};
use super::seen::Sight;
use super::stage::Stage;
use super::wire::End;
use store::Store;

/// What the endpoint has to say.
#[derive(Debug)]
pub(super) enum Heard {
    /// Somebody wants to log in.
    Login(AuthRequest),
    Bound(ConnectionId),
    /// A message to a device, to be decided on.
    Message(Arrival),
    /// A message is acked: the endpoint has taken it over.
    Took {
        connection: ConnectionId,
        sender: SenderId,
        id: MessageId,
    },
    /// What a device sent is acked.
    Acked(Key),
    ReceiptAcked,
    /// An ack was refused, on this connection.
    Refused(ConnectionId, String),
    /// A device is to get a message.
    Deliver {
        delivery: DeliveryId,
        device: Device,
        message_id: MessageId,
        message: Arc<Downstream>,
    },
    /// What a device sent could not be stored.
    ComesBack,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    config: Arc<ServerConfig>,
    hub_config: HubConfig,
    /// None while it is down.
    hub: Option<Hub>,
    /// Which hub this is, from 1: what belongs to one that is gone is not told any more.
    pub(super) life: u64,
    closing: bool,
    servers: BTreeMap<ConnectionId, ServerConnection>,
    /// As whom each connection is logged in.
    logins: BTreeMap<ConnectionId, SenderId>,
    heard: VecDeque<Heard>,
    store: Store,
    pub(super) post: Post,
    pub(super) mail: Mail,
    /// The next crash.
    pub(super) crash_at: Option<Point>,
    /// It has come to that point.
    crashing: bool,
}

impl Endpoint {
    pub(super) fn new(stage: &Stage) -> Self {
        let mut config = ServerConfig::default();
        config.dead_after = Some(Duration::from_secs(300));
        let hub_config = stage.plan.settings.hub_config();
        let findings = &stage.findings;
        Self {
            config: Arc::new(config),
            hub: Some(Hub::new(hub_config.clone(), stage.now)),
            post: Post::new(hub_config.send_again_after, findings.clone()),
            mail: Mail::new(findings.clone()),
            hub_config,
            life: 1,
            closing: false,
            servers: BTreeMap::new(),
            logins: BTreeMap::new(),
            heard: VecDeque::new(),
            store: Store::default(),
            crash_at: None,
            crashing: false,
        }
    }

    /// It comes up, with what its store has. Says whether it was down.
    pub(super) fn starts(&mut self, stage: &mut Stage) -> bool {
        if self.hub.is_some() {
            return false;
        }
        self.life += 1;
        stage.note(|| format!("the endpoint starts for the {}. time", self.life));
        let mut hub = Hub::new(self.hub_config.clone(), stage.now);
        for (id, record) in self.store.records() {
            stage.findings.see(Sight::EndpointRestored);
            hub.restore(stage.now, *id, record.clone());
        }
        self.hub = Some(hub);
        self.closing = false;
        true
    }

    /// The process is gone, with all that its store had not written. Its connections are the caller's to cut.
    pub(super) fn crashes(&mut self, stage: &mut Stage) {
        self.store_crashes(stage);
        self.is_gone();
    }

    /// The process ends in order, whatever is left: its store finishes.
    pub(super) fn stops(&mut self, stage: &mut Stage) {
        self.finish_store(stage);
        self.is_gone();
    }

    fn is_gone(&mut self) {
        self.hub = None;
        self.crash_at = None;
        self.crashing = false;
        self.servers.clear();
        self.logins.clear();
        self.heard.clear();
        self.mail.crashes(self.store.letters());
        self.post.crashes(&self.store.posts());
    }

    /// Whether it has come to the point where it was to crash.
    pub(super) fn is_crashing(&self) -> bool {
        self.crashing
    }

    fn crashes_at(&mut self, stage: &Stage, point: Point) {
        if self.crash_at == Some(point) {
            stage.findings.see(match point {
                Point::Stored => Sight::EndpointCrashAtStore,
                Point::Said | Point::Acked => Sight::EndpointCrashAtAck,
            });
            self.crash_at = None;
            self.crashing = true;
        }
    }

    /// Somebody has dialled.
    pub(super) fn connect(&mut self, now: Time, id: ConnectionId) {
        let nonce = Nonce([u8::try_from(id.0 % 251).unwrap_or_default(); 20]);
        let server = ServerConnection::new(Arc::clone(&self.config), id, nonce, now);
        self.servers.insert(id, server);
    }

    /// Moves the bytes of one connection, and says whether there were any.
    pub(super) fn exchange(&mut self, stage: &mut Stage, id: ConnectionId) -> bool {
        let now = stage.now;
        let Some(link) = stage.links.get_mut(id) else {
            return false;
        };
        let mut moved = false;
        let mut out = BytesMut::new();
        while let Some(server) = self.servers.get_mut(&id) {
            if let Some(event) = server.poll_event() {
                self.hear(now, id, event);
            } else if link.down.takes_bytes() && server.poll_transmit(now, &mut out) {
                link.down.write(now, out.split().freeze());
            } else if server.is_closed() {
                link.down.finish(now, End::Eof);
                link.served = false;
                self.forget(now, id);
            } else if server.wants_input()
                && let Some(bytes) = link.up.read()
            {
                self.mail.hears(id, self.hub_config.limits.window);
                let _ = server.receive(now, &bytes);
            } else {
                match link.up.read_end() {
                    Some(End::Eof) => drop(server.receive_eof(now)),
                    Some(End::Reset) => server.transport_failed(now, "reset"),
                    None => break,
                }
            }
            moved = true;
        }
        moved
    }

    fn hear(&mut self, now: Time, id: ConnectionId, event: ServerEvent) {
        let Some(hub) = &mut self.hub else {
            return;
        };
        match event {
            ServerEvent::Login(request) => self.heard.push_back(Heard::Login(request)),
            ServerEvent::Bound { sender, .. } => {
                hub.login(now, id, &sender);
                self.heard.push_back(Heard::Bound(id));
            }
            ServerEvent::ReceiptAcked(_) => self.heard.push_back(Heard::ReceiptAcked),
            ServerEvent::Refused { reason, .. } => {
                let refused = Heard::Refused(id, reason.to_string());
                self.heard.push_back(refused);
            }
            event => {
                if let (ServerEvent::Acked(message), Some(sender)) = (&event, self.logins.get(&id))
                {
                    self.post.acked(sender, message, id);
                    self.heard.push_back(Heard::Acked(key_of(message)));
                }
                hub.handle(now, id, event);
            }
        }
    }

    /// Does what the hub asks for, and takes what it has to say. Says whether there was anything.
    pub(super) fn listen(&mut self, stage: &mut Stage) -> bool {
        let mut any = false;
        while let Some(hub) = &mut self.hub
            && !self.crashing
        {
            if let Some(event) = hub.poll_event() {
                self.hub_event(stage, event);
            } else if let Some(command) = hub.poll_command() {
                self.obey(stage, command);
            } else {
                break;
            }
            any = true;
        }
        any
    }

    /// The next thing it has to say.
    pub(super) fn poll(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    fn hub_event(&mut self, stage: &mut Stage, event: HubEvent) {
        stage.note(|| format!("hub: {event:?}"));
        let findings = &stage.findings;
        match event {
            HubEvent::Downstream(arrival) => {
                self.mail.arrives(&arrival.sender, &arrival.message_id);
                self.heard.push_back(Heard::Message(arrival));
            }
            HubEvent::SentAgain {
                connection,
                message_id,
            } => {
                findings.see(Sight::AckInDoubt);
                if let Some(sender) = self.logins.get(&connection) {
                    self.mail.is_known(sender, &message_id);
                }
            }
            HubEvent::Kept(copy) => self.mail.waits(&copy),
            HubEvent::Discarded(copy, why) => self.mail.discarded(&copy, why),
            HubEvent::Accepted { sender, message } => self.post.accepted(&sender, &message),
            HubEvent::NotStored { sender, message } => {
                self.post.not_stored(&sender, &message);
                self.heard.push_back(Heard::ComesBack);
            }
            HubEvent::UpstreamExpired { sender, message } => self.post.expired(&sender, &message),
            HubEvent::TooManyConnections { .. } => findings.see(Sight::TooManyConnections),
            _ => {}
        }
    }

    fn forget(&mut self, now: Time, id: ConnectionId) {
        let Some(mut server) = self.servers.remove(&id) else {
            return;
        };
        let unconfirmed = server.take_unconfirmed();
        if let Some(sender) = self.logins.remove(&id) {
            let in_order = server.end() == Some(Ok(()));
            self.mail.ends(id, &sender, in_order);
            if let Some(hub) = &mut self.hub {
                for receipt in server.take_unsent_receipts() {
                    hub.receipt_failed(&sender, id, receipt);
                }
            }
        }
        self.post.ends(id);
        if let Some(hub) = &mut self.hub {
            hub.closed(now, id, unconfirmed);
        }
    }

    /// What devices sent to this sender and is not done with.
    pub(super) fn unacked(&self, to: &SenderId) -> impl Iterator<Item = &Upstream> {
        self.post.unacked(to)
    }

    /// Nothing waits for a device or for its store.
    pub(super) fn is_idle(&self) -> bool {
        let kept = self.hub.as_ref().map(Hub::kept);
        kept == Some(0) && !self.closing
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        for server in self.servers.values_mut() {
            if server.poll_timeout().is_some_and(|due| due <= now) {
                server.handle_timeout(now);
            }
        }
        if let Some(hub) = &mut self.hub
            && hub.poll_timeout().is_some_and(|due| due <= now)
        {
            hub.handle_timeout(now);
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        let servers = self.servers.values();
        let servers = servers.filter_map(ServerConnection::poll_timeout);
        let hub = self.hub.as_ref().and_then(Hub::poll_timeout);
        servers.chain(hub).chain(self.store.next_due()).min()
    }

    /// When its store has done all that it was asked for.
    pub(super) fn last_due(&self) -> Time {
        self.store.last_due()
    }
}
