//! Messages through a hub. All of the work for one counts, to the last command and event. What comes of a connection is made
//! ready outside the measured time.

mod downstream;
mod upstream;

use ccs_proto::ConnectionId;
use ccs_proto::hub::{Hub, HubConfig};
use ccs_proto::message::SenderId;
pub use downstream::{Downwards, To};
pub use upstream::Upwards;

use crate::login::NOW;

/// Messages in a run: a window.
pub const BATCH: usize = 100;

/// Without a bound that so many messages and connections would meet.
fn hub(messages: usize) -> Hub {
    let mut config = HubConfig::default();
    config.upstream_messages = messages + 2 * BATCH;
    config.upstream_bytes = usize::MAX;
    config.kept_messages = messages + 2 * BATCH;
    config.kept_per_device = messages + 2 * BATCH;
    Hub::new(config, NOW)
}

fn sender(number: usize) -> SenderId {
    format!("{}", 1_000 + number).parse().expect("digits")
}

/// Logs connections in, and greets them.
fn log_in(hub: &mut Hub, sender: &SenderId, connections: impl Iterator<Item = u64>) {
    for connection in connections {
        hub.login(NOW, ConnectionId(connection), sender);
    }
    while let Some(greeted) = hub.poll_timeout() {
        hub.handle_timeout(greeted);
    }
    while hub.poll_command().is_some() {}
    while hub.poll_event().is_some() {}
}
