//! Settings of a hub, with the defaults and where they come from.

use std::time::Duration;

/// What one sender may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderLimits {
    /// Connections at once, besides those that drain; one more is ended with `policy-violation` after its login (`docs/protocol.md` §12 #47).
    /// Default: 1,000 (`docs/protocol.md` §1).
    pub connections: usize,
    /// Downstream messages of one connection that wait for an answer. Default: 100.
    pub window: usize,
    /// Upstream messages of one connection that wait for an ack. Default: 100.
    pub upstream_window: usize,
}

impl Default for SenderLimits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            window: 100,
            upstream_window: 100,
        }
    }
}

/// Settings of a hub: how much it keeps, and for how long.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HubConfig {
    /// What a sender may have that was given no [limits](super::Hub::set_limits) of its own. They count in place of the
    /// windows in [`ServerConfig`](crate::ServerConfig).
    pub limits: SenderLimits,
    /// How long a connection that just logged in gets nothing: a client is known that drops what comes before the answer to
    /// its session iq (libstrophe). Default: 250 ms.
    pub greeting: Duration,
    /// How long a message from a device may stay un-acked before it is sent once more, on another connection if there is
    /// one; `None`: only when its connection has ended. At least a millisecond. Default: 60 s (`docs/protocol.md` §12 #13).
    pub send_again_after: Option<Duration>,
    /// Messages from devices of one sender that are not acked, at most. Default: 100,000 (`docs/protocol.md` §12 #36).
    pub upstream_messages: usize,
    /// Bytes of their bodies, at most. Default: 64 MiB.
    pub upstream_bytes: usize,
    /// How long a message from a device waits that does not say it. Default: four weeks.
    pub upstream_kept_for: Duration,
    /// Receipts of one sender that wait for a connection, at most; the oldest goes first. Default: 1,000.
    pub receipts: usize,
    /// Messages of one sender of which the ack may be lost, by id, at most; the oldest goes first. Default: 10,000
    /// (`docs/protocol.md` §12 #48).
    pub remembered_ids: usize,
    /// Messages of one sender that wait for devices, one for each device; beyond that its messages to devices that cannot be
    /// reached are refused for a while, and nobody else's. As many again may be on their way to devices, and so many of its
    /// devices are remembered that are to be told of discarded messages. All senders together may have so much each, and
    /// the accounts that can log in bound how many those are. Default: 100,000.
    pub kept_messages: usize,
    /// Bytes of the bodies that they came in, roughly, of one sender, at most. Default: 256 MiB.
    pub kept_bytes: usize,
    /// How long a message waits for a device that does not say it. Default: four weeks.
    pub kept_for: Duration,
    /// Messages without a collapse key that wait for one device. One more, and all of them are discarded, which the device
    /// is told. Default: 100 (`docs/protocol.md` §3.3).
    pub kept_per_device: usize,
    /// Collapse keys of one device that messages wait with. Default: 4 (`docs/protocol.md` §3.3).
    pub collapse_keys: usize,
    /// A bug on purpose.
    #[cfg(ccs_planted)]
    pub planted: Option<super::Planted>,
}

/// Four weeks, which is the longest time to live there is.
const FOUR_WEEKS: Duration = Duration::from_secs(2_419_200);

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            limits: SenderLimits::default(),
            greeting: Duration::from_millis(250),
            send_again_after: Some(Duration::from_secs(60)),
            upstream_messages: 100_000,
            upstream_bytes: 64 * 1024 * 1024,
            upstream_kept_for: FOUR_WEEKS,
            receipts: 1_000,
            remembered_ids: 10_000,
            kept_messages: 100_000,
            kept_bytes: 256 * 1024 * 1024,
            kept_for: FOUR_WEEKS,
            kept_per_device: 100,
            collapse_keys: 4,
            #[cfg(ccs_planted)]
            planted: None,
        }
    }
}
