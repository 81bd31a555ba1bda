//! App servers whose connections break, and that come back with what they know or with nothing: whatever is acked is
//! delivered, and nothing twice (`docs/protocol.md` §12 #48).

use std::collections::BTreeMap;

use ccs_proto::message::Downstream;
use proptest::prelude::*;
use proptest::sample::select;

use crate::link::Wire;
use crate::world::World;

/// Small, so that it is full now and then.
const WINDOW: usize = 5;

#[derive(Debug, Clone, Copy)]
enum Act {
    Send,
    /// From here on what the endpoint writes on this connection is lost: what comes crosses its acks.
    LoseAcks,
    /// From here on nothing moves on this connection.
    Stall,
    /// The connection breaks, and the app server sends again what has no answer.
    Reconnect,
    /// The app server is killed and knows nothing any more: it starts its ids anew.
    StartAnew,
}

struct AppServer {
    world: World,
    connection: u64,
    /// The last id, and the last message that there was in any life.
    id: u64,
    number: u64,
    /// What has no answer, by id.
    unanswered: BTreeMap<u64, u64>,
    acked: Vec<u64>,
}

impl AppServer {
    fn new() -> Self {
        let mut world = World::with(|config| config.limits.window = WINDOW);
        let connection = world.log_in();
        Self {
            world,
            connection,
            id: 0,
            number: 0,
            unanswered: BTreeMap::new(),
            acked: Vec::new(),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Send if self.unanswered.len() < WINDOW => {
                self.id += 1;
                self.number += 1;
                self.unanswered.insert(self.id, self.number);
                self.send(self.id, self.number);
            }
            Act::Send => {}
            Act::LoseAcks => self.world.lose_downwards(self.connection),
            Act::Stall => self.world.link(self.connection).wire = Wire::Dead,
            Act::Reconnect => {
                self.reconnect();
                for (id, number) in self.unanswered.clone() {
                    self.send(id, number);
                }
            }
            Act::StartAnew => {
                self.unanswered.clear();
                self.id = 0;
                self.reconnect();
            }
        }
    }

    fn reconnect(&mut self) {
        self.world.cut(self.connection);
        self.connection = self.world.log_in();
    }

    /// Each number has a device of its own, by which it is known there.
    fn send(&mut self, id: u64, number: u64) {
        let message = Downstream::to(format!("phone-{number}").as_str());
        let id = id.to_string();
        self.world.send_message(self.connection, &id, message);
        for answer in self.world.answers() {
            let acked = answer.strip_suffix(" acked").expect("nothing is refused");
            let number = self.unanswered.remove(&acked.parse().unwrap());
            self.acked.push(number.expect("it had no answer"));
        }
    }

    fn check(&self) {
        let mut delivered = BTreeMap::<u64, u32>::new();
        for word in &self.world.got {
            let (device, _) = word.split_once(':').unwrap();
            let number = device.strip_prefix("phone-").unwrap().parse().unwrap();
            *delivered.entry(number).or_default() += 1;
        }
        for number in &self.acked {
            assert!(
                delivered.contains_key(number),
                "{number} is acked and not delivered"
            );
        }
        for (number, count) in delivered {
            assert_eq!(count, 1, "{number} is delivered {count} times");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_acked_is_delivered_and_nothing_twice(
        acts in prop::collection::vec(
            prop_oneof![
                6 => Just(Act::Send),
                4 => select(vec![Act::LoseAcks, Act::Stall, Act::Reconnect, Act::StartAnew]),
            ],
            0..60,
        )
    ) {
        let mut app_server = AppServer::new();
        for act in acts {
            app_server.act(act);
        }
        app_server.act(Act::Reconnect);
        app_server.check();
    }
}
