//! Devices that misbehave, and what is remembered of it.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use ccs_tokio::RegistrationToken;

/// What is remembered of misbehaviour that has an end, so that memory has one too.
const REMEMBERED: usize = 10_000;

/// What a device does wrong, by the start of its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    Bad,
    Unregistered,
    Rate,
    Unavailable,
    Internal,
    Canonical,
    Silent,
    Drain,
    Drop,
    Dup,
    Offline,
    Idle,
}

impl Quirk {
    const ALL: [Self; 12] = [
        Self::Bad,
        Self::Unregistered,
        Self::Rate,
        Self::Unavailable,
        Self::Internal,
        Self::Canonical,
        Self::Silent,
        Self::Drain,
        Self::Drop,
        Self::Dup,
        Self::Offline,
        Self::Idle,
    ];

    pub fn of(token: &RegistrationToken) -> Option<Self> {
        let found = |quirk: &Self| token.as_str().starts_with(quirk.prefix());
        Self::ALL.into_iter().find(found)
    }

    pub fn prefix(self) -> &'static str {
        match self {
            Self::Bad => "bad-",
            Self::Unregistered => "unregistered-",
            Self::Rate => "rate-",
            Self::Unavailable => "unavailable-",
            Self::Internal => "internal-",
            Self::Canonical => "canonical-",
            Self::Silent => "silent-",
            Self::Drain => "drain-",
            Self::Drop => "drop-",
            Self::Dup => "dup-",
            Self::Offline => "offline-",
            Self::Idle => "idle-",
        }
    }

    /// Whether the service knows no device behind the token, so that a topic's messages get nowhere either.
    pub fn has_no_device(self) -> bool {
        matches!(self, Self::Bad | Self::Unregistered)
    }
}

/// What is remembered of the last things seen.
#[derive(Debug)]
pub struct Memory<T, V = ()> {
    known: HashMap<T, V>,
    order: VecDeque<T>,
}

impl<T, V> Default for Memory<T, V> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T: Hash + Eq + Clone, V: Default> Memory<T, V> {
    /// What is known of a thing, which is nothing yet if it is a new one.
    pub fn of(&mut self, thing: T) -> &mut V {
        if !self.known.contains_key(&thing) {
            self.order.push_back(thing.clone());
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        self.known.entry(thing).or_default()
    }

    pub fn is_new(&mut self, thing: T) -> bool {
        let is_new = !self.known.contains_key(&thing);
        self.of(thing);
        is_new
    }
}
