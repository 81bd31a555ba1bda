//! How long things may take once nothing goes wrong: from the settings, what is to be done, and the way to the endpoint.
//! Every figure here is a promise of the session's, or of the simulator's own parts.

use std::time::Duration;

use ccs_proto::session::SessionConfig;

use super::app::HANDLER_PATIENCE;
use super::devices::{ARRIVES, CONFIRMS, Poison};
use super::plan::Killer;
use super::settings::Settings;
use super::wire::SLOWEST;

/// The store takes at most 3 ms when nothing is wrong with it, and tells of it within 20 ms.
const STORE: Duration = Duration::from_millis(23);
/// A handler takes at most that when nothing is wrong with it.
const HANDLER: Duration = Duration::from_millis(300);
/// A dial takes at most that.
const DIAL: Duration = Duration::from_millis(300);
/// A connection that just logged in gets what waits after that (`HubConfig::greeting`).
const GREETING: Duration = Duration::from_millis(250);
/// A message that is kept is with its device after that, and its receipt with the endpoint.
const DELIVERED: Duration = Duration::from_millis(ARRIVES + CONFIRMS);
/// An app server that was shut down is back after that.
const RESTART: Duration = Duration::from_secs(5);
/// An application and a device submit again after that what the store refused.
pub(super) const SUBMITS_AGAIN: Duration = Duration::from_secs(1);

/// What is not done when the faults stop.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backlog {
    /// Messages to devices.
    pub(super) messages: usize,
    /// Of these, those that may go out alone only.
    pub(super) suspects: usize,
    /// Of these, those that end every stream, and those that lose every connection.
    pub(super) killers: (usize, usize),
    /// Of these, those to devices of which the endpoint said that they get too much.
    pub(super) slowed: usize,
    /// Messages of devices, and receipts.
    pub(super) deliveries: usize,
    /// Of these, those that no handler can handle.
    pub(super) poisons: usize,
}

pub(super) struct Bounds<'a> {
    pub(super) config: &'a SessionConfig,
    pub(super) settings: &'a Settings,
    /// To the endpoint and back, at most.
    pub(super) round_trip: Duration,
}

fn times(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Bounds<'_> {
    /// From the sending of a message to its answer: it is stored before it is acked.
    fn round(&self) -> Duration {
        self.round_trip + Duration::from_millis(self.settings.answers_within) + STORE
    }

    /// A backlog of `n` over a bound connection: as many at once as the window and the queue have room for, so
    /// `n / window` rounds. Each is stored when it is submitted, which is when there is room in the queue.
    pub(super) fn messages(&self, n: usize) -> Duration {
        let at_once = self.settings.window.min(self.settings.queue_messages);
        (self.round() + STORE) * times(n.div_ceil(at_once)) + STORE
    }

    /// Messages of devices, one after the other at worst: each is handled and stored, and the endpoint stores it before and
    /// has a window too, of which one place may be taken by a message that no handler can handle.
    pub(super) fn deliveries(&self, n: usize) -> Duration {
        let window = self.settings.upstream_window.saturating_sub(1).max(1);
        let rounds = times(n.div_ceil(window));
        GREETING + STORE + self.round_trip * rounds + (HANDLER + STORE) * times(n)
    }

    /// What a message that no handler can handle takes from those of other devices: a place for a handler while it is
    /// tried, if there is one only, and the place of a delivery all the time until it is dead.
    pub(super) fn poison(&self, poison: Poison) -> Duration {
        let config = self.config;
        let run = match poison {
            Poison::Hangs => HANDLER_PATIENCE,
            Poison::Fails | Poison::Panics => HANDLER,
        };
        let waits = (1..config.handler_tries).map(|n| config.handler_retry.ceiling(n - 1));
        let tries = run * config.handler_tries + STORE;
        if self.settings.upstream_messages == 1 || self.settings.upstream_window == 1 {
            tries + waits.sum()
        } else if self.settings.handlers == 1 {
            tries
        } else {
            Duration::ZERO
        }
    }

    /// Until everything is done, after whatever has gone wrong before. What ends at a time that is known, such as a stall
    /// or the answers that are under way, is not counted: it ends first.
    pub(super) fn leftovers(&self, left: Backlog) -> Duration {
        let Backlog {
            messages,
            suspects,
            killers: (deadly, cutting),
            slowed,
            deliveries,
            poisons,
        } = left;
        let once = self.notices()
            + self.reconnects()
            + self.asks_again()
            + self.slow_targets(slowed)
            + RESTART
            + DELIVERED
            + SUBMITS_AGAIN;
        let run = HANDLER_PATIENCE + self.config.handler_retry.cap;
        let poison = run * self.config.handler_tries;
        let worst = u32::MAX;
        // What was on its way when a connection was lost is done once more.
        once + self.messages(messages) * 2
            + self.round() * times(suspects)
            + self.deliveries(deliveries) * 2
            + self.killer(Killer::StreamError, worst) * times(deadly)
            + self.killer(Killer::Cut, worst) * times(cutting)
            + poison * times(poisons)
    }

    /// What a message takes that ends every stream that it is sent on, until it is a dead letter, when `failed` connections
    /// have failed in a row before: its budget. Those that were in flight with it go out alone, once each.
    pub(super) fn killer(&self, killer: Killer, failed: u32) -> Duration {
        let config = self.config;
        let streams = match killer {
            Killer::StreamError => config.stream_deaths,
            Killer::Cut => config.stream_deaths + config.attempts,
        };
        let connects = (0..streams).map(|n| self.connects(failed.saturating_add(n)));
        let waits = (config.stream_deaths..streams)
            .map(|n| config.retry.ceiling(n.saturating_sub(config.stream_deaths)));
        let alone = self.round() * times(self.settings.window);
        let tries = self.round() * streams;
        connects.chain(waits).sum::<Duration>() + alone + tries + STORE
    }

    /// Until another connection is bound: the wait, the dial, and a login of four round trips (`docs/protocol.md` §2).
    fn connects(&self, failed: u32) -> Duration {
        self.config.reconnect.ceiling(failed) + DIAL + FRESH_ROUND_TRIP * 4
    }

    /// Until all connections are healthy. That shows at the next ping at the latest.
    pub(super) fn steadies(&self) -> Duration {
        let shows = self.config.healthy_after + self.config.client.ping_interval;
        self.notices() + self.reconnects() + shows
    }

    /// Until both ends know that a connection is dead or drained: by pings, by an answer that does not come, or because
    /// nobody closes what drains. Then it is closed, with its own patience.
    fn notices(&self) -> Duration {
        let client = &self.config.client;
        let pings = client.ping_interval * (client.missed_pings + 1);
        let longest = pings.max(client.answer_timeout).max(client.drain_guard);
        longest + client.settle_timeout + client.close_timeout
    }

    /// Until another connection is bound, after whatever has failed. A login that was under way over a slow connection
    /// may still time out: twice.
    fn reconnects(&self) -> Duration {
        let config = self.config;
        // A wait after a refused login is spread by a tenth.
        let login = config.reconnect_login * 11 / 10;
        let longest = config.reconnect.cap.max(config.reconnect_tls.cap);
        let handshake = config.client.handshake_timeout;
        (longest.max(login) + config.dial_timeout + handshake) * 2
    }

    /// The longest waits before a message, a handler or a record is tried again. One try of a handler may have begun.
    fn asks_again(&self) -> Duration {
        let config = self.config;
        let handler = HANDLER_PATIENCE + config.handler_retry.cap;
        config.retry.cap + handler + config.store_retry.cap
    }

    /// A target that got too much waits, and then gets one message at a time: a probe each minute.
    fn slow_targets(&self, slowed: usize) -> Duration {
        if slowed == 0 {
            return Duration::ZERO;
        }
        let slow = self.config.slow_down;
        slow.cap + slow.ceiling(0) * times(slowed)
    }
}

/// The round trip over a connection that is dialled when nothing goes wrong any more.
pub(super) const FRESH_ROUND_TRIP: Duration = SLOWEST.saturating_mul(2);
