//! What devices send, as lines.

use ccs_tokio::proto::message::Receipt;
use ccs_tokio::proto::session::Received;
use ccs_tokio::{Data, Upstream};

use crate::ndjson::Line;

/// A message.
pub fn upstream(message: &Upstream) -> Line {
    Line::new("upstream")
        .with("from", message.from().as_str())
        .with("message_id", message.message_id().as_str())
        .maybe("category", message.category())
        .json("data", message.data().map(Data::as_json))
        .maybe("time_to_live", message.time_to_live())
}

/// The confirmation that a device has a message.
pub fn receipt(receipt: &Receipt) -> Line {
    Line::new("receipt")
        .with("message_id", receipt.message_id().as_str())
        .with(
            "original_message_id",
            receipt.original_message_id().as_str(),
        )
        .maybe("device", receipt.device().map(ToString::to_string))
        .maybe("at", receipt.sent_at())
}

/// It was given up, and is acked.
pub fn dead(received: &Received, reason: &str) -> Line {
    let from = match received {
        Received::Upstream(message) => Some(message.from().as_str()),
        _ => None,
    };
    Line::new("dead")
        .with("message_id", received.message_id().as_str())
        .maybe("from", from)
        .with("reason", reason)
}
