//! From devices to app servers.

use std::collections::VecDeque;

use crate::job::Job;
use crate::login::NOW;
use ccs_proto::hub::{Command, Hub};
use ccs_proto::message::Upstream;
use ccs_proto::{ConnectionId, ServerEvent};

use super::{BATCH, hub, log_in, sender};

/// Each message that comes lets the oldest one on a connection be acked, and so the next that waits go out.
pub struct Upwards {
    hub: Hub,
    senders: usize,
    next: usize,
    /// To be submitted in the next run.
    new: Vec<Upstream>,
    /// What connections have, the oldest first.
    in_flight: VecDeque<(ConnectionId, Upstream)>,
}

impl Upwards {
    /// So many wait for a place on the one connection.
    pub fn waiting(queued: usize) -> Self {
        let mut job = Self::new(hub(queued), 1, 1);
        job.submit(BATCH + queued);
        job.tidy();
        job
    }

    /// So many connections of each of so many senders, and nothing waits.
    pub fn connected(connections: usize, senders: usize) -> Self {
        let mut job = Self::new(hub(0), connections, senders);
        job.submit(1);
        job.tidy();
        job
    }

    fn new(mut hub: Hub, connections: usize, senders: usize) -> Self {
        let mut next = 0;
        for number in 0..senders {
            let end = next + connections as u64;
            log_in(&mut hub, &sender(number), next..end);
            next = end;
        }
        Self {
            hub,
            senders,
            next: 0,
            new: Vec::new(),
            in_flight: VecDeque::new(),
        }
    }

    fn submit(&mut self, count: usize) {
        self.make(count);
        for message in std::mem::take(&mut self.new) {
            self.take(message);
        }
    }

    fn make(&mut self, count: usize) {
        for _ in 0..count {
            self.next += 1;
            let device = format!("DEVICE-{}", self.next % 1_000);
            let id = format!("m-{:012}", self.next);
            let message = Upstream::new(device.as_str(), id.as_str());
            self.new.push(message);
        }
    }

    fn take(&mut self, message: Upstream) {
        let to = sender(self.next % self.senders);
        self.hub.submit(NOW, &to, message).expect("room");
        self.obey();
    }

    fn obey(&mut self) {
        while let Some(command) = self.hub.poll_command() {
            match command {
                Command::Store { id, .. } => self.hub.stored(NOW, id),
                Command::Send {
                    connection,
                    message,
                } => self.in_flight.push_back((connection, message)),
                Command::Forget(_) => {}
                other => panic!("{other:?}"),
            }
        }
        while self.hub.poll_event().is_some() {}
    }
}

impl Job for Upwards {
    fn run(&mut self) -> usize {
        for message in std::mem::take(&mut self.new) {
            self.next += 1;
            self.take(message);
            let (connection, oldest) = self.in_flight.pop_front().expect("one is sent");
            let acked = ServerEvent::Acked(oldest);
            self.hub.handle(NOW, connection, acked);
            self.obey();
        }
        self.hub.unacked()
    }

    fn tidy(&mut self) {
        self.make(BATCH);
    }
}
