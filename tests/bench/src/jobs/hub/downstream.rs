//! From app servers to devices.

use std::fmt::Write as _;

use crate::job::Job;
use crate::login::{NOW, client_config, pair};
use bytes::BytesMut;
use ccs_proto::hub::{Acceptance, Command, Device, Hub, HubEvent, Reach};
use ccs_proto::message::{RegistrationToken, SenderId};
use ccs_proto::{AnswerToken, ServerConnection, ServerEvent};

use super::{BATCH, hub, log_in, sender};

/// Whom the messages that are measured are for.
#[derive(Clone, Copy, PartialEq)]
pub enum To {
    /// Devices that get them at once.
    Online,
    /// Devices that get them later.
    Offline,
    /// The one device for which all others wait, each in place of the one before, as they have the same collapse key.
    SameDevice,
}

/// Messages come by one connection, and go to devices.
pub struct Downwards {
    hub: Hub,
    sender: SenderId,
    server: ServerConnection,
    to: To,
    next: usize,
    /// What the connection has read for the next run.
    new: Vec<ServerEvent>,
    tokens: Vec<AnswerToken>,
}

impl Downwards {
    /// So many wait for devices that are offline.
    pub fn kept(messages: usize, to: To) -> Self {
        let mut job = Self::new(hub(messages), 1, to);
        while job.hub.kept() < messages {
            job.read(BATCH.min(messages - job.hub.kept()), "");
            for event in std::mem::take(&mut job.new) {
                job.take(event, Reach::Offline);
            }
        }
        job.tidy();
        job
    }

    /// So many connections are there.
    pub fn connected(connections: usize) -> Self {
        let mut job = Self::new(hub(0), connections, To::Online);
        job.tidy();
        job
    }

    fn new(mut hub: Hub, connections: usize, to: To) -> Self {
        let (_, server) = pair(client_config());
        let sender = sender(0);
        let own = server.id().0;
        log_in(&mut hub, &sender, own..own + connections as u64);
        Self {
            hub,
            sender,
            server,
            to,
            next: 0,
            new: Vec::new(),
            tokens: Vec::new(),
        }
    }

    fn read(&mut self, count: usize, options: &str) {
        let mut stanzas = String::new();
        for _ in 0..count {
            self.next += 1;
            let number = self.next;
            let device = match self.to {
                To::Online | To::Offline => number,
                To::SameDevice => 0,
            };
            let _ = write!(
                stanzas,
                "<message><gcm xmlns=\"google:mobile:data\">{{\"to\":\"DEVICE-{device}\",\
                 \"message_id\":\"m-{number}\",{options}\"data\":{{\"hello\":\"world\"}}}}</gcm></message>"
            );
        }
        let read = self.server.receive(NOW, stanzas.as_bytes());
        read.expect("in order");
        self.new
            .extend(std::iter::from_fn(|| self.server.poll_event()));
        assert_eq!(self.new.len(), count);
    }

    /// Takes a message over, and says whom it is for.
    fn take(&mut self, event: ServerEvent, reach: Reach) -> RegistrationToken {
        self.hub.handle(NOW, self.server.id(), event);
        let Some(HubEvent::Downstream(arrival)) = self.hub.poll_event() else {
            panic!("it is to be decided on");
        };
        let device = RegistrationToken::from(arrival.message.target().as_str());
        let acceptance = Acceptance::new([(device.clone(), reach)]);
        let accepted = self.hub.accept(NOW, arrival.id, acceptance);
        accepted.expect("it is there");
        self.obey();
        device
    }

    /// Says how many messages devices got.
    fn obey(&mut self) -> usize {
        let mut delivered = 0;
        while let Some(command) = self.hub.poll_command() {
            match command {
                Command::Store { id, .. } => self.hub.stored(NOW, id),
                Command::Ack { token, .. } => self.tokens.push(token),
                Command::Deliver { delivery, .. } => {
                    self.hub.delivered(NOW, delivery, 0);
                    delivered += 1;
                }
                Command::Forget(_) => {}
                other => panic!("{other:?}"),
            }
        }
        while self.hub.poll_event().is_some() {}
        delivered
    }
}

impl Job for Downwards {
    fn run(&mut self) -> usize {
        for event in std::mem::take(&mut self.new) {
            match self.to {
                To::Online => {
                    self.take(event, Reach::Online);
                }
                To::Offline => {
                    let token = self.take(event, Reach::Offline);
                    let device = Device::new(self.sender.clone(), token);
                    self.hub.reach(NOW, &device, Reach::Online);
                    assert_eq!(self.obey(), 1);
                }
                To::SameDevice => {
                    self.take(event, Reach::Offline);
                }
            }
        }
        self.hub.kept()
    }

    fn tidy(&mut self) {
        for token in self.tokens.drain(..) {
            self.server.ack(token, None).expect("its own");
        }
        let mut out = BytesMut::new();
        while self.server.poll_transmit(NOW, &mut out) {
            out.clear();
        }
        let options = match self.to {
            To::Online | To::Offline => "",
            To::SameDevice => "\"collapse_key\":\"news\",",
        };
        self.read(BATCH, options);
    }
}
