//! The settings of a run: those of the sessions, and how much trouble there is besides what the plan has.

use std::time::Duration;

use ccs_proto::hub::HubConfig;

use super::dice::Dice;

/// The settings that matter.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// App servers, each of its own sender.
    pub(super) senders: usize,
    pub(super) window: usize,
    pub(super) connections: usize,
    pub(super) draining_connections: usize,
    pub(super) attempts: u32,
    pub(super) give_up_after: Option<Duration>,
    pub(super) queue_messages: usize,
    pub(super) upstream_messages: usize,
    pub(super) remembered_messages: usize,
    pub(super) handlers: usize,
    pub(super) devices: u64,
    /// The endpoint knows a message that it took, on whatever connection its copy comes.
    pub(super) remembers_ids: bool,
    /// How fast it answers, in milliseconds.
    pub(super) answers_within: u64,
    /// Of so many in a hundred messages the answer is a nack of some code or other.
    pub(super) nacks: u64,
    /// Of so many in a hundred runs a handler does something else than ack.
    pub(super) handler_trouble: u64,
    /// Of so many in a hundred records the store refuses to keep them at first.
    pub(super) store_trouble: u64,
    /// The same for the endpoint's store.
    pub(super) endpoint_store_trouble: u64,
    /// Messages of devices that the endpoint has in flight on one connection.
    pub(super) upstream_window: usize,
    /// After that the endpoint sends what is not acked once more.
    pub(super) send_again_after: Option<Duration>,
    /// What may wait for one device: messages without a collapse key, and keys.
    pub(super) kept_per_device: usize,
    pub(super) collapse_keys: usize,
    #[cfg(ccs_planted)]
    pub(super) planted_in_hub: Option<ccs_proto::hub::Planted>,
    #[cfg(ccs_planted)]
    pub(super) planted: Option<ccs_proto::session::Planted>,
}

impl Settings {
    /// Without bounds that matter, and without faults.
    pub(super) fn small(window: usize) -> Self {
        Self {
            senders: 1,
            window,
            connections: 1,
            draining_connections: 4,
            attempts: 10,
            give_up_after: None,
            queue_messages: 1_000,
            upstream_messages: 1_000,
            remembered_messages: 1_000,
            handlers: 8,
            devices: 1,
            remembers_ids: false,
            answers_within: 0,
            nacks: 0,
            handler_trouble: 0,
            store_trouble: 0,
            endpoint_store_trouble: 0,
            upstream_window: 100,
            send_again_after: None,
            kept_per_device: 100,
            collapse_keys: 4,
            #[cfg(ccs_planted)]
            planted_in_hub: None,
            #[cfg(ccs_planted)]
            planted: None,
        }
    }

    pub(super) fn of(dice: &mut Dice) -> Self {
        let mostly = |dice: &mut Dice, usual: usize, others: &[usize]| {
            if dice.percent(70) {
                usual
            } else {
                *dice.pick(others)
            }
        };
        let remembered_messages = mostly(dice, 1_000, &[1_000, 1_000, 3]);
        Self {
            senders: mostly(dice, 1, &[2, 2, 3]),
            window: *dice.pick(&[1, 2, 2, 3, 3, 5, 8, 8, 100]),
            connections: mostly(dice, 1, &[2, 3]),
            draining_connections: mostly(dice, 4, &[1, 2]),
            attempts: *dice.pick(&[2, 3, 10]),
            give_up_after: dice.percent(15).then(|| dice.seconds(5, 600)),
            queue_messages: mostly(dice, 1_000, &[3, 10, 50]),
            upstream_messages: mostly(dice, 1_000, &[1, 3, 10]),
            remembered_messages,
            handlers: *dice.pick(&[1, 2, 8, 64]),
            devices: 1 + dice.below(4),
            remembers_ids: dice.percent(50),
            answers_within: *dice.pick(&[0, 20, 500, 5_000, 60_000]),
            nacks: *dice.pick(&[0, 0, 5, 20, 60]),
            handler_trouble: *dice.pick(&[0, 0, 10, 50]),
            store_trouble: *dice.pick(&[0, 0, 10, 50]),
            endpoint_store_trouble: *dice.pick(&[0, 0, 10, 50]),
            upstream_window: mostly(dice, 100, &[1, 2, 5]),
            // A session that has forgotten what was handled handles each copy anew, however long that takes.
            send_again_after: (dice.percent(70) && remembered_messages == 1_000)
                .then(|| dice.seconds(1, 60)),
            kept_per_device: mostly(dice, 100, &[1, 2, 5]),
            collapse_keys: 1 + dice.index(4),
            #[cfg(ccs_planted)]
            planted_in_hub: None,
            #[cfg(ccs_planted)]
            planted: None,
        }
    }
    pub(super) fn hub_config(&self) -> HubConfig {
        let mut config = HubConfig::default();
        config.limits.upstream_window = self.upstream_window;
        config.send_again_after = self.send_again_after;
        config.kept_per_device = self.kept_per_device;
        config.collapse_keys = self.collapse_keys;
        #[cfg(ccs_planted)]
        {
            config.planted = self.planted_in_hub;
        }
        config
    }
}
