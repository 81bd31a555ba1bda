//! Between the app server's connections and the phones: does what the hub asks for, and keeps what it has stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use ccs_tokio::proto::hub::{
    Acceptance, Arrival, Command, Device, Hub, HubConfig, HubEvent, Reach, Record, StoreId,
};
use ccs_tokio::proto::message::{NackCode, Target};
use ccs_tokio::proto::{ConnectionId, SenderId, Time};
use ccs_tokio::{CarriedOut, Peer, Peers, RegistrationToken, ServerEvent, Upstream};

use super::faults::{Fate, Faults};
use super::phones::Phones;

/// The endpoint without its sockets.
pub struct Exchange {
    sender: SenderId,
    hub: Hub,
    peers: Peers,
    draining: BTreeSet<ConnectionId>,
    /// What is put off: with a number, so that what was put off first comes first.
    later: BTreeMap<(Time, u64), Later>,
    put_off: u64,
    /// Records that outlive the hub, as on a disk.
    store: BTreeMap<StoreId, Record>,
    unreachable: BTreeSet<RegistrationToken>,
    pub faults: Faults,
    pub phones: Phones,
}

enum Later {
    Accept(Arrival),
    Redeliver(Upstream),
}

impl Exchange {
    pub fn new(sender: SenderId) -> Self {
        Self {
            sender,
            hub: new_hub(Time::ZERO),
            peers: Peers::new(),
            draining: BTreeSet::new(),
            later: BTreeMap::new(),
            put_off: 0,
            store: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            faults: Faults::default(),
            phones: Phones::default(),
        }
    }

    pub fn login(&mut self, now: Time, peer: Peer) {
        let id = peer.id();
        self.peers.insert(peer);
        self.hub.login(now, id, &self.sender);
    }

    pub fn handle(&mut self, now: Time, id: ConnectionId, event: ServerEvent) {
        match event {
            ServerEvent::Closed(_) => {
                self.draining.remove(&id);
                // A connection of the endpoint before a restart is not known any more.
                self.peers.closed(&mut self.hub, now, id);
            }
            ServerEvent::ReceiptAcked(_) => self.phones.receipts_acked += 1,
            other => self.hub.handle(now, id, other),
        }
    }

    /// When something here has its time.
    pub fn next_due(&self) -> Option<Time> {
        let later = self.later.keys().next().map(|(due, _)| *due);
        self.hub.poll_timeout().into_iter().chain(later).min()
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Time) {
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now
        {
            match entry.remove() {
                Later::Accept(arrival) => self.accept(now, &arrival),
                // One that waits for its second ack comes again as it is.
                Later::Redeliver(message) => drop(self.hub.submit(now, &self.sender, message)),
            }
        }
        self.hub.handle_timeout(now);
    }

    /// A phone sends.
    pub fn submit(&mut self, now: Time, message: Upstream) -> anyhow::Result<()> {
        Ok(self.hub.submit(now, &self.sender, message)?)
    }

    /// Messages of phones that are not acked.
    pub fn unacked(&self) -> usize {
        self.hub.unacked()
    }

    /// Messages that wait for a phone.
    pub fn kept(&self) -> usize {
        self.hub.kept()
    }

    pub fn set_reach(&mut self, now: Time, phone: &str, reach: Reach) {
        let token = RegistrationToken::from(phone);
        match reach {
            Reach::Online => self.unreachable.remove(&token),
            _ => self.unreachable.insert(token.clone()),
        };
        let device = Device::new(self.sender.clone(), token);
        self.hub.reach(now, &device, reach);
    }

    /// Says on every connection that it will be closed.
    pub fn drain(&mut self, now: Time) {
        let all: Vec<_> = self.hub.connections().collect();
        for id in all {
            // One that drains already goes on with it.
            let _ = self.hub.drain(now, id);
        }
    }

    /// Cuts every connection.
    pub fn cut(&mut self) {
        for id in self.hub.connections() {
            self.peers.get(id).into_iter().for_each(Peer::cut);
        }
    }

    pub fn connections(&self) -> usize {
        self.hub.connections().count()
    }

    /// There is one connection, and it does not drain.
    pub fn is_ready(&self) -> bool {
        self.connections() == 1 && self.draining.is_empty()
    }

    /// Answers what was held back.
    pub fn release(&mut self, now: Time) {
        for arrival in self.faults.let_go() {
            self.accept(now, &arrival);
        }
    }

    /// The endpoint is gone with all that it had in memory, and another one begins with what was stored. Gives how many
    /// records that were.
    pub fn restart(&mut self, now: Time) -> usize {
        self.cut();
        let _ = self.faults.let_go();
        self.peers = Peers::new();
        self.draining.clear();
        // What is put off was in memory, too: it comes again, or was acked.
        self.later.clear();
        self.hub = new_hub(now);
        for (id, record) in &self.store {
            self.hub.restore(now, *id, record.clone());
        }
        let waited: BTreeSet<_> = self.store.values().flat_map(devices_of).collect();
        for token in waited.difference(&self.unreachable) {
            let device = Device::new(self.sender.clone(), token.clone());
            self.hub.reach(now, &device, Reach::Online);
        }
        self.store.len()
    }

    /// Does what the hub asks for, and hears what it tells, until there is nothing more.
    pub fn settle(&mut self, now: Time) {
        loop {
            if let Some(command) = self.hub.poll_command() {
                let done = self.peers.carry_out(&mut self.hub, command);
                if let CarriedOut::NotHere(command) = done {
                    self.keep_or_deliver(now, *command);
                }
            } else if let Some(event) = self.hub.poll_event() {
                self.hear(now, event);
            } else {
                return;
            }
        }
    }

    fn keep_or_deliver(&mut self, now: Time, command: Command) {
        match command {
            Command::Store { id, record } => {
                self.store.insert(id, record);
                self.hub.stored(now, id);
            }
            Command::Forget(id) => {
                self.store.remove(&id);
            }
            Command::Deliver {
                delivery,
                device,
                message_id,
                message,
            } => {
                self.phones.receive(&device.token, &message_id, &message);
                self.hub.delivered(now, delivery, milliseconds());
            }
            _ => {}
        }
    }

    fn hear(&mut self, now: Time, event: HubEvent) {
        match event {
            HubEvent::Downstream(arrival) => self.decide(now, arrival),
            HubEvent::ReceiptSent { .. } => self.phones.receipts_sent += 1,
            HubEvent::Draining(connection) => {
                self.draining.insert(connection);
            }
            HubEvent::UpstreamAcked { message, .. } => {
                let id = message.message_id().to_string();
                let acks = self.phones.acked.entry(id).or_default();
                *acks += 1;
                if let Some(after) = self.faults.redelivery(&message, *acks) {
                    self.put_off(now + after, Later::Redeliver(message));
                }
            }
            _ => {}
        }
    }

    fn decide(&mut self, now: Time, arrival: Arrival) {
        let Target::Token(token) = arrival.message.target() else {
            return;
        };
        let id = arrival.id;
        match self.faults.fate(token) {
            Fate::Accept => self.accept(now, &arrival),
            Fate::Hold => self.faults.keep(arrival),
            Fate::Late(after) => self.put_off(now + after, Later::Accept(arrival)),
            Fate::Silence => self.hub.pass_over(id),
            Fate::Cut => {
                self.hub.pass_over(id);
                let peer = self.peers.get(id.connection());
                peer.into_iter().for_each(Peer::cut);
            }
            Fate::Refuse(code) => {
                if code == NackCode::BadRegistration {
                    self.phones.refused += 1;
                }
                // Of one whose connection is gone nothing is left to refuse.
                let _ = self.hub.refuse(id, code, "");
            }
        }
    }

    fn accept(&mut self, now: Time, arrival: &Arrival) {
        let Target::Token(token) = arrival.message.target() else {
            return;
        };
        let reach = match self.unreachable.contains(token) {
            true => Reach::Offline,
            false => Reach::Online,
        };
        let acceptance = Acceptance::new([(token.clone(), reach)]);
        // One whose connection is gone comes again.
        let _ = self.hub.accept(now, arrival.id, acceptance);
    }

    fn put_off(&mut self, due: Time, later: Later) {
        self.put_off += 1;
        self.later.insert((due, self.put_off), later);
    }
}

fn new_hub(now: Time) -> Hub {
    let mut config = HubConfig::default();
    // The app servers here take what comes at once.
    config.greeting = std::time::Duration::ZERO;
    Hub::new(config, now)
}

fn devices_of(record: &Record) -> Vec<RegistrationToken> {
    match record {
        Record::Downstream { devices, .. } => devices.to_vec(),
        _ => Vec::new(),
    }
}

/// Since the Unix epoch.
fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let milliseconds = since.map_or(0, |since| since.as_millis());
    u64::try_from(milliseconds).unwrap_or(u64::MAX)
}
