//! Between the app servers and the simulated devices: everything that happens goes through here, one thing at a time.

mod carry_out;
mod decide;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use ccs_tokio::proto::hub::{Arrival, Device, Hub, HubConfig, Reach, SenderLimits};
use ccs_tokio::proto::message::{MessageId, RegistrationToken};
use ccs_tokio::proto::{ConnectionId, SenderId, Time};
use ccs_tokio::{Peer, Peers, ServerEvent, Upstream};

use super::accounts::Accounts;
use super::command::Command;
use super::counts::Counts;
use super::devices::{Acked, Devices};
use super::event::Event;
use super::scenario::{Answer, Scenario};

pub struct Exchange {
    hub: Hub,
    peers: Peers,
    accounts: Arc<Accounts>,
    devices: Devices,
    scenario: Option<Scenario>,
    /// What a scenario puts off: with a number, so that what was put off first comes first.
    later: BTreeMap<(Time, u64), Later>,
    put_off: u64,
    /// Messages that are not acked just once, until they are.
    acked: BTreeMap<(ConnectionId, MessageId), Acked>,
    /// What comes once more although it was acked: the ack of such a copy is the last.
    redelivered: BTreeSet<(SenderId, RegistrationToken, MessageId)>,
    events: Vec<Event>,
    counts: Counts,
}

/// Something that a scenario puts off.
enum Later {
    Answer(Arrival, Option<Answer>),
    Redeliver(SenderId, Upstream),
}

impl Exchange {
    pub fn new(
        now: Time,
        limits: SenderLimits,
        accounts: Arc<Accounts>,
        devices: Devices,
        scenario: Option<Scenario>,
    ) -> Self {
        let mut config = HubConfig::default();
        config.limits = limits;
        let mut hub = Hub::new(config, now);
        for (sender, limits) in accounts.limits() {
            hub.set_limits(sender, limits);
        }
        Self {
            hub,
            peers: Peers::new(),
            accounts,
            devices,
            scenario,
            later: BTreeMap::new(),
            put_off: 0,
            acked: BTreeMap::new(),
            redelivered: BTreeSet::new(),
            events: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// What is to be printed.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub fn report(&mut self, event: Event) {
        self.counts.note(&event);
        self.events.push(event);
    }

    pub fn error(&mut self, line: Option<u64>, error: impl Into<String>) {
        let error = error.into();
        self.report(Event::Error { line, error });
    }

    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Messages from devices that nobody has acked.
    pub fn unacked(&self) -> usize {
        self.hub.unacked()
    }

    /// An id for a message that has none.
    pub fn next_id(&mut self) -> String {
        self.devices.next_id()
    }

    /// How often each thing happened.
    pub fn report_counts(&mut self) {
        self.events.push(Event::Counts(self.counts.clone()));
    }

    /// When something here has its time.
    pub fn next_due(&self) -> Option<Time> {
        let scenario = self.scenario.as_ref();
        let later = self.later.keys().next().map(|(due, _)| *due);
        let at = scenario.and_then(Scenario::next_due);
        [self.hub.poll_timeout(), later, at]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the scenario is over.
    pub fn end(&self) -> Option<Time> {
        self.scenario.as_ref().and_then(Scenario::end)
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Time) {
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now
        {
            match entry.remove() {
                Later::Answer(arrival, answer) => self.answer(now, &arrival, answer),
                Later::Redeliver(sender, message) => self.submit(now, None, &sender, message),
            }
        }
        while let Some(line) = self
            .scenario
            .as_mut()
            .and_then(|scenario| scenario.take_due(now))
        {
            // It was read when the scenario was.
            if let Ok(command) = Command::parse(&line, || self.devices.next_id()) {
                self.command(now, None, command);
            }
        }
        self.hub.handle_timeout(now);
        self.settle(now);
    }

    pub fn login(&mut self, now: Time, address: SocketAddr, peer: Peer) {
        let (id, sender) = (peer.id(), peer.sender().clone());
        self.report(Event::Login {
            connection: id.0,
            addr: address.to_string(),
            sender: sender.to_string(),
            jid: peer.jid().to_owned(),
        });
        if let Some(scenario) = &mut self.scenario {
            scenario.login(now);
        }
        self.peers.insert(peer);
        self.hub.login(now, id, &sender);
        self.settle(now);
    }

    pub fn handle(&mut self, now: Time, id: ConnectionId, event: ServerEvent) {
        let connection = id.0;
        match event {
            ServerEvent::Closed(end) => {
                let Some(peer) = self.peers.closed(&mut self.hub, now, id) else {
                    return;
                };
                self.report(Event::Closed {
                    connection,
                    unacked: peer.take_unacked().len(),
                    error: end.err().map(|error| error.to_string()),
                });
                self.acked.retain(|(on, _), _| *on != id);
            }
            ServerEvent::ReceiptAcked(receipt) => self.report(Event::ReceiptAcked {
                connection,
                message_id: receipt.message_id().to_string(),
            }),
            ServerEvent::Refused { message_id, reason } => self.report(Event::Invalid {
                connection,
                message_id: message_id.map(|id| id.to_string()),
                reason,
            }),
            ServerEvent::Ignored(habit) => self.report(Event::ignored(connection, &habit)),
            ServerEvent::Fault(habit) => self.report(Event::fault(connection, &habit)),
            ServerEvent::AckOverdue { from, message_id } => self.report(Event::UpstreamOverdue {
                connection,
                from: from.to_string(),
                message_id: message_id.to_string(),
            }),
            other => self.hub.handle(now, id, other),
        }
        self.settle(now);
    }

    /// Does what a line of stdin asks for.
    pub fn command(&mut self, now: Time, line: Option<u64>, command: Command) {
        match command {
            Command::Upstream(sender, message) => match self.accounts.named(sender) {
                Ok(sender) => self.submit(now, line, &sender, message),
                Err(why) => self.error(line, why),
            },
            Command::Reach(device, reach) => self.set_reach(now, &device, reach),
            Command::Drain(which) => match self.chosen(which) {
                Ok(ids) => ids.into_iter().for_each(|id| self.drain(now, id)),
                Err(why) => self.error(line, why),
            },
            Command::Drop(which) => match self.chosen(which) {
                Ok(ids) => ids.into_iter().for_each(|id| self.cut(id)),
                Err(why) => self.error(line, why),
            },
        }
        self.settle(now);
    }

    /// Drains every connection, those too that are about to log in.
    pub fn shut_down(&mut self, now: Time) {
        self.hub.drain_all(now);
        self.settle(now);
    }

    fn set_reach(&mut self, now: Time, device: &RegistrationToken, reach: Reach) {
        self.report(Event::Device {
            device: device.to_string(),
            state: reach.as_str(),
        });
        self.devices.set(device, reach);
        for sender in self.accounts.senders() {
            let device = Device::new(sender.clone(), device.clone());
            self.hub.reach(now, &device, reach);
        }
    }

    /// One connection, or all.
    fn chosen(&self, which: Option<u64>) -> Result<Vec<ConnectionId>, String> {
        match which.map(ConnectionId) {
            None => Ok(self.hub.connections().collect()),
            Some(id) if self.peers.get(id).is_some() => Ok(vec![id]),
            Some(id) => Err(format!("there is no connection {}", id.0)),
        }
    }

    fn drain(&mut self, now: Time, id: ConnectionId) {
        // One that drains already goes on with it.
        let _ = self.hub.drain(now, id);
    }

    fn cut(&self, id: ConnectionId) {
        if let Some(peer) = self.peers.get(id) {
            peer.cut();
        }
    }

    fn submit(&mut self, now: Time, line: Option<u64>, sender: &SenderId, message: Upstream) {
        if let Err(why) = self.hub.submit(now, sender, message) {
            self.error(line, why.to_string());
        }
    }
}
