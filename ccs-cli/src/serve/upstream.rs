//! Upstream messages that wait for a connection, or for an ack on one.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ccs_tokio::proto::Time;
use ccs_tokio::{MessageId, RegistrationToken, Upstream};

/// What an app is called that does not say it.
pub const CATEGORY: &str = "com.example.app";
/// Seconds that a message is kept that does not say it: four weeks. A PHP app server reads no message without the field.
pub const TIME_TO_LIVE: u64 = 2_419_200;
/// Messages that wait for a connection, at most.
const WAITING: usize = 100_000;

type Key = (RegistrationToken, MessageId);

/// The queue to the app server: what a device sent stays here until it is acked, on whichever connection.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Upstream>,
    /// Waiting or under way, with the time at which it is given up if it still waits.
    expires: HashMap<Key, Time>,
}

impl Queue {
    /// Takes a message in; why it cannot, if it cannot.
    pub fn push(&mut self, now: Time, message: Upstream) -> Result<(), &'static str> {
        if self.waiting.len() >= WAITING {
            return Err("too many messages wait for the app server");
        }
        let key = key(&message);
        if self.expires.contains_key(&key) {
            return Err("the device's message of that id has not been acked yet");
        }
        let kept = Duration::from_secs(message.time_to_live().unwrap_or(TIME_TO_LIVE));
        self.expires.insert(key, now + kept);
        self.waiting.push_back(message);
        Ok(())
    }

    /// The next message to send, which then is under way.
    pub fn pop(&mut self) -> Option<Upstream> {
        self.waiting.pop_front()
    }

    /// What a connection left, before everything else, in order.
    pub fn put_back(&mut self, messages: Vec<Upstream>) {
        for message in messages.into_iter().rev() {
            self.waiting.push_front(message);
        }
    }

    /// Whether a message that waits has had its time.
    pub fn is_late(&self, now: Time, message: &Upstream) -> bool {
        let expires = self.expires.get(&key(message));
        expires.is_some_and(|at| *at <= now)
    }

    pub fn settle(&mut self, message: &Upstream) {
        self.expires.remove(&key(message));
    }

    /// Gives up what waits and has had its time.
    pub fn expire(&mut self, now: Time) -> Vec<Upstream> {
        let mut expired = Vec::new();
        let expires = &mut self.expires;
        self.waiting.retain(|message| {
            let key = key(message);
            let kept = expires.get(&key).is_none_or(|at| *at > now);
            if !kept {
                expires.remove(&key);
                expired.push(message.clone());
            }
            kept
        });
        expired
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

fn key(message: &Upstream) -> Key {
    (message.from().clone(), message.message_id().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, seconds: u64) -> Upstream {
        Upstream::new("phone", id).with_time_to_live(seconds)
    }

    fn ids(messages: Vec<Upstream>) -> Vec<String> {
        let id = |message: Upstream| message.message_id().to_string();
        messages.into_iter().map(id).collect()
    }

    #[test]
    fn what_waits_too_long_is_given_up_and_what_is_under_way_is_not() {
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let mut queue = Queue::default();
        for (id, seconds) in [("a", 10), ("b", 20), ("c", 0)] {
            queue.push(at(0), message(id, seconds)).unwrap();
        }
        assert!(queue.push(at(0), message("b", 5)).is_err());
        assert_eq!(ids(queue.expire(at(0))), ["c"], "now or never");
        let a = queue.pop().unwrap();
        assert!(queue.expire(at(15)).is_empty());
        queue.put_back(vec![a]);
        assert_eq!(ids(queue.expire(at(15))), ["a"], "since it waits again");
        let b = queue.pop().unwrap();
        queue.settle(&b);
        queue.push(at(16), message("b", 5)).unwrap();
        assert_eq!(queue.waiting(), 1);
    }
}
