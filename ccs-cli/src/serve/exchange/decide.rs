//! Decides on the messages of app servers: as a scenario says, else as their devices do.

use ccs_tokio::Upstream;
use ccs_tokio::proto::hub::Arrival;
use ccs_tokio::proto::message::Target;
use ccs_tokio::proto::{ConnectionId, Time};

use super::{Exchange, Later};
use crate::serve::devices::{Acked, Decision};
use crate::serve::event::{Event, Shown};
use crate::serve::scenario::Answer;

impl Exchange {
    pub(super) fn decide(&mut self, now: Time, arrival: Arrival) {
        self.report(Event::Downstream {
            connection: arrival.id.connection().0,
            message: Box::new(Shown::new(arrival.message_id.as_str(), &arrival.message)),
        });
        let fate = match (&mut self.scenario, arrival.message.target()) {
            (Some(scenario), Target::Token(token)) => scenario.fate(now, token),
            _ => None,
        };
        match fate {
            Some(fate) if fate.delay.is_zero() => self.answer(now, &arrival, fate.answer),
            Some(fate) => self.put_off(now + fate.delay, Later::Answer(arrival, fate.answer)),
            None => self.answer(now, &arrival, None),
        }
    }

    fn put_off(&mut self, due: Time, later: Later) {
        self.put_off += 1;
        self.later.insert((due, self.put_off), later);
    }

    /// Answers a message: as a scenario says, else as its device does.
    pub(super) fn answer(&mut self, now: Time, arrival: &Arrival, answer: Option<Answer>) {
        let (devices, message) = (&mut self.devices, &arrival.message);
        let decision = match answer {
            None => devices.decide(&arrival.message_id, message),
            Some(Answer::Ack) => devices.accept(message, Acked::Once),
            Some(Answer::AckTwice) => devices.accept(message, Acked::Twice),
            Some(Answer::Drain) => devices.accept(message, Acked::ThenDrains),
            Some(Answer::Silence) => Decision::Silence,
            Some(Answer::Cut) => Decision::Cut,
            Some(Answer::Nack(code)) => Decision::Refuse(code, String::new()),
        };
        let id = arrival.id;
        // Of one whose connection is gone nothing is left to decide.
        match decision {
            Decision::Accept(acceptance, acked) => {
                let accepted = self.hub.accept(now, id, acceptance);
                if accepted.is_ok() && acked != Acked::Once {
                    let key = (id.connection(), arrival.message_id.clone());
                    self.acked.insert(key, acked);
                }
            }
            Decision::Refuse(code, why) => drop(self.hub.refuse(id, code, why)),
            Decision::Silence => self.hub.pass_over(id),
            Decision::Cut => {
                self.hub.pass_over(id);
                self.cut(id.connection());
            }
        }
    }

    /// A scenario may have a message come again, as if its ack had been lost.
    pub(super) fn redeliver(&mut self, now: Time, connection: ConnectionId, message: Upstream) {
        let peer = self.peers.get(connection);
        let (Some(scenario), Some(peer)) = (&mut self.scenario, peer) else {
            return;
        };
        let sender = peer.sender().clone();
        let key = (
            sender.clone(),
            message.from().clone(),
            message.message_id().clone(),
        );
        if self.redelivered.remove(&key) {
            return;
        }
        if let Some(after) = scenario.redelivery(&message) {
            self.redelivered.insert(key);
            self.put_off(now + after, Later::Redeliver(sender, message));
        }
    }
}
