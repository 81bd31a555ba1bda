//! What app servers, devices, the store and the endpoint's owner do.

use ccs_proto::hub::{Acceptance, Device, Reach};
use ccs_proto::message::{Downstream, SenderId, Upstream};
use ccs_proto::{ClientConfig, ConnectionId};
use ccs_tests::pair::{KEY, SENDER};

use crate::link::{Link, Wire};
use crate::world::{InHand, World};

impl World {
    // Connections.

    /// An app server connects and waits until it may get something.
    pub fn log_in(&mut self) -> u64 {
        self.log_in_as(SENDER)
    }

    pub fn log_in_as(&mut self, sender: &str) -> u64 {
        let connection = self.connect_as(sender);
        self.advance(self.config.greeting);
        connection
    }

    /// An app server connects. No time passes.
    pub fn connect_as(&mut self, sender: &str) -> u64 {
        let connection = self.dial_as(sender);
        self.drive();
        connection
    }

    /// An app server begins to connect.
    pub fn dial_as(&mut self, sender: &str) -> u64 {
        self.next += 1;
        let client = ClientConfig::new(sender.parse().unwrap(), KEY.into());
        let id = ConnectionId(self.next);
        let link = Link::new(self.now, id, client, self.server.clone());
        self.links.insert(self.next, link);
        self.next
    }

    pub fn link(&mut self, connection: u64) -> &mut Link {
        self.links.get_mut(&connection).unwrap()
    }

    /// The connection breaks, with whatever is on its way.
    pub fn cut(&mut self, connection: u64) {
        let now = self.now;
        self.link(connection).cut(now);
        self.drive();
    }

    pub fn lose_downwards(&mut self, connection: u64) {
        self.link(connection).wire = Wire::DownwardsLost;
    }

    pub fn drain(&mut self, connection: u64) -> bool {
        let drains = self.hub.drain(self.now, ConnectionId(connection));
        self.drive();
        drains
    }

    pub fn drain_all(&mut self) {
        self.hub.drain_all(self.now);
        self.drive();
    }

    // From devices.

    pub fn submit(&mut self, id: &str) {
        self.submit_message(Upstream::new("phone-1", id));
    }

    pub fn submit_all(&mut self, ids: &[&str]) {
        for id in ids {
            self.submit(id);
        }
    }

    pub fn submit_message(&mut self, message: Upstream) {
        self.submit_for(SENDER, message);
    }

    pub fn submit_for(&mut self, sender: &str, message: Upstream) {
        let sender: SenderId = sender.parse().unwrap();
        self.hub.submit(self.now, &sender, message).unwrap();
        self.drive();
    }

    /// The app server acks what it got first under this id by this connection.
    pub fn ack(&mut self, connection: u64, id: &str) {
        let is = |held: &InHand| held.connection == connection && held.id == id;
        let at = self.in_hand.iter().position(is).expect("it has it");
        let held = self.in_hand.remove(at);
        self.link(connection).client.ack(held.token).unwrap();
        self.drive();
    }

    pub fn ack_all(&mut self) {
        while let Some(held) = self.in_hand.first() {
            let (connection, id) = (held.connection, held.id.clone());
            self.ack(connection, &id);
        }
    }

    /// What app servers have and have not acked, as `connection:id`.
    pub fn in_hand(&self) -> Vec<String> {
        let word = |held: &InHand| format!("{}:{}", held.connection, held.id);
        self.in_hand.iter().map(word).collect()
    }

    // To devices.

    pub fn send(&mut self, connection: u64, id: &str) {
        self.send_message(connection, id, Downstream::to("phone-1"));
    }

    /// An app server sends this message, under this id.
    pub fn send_message(&mut self, connection: u64, id: &str, message: Downstream) {
        let encoded = message.encode(id).unwrap();
        let client = &mut self.link(connection).client;
        client.reserve().unwrap().send(encoded).unwrap();
        self.drive();
    }

    /// Accepts the first message that waits for a decision, for this device.
    pub fn accept(&mut self, device: &str) {
        let arrival = self.arrivals.remove(0);
        let reach = self.reach_of(device);
        let acceptance = Acceptance::new([(device.into(), reach)]);
        self.hub.accept(self.now, arrival.id, acceptance).unwrap();
        self.drive();
    }

    pub fn set_reach(&mut self, device: &str, reach: Reach) {
        self.reach.insert(device.to_owned(), reach);
        let device = Device::new(SENDER.parse().unwrap(), device.into());
        self.hub.reach(self.now, &device, reach);
        self.drive();
    }

    pub fn reach_of(&self, device: &str) -> Reach {
        self.reach.get(device).copied().unwrap_or(Reach::Online)
    }

    /// A device confirms what it was given, or gives it back.
    pub fn answer(&mut self, word: &str, delivered: bool) {
        let at = self.given.iter().position(|given| given.word == word);
        let given = self.given.remove(at.expect("it was given it"));
        if delivered {
            self.got.push(given.word);
            self.hub.delivered(self.now, given.delivery, 1);
        } else {
            self.hub.not_delivered(self.now, given.delivery);
        }
        self.drive();
    }

    pub fn given(&self) -> Vec<&str> {
        self.given.iter().map(|given| &*given.word).collect()
    }

    /// The store answers for the oldest record that it was asked to keep.
    pub fn stored(&mut self) {
        let id = self.asked.remove(0);
        self.hub.stored(self.now, id);
        self.drive();
    }

    /// Takes what became of the messages of app servers.
    pub fn answers(&mut self) -> Vec<String> {
        std::mem::take(&mut self.answers)
    }

    /// Takes what the hub told.
    pub fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }
}
