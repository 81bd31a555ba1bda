//! Who may try to log in at an endpoint: connections before their login, and logins that failed.
//!
//! Pure like the rest: addresses and times go in, decisions come out. What a stranger can make the endpoint hold or do is
//! bounded here; what one connection may cost is bounded by its [`Limits`](crate::Limits) and by
//! [`login_bytes`](crate::ServerConfig::login_bytes) and
//! [`handshake_timeout`](crate::ServerConfig::handshake_timeout).
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod failures;
mod source;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use crate::message::SenderId;
use crate::time::Time;
use failures::Failures;
use source::Source;

/// How many strangers an endpoint deals with, and how often they may be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionConfig {
    /// Connections that have not logged in yet, at most; one more takes the place of the oldest. At least 1. Default:
    /// 1,024.
    pub half_open: usize,
    /// Those of one address, at most; one more is refused. At least 1. Default: 256, so that one address cannot fill the
    /// endpoint, and app servers that start together behind one address get in.
    pub half_open_per_address: usize,
    /// Failed logins of one address, whoever they name. Default: 20 within 30 s.
    pub failures_per_address: FailureLimit,
    /// Failed logins of one address that name the same sender, so that one app server with a wrong key does not lock out
    /// its neighbours at that address. Default: 5 within 30 s.
    pub failures_per_account: FailureLimit,
    /// Addresses, and as many pairs of address and sender, whose failures are remembered; beyond that the one that
    /// failed least recently is forgotten. Default: 65,536.
    pub remembered: usize,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        let within = Duration::from_secs(30);
        Self {
            half_open: 1_024,
            half_open_per_address: 256,
            failures_per_address: FailureLimit { count: 20, within },
            failures_per_account: FailureLimit { count: 5, within },
            remembered: 65_536,
        }
    }
}

/// A token bucket: `count` failures at once, and one more each `within / count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimit {
    /// How many. At least 1.
    pub count: u32,
    /// In which time.
    pub within: Duration,
}

/// Decides who is let in, for one endpoint.
///
/// Each connection is told of three times: when it [arrives](Self::arrive), when the key it shows
/// [is about to be checked](Self::authenticating), and when the login [succeeded](Self::succeeded) or the connection
/// [ended](Self::ended) before that.
///
/// ```
/// use ccs_proto::{Admission, AdmissionConfig, Time};
///
/// let mut admission = Admission::new(AdmissionConfig::default());
/// let address = "192.0.2.1".parse()?;
/// let sender = "123456789012".parse()?;
///
/// // A wrong key, six times.
/// for attempt in 1..=6 {
///     let mut ticket = admission.arrive(address)?.ticket;
///     let checked = admission.authenticating(Time::ZERO, &mut ticket, &sender);
///     assert_eq!(checked.is_ok(), attempt <= 5);
///     admission.ended(Time::ZERO, ticket);
/// }
/// // The right key from another address is not delayed.
/// let mut ticket = admission.arrive("192.0.2.2".parse()?)?.ticket;
/// admission.authenticating(Time::ZERO, &mut ticket, &sender)?;
/// admission.succeeded(ticket);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Admission {
    config: AdmissionConfig,
    /// By age, since ids ascend.
    half_open: BTreeMap<HalfOpenId, Source>,
    per_source: BTreeMap<Source, usize>,
    next: u64,
    sources: Failures<Source>,
    accounts: Failures<(Source, SenderId)>,
}

/// The name of a connection that has not logged in yet, unique within one [`Admission`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HalfOpenId(u64);

/// A connection's place among those that have not logged in. It is given back by
/// [`succeeded`](Admission::succeeded) or [`ended`](Admission::ended); one that is dropped instead is held until it is the
/// oldest.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that is not given back holds a place"]
pub struct Ticket {
    id: HalfOpenId,
    source: Source,
    /// Whose key is being checked.
    account: Option<SenderId>,
}

impl Ticket {
    /// The name under which this connection may have to give way to a newer one.
    #[must_use]
    pub fn id(&self) -> HalfOpenId {
        self.id
    }
}

/// A connection that may go on to TLS and its login.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Admitted {
    /// Its place.
    pub ticket: Ticket,
    /// The connection whose place it was: close it without a word, and give its ticket to
    /// [`ended`](Admission::ended).
    pub in_place_of: Option<HalfOpenId>,
}

/// Too many connections of one address have not logged in; close the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "{address} has {limit} connections that have not logged in; the new one was closed, and one can come when they have"
)]
pub struct TooManyHalfOpen {
    /// The address.
    pub address: IpAddr,
    /// How many it may have.
    pub limit: usize,
}

/// Too many logins failed; refuse this one in the words for a wrong key, without looking the key up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too many logins failed from {address}; keys from there are looked at again in {} s", .after.as_secs_f32().ceil())]
pub struct TooManyFailures {
    /// The address; of IPv6 the network, which one host has to itself.
    pub address: IpAddr,
    /// When a login from there is looked at again.
    pub after: Duration,
}

impl Admission {
    /// Nobody has come yet.
    #[must_use]
    pub fn new(config: AdmissionConfig) -> Self {
        Self {
            half_open: BTreeMap::new(),
            per_source: BTreeMap::new(),
            next: 0,
            sources: Failures::new(config.failures_per_address, config.remembered),
            accounts: Failures::new(config.failures_per_account, config.remembered),
            config,
        }
    }

    /// A connection came from `address`. Ask before TLS, which is what costs most. IPv6 addresses of one /64 network count as
    /// one, since a single host has them all.
    ///
    /// At the limit in all the oldest one makes room: half-open connections cost an attacker nothing, so a limit that
    /// refused newcomers would be his to close the endpoint with.
    ///
    /// # Errors
    /// The address has as many connections that have not logged in as it may.
    pub fn arrive(&mut self, address: IpAddr) -> Result<Admitted, TooManyHalfOpen> {
        let source = Source::of(address);
        let limit = self.config.half_open_per_address.max(1);
        if self.per_source.get(&source).is_some_and(|n| *n >= limit) {
            return Err(TooManyHalfOpen { address, limit });
        }
        let in_place_of = if self.half_open.len() >= self.config.half_open.max(1) {
            self.half_open.first_key_value().map(|(id, _)| *id)
        } else {
            None
        };
        if let Some(oldest) = in_place_of {
            self.leave(oldest);
        }
        let id = HalfOpenId(self.next);
        self.next = self.next.wrapping_add(1);
        self.half_open.insert(id, source);
        let count = self.per_source.entry(source).or_default();
        *count = count.saturating_add(1);
        Ok(Admitted {
            ticket: Ticket {
                id,
                source,
                account: None,
            },
            in_place_of,
        })
    }

    /// The connection showed a key for `sender`, which is about to be checked. If it showed one before, that one failed.
    ///
    /// Checks that are under way at the same time are not counted before they have failed, so an address can overdraw its
    /// limits once by as many connections as it may have half open; it then waits the longer.
    ///
    /// # Errors
    /// Too many logins failed from there, in all or for this sender. This one is not counted.
    pub fn authenticating(
        &mut self,
        now: Time,
        ticket: &mut Ticket,
        sender: &SenderId,
    ) -> Result<(), TooManyFailures> {
        self.charge(now, ticket);
        let source = ticket.source;
        let account = (source, sender.clone());
        let waits = [
            self.accounts.wait(now, &account),
            self.sources.wait(now, &source),
        ];
        match waits.into_iter().flatten().max() {
            Some(after) => Err(TooManyFailures {
                address: source.address(),
                after,
            }),
            None => {
                ticket.account = Some(account.1);
                Ok(())
            }
        }
    }

    /// The key was right: the connection is half open no more.
    pub fn succeeded(&mut self, ticket: Ticket) {
        self.leave(ticket.id);
    }

    /// The connection ended before its login succeeded, whoever ended it. If a key of it was checked, or still is, that
    /// counts as a failure: hanging up early saves nobody a guess.
    pub fn ended(&mut self, now: Time, mut ticket: Ticket) {
        self.leave(ticket.id);
        self.charge(now, &mut ticket);
    }

    /// Connections that have not logged in.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.half_open.len()
    }

    fn charge(&mut self, now: Time, ticket: &mut Ticket) {
        if let Some(sender) = ticket.account.take() {
            self.sources.charge(now, ticket.source);
            self.accounts.charge(now, (ticket.source, sender));
        }
    }

    /// Gives a place back, if it is still held.
    fn leave(&mut self, id: HalfOpenId) {
        let Some(source) = self.half_open.remove(&id) else {
            return;
        };
        if let Some(count) = self.per_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
    }
}
