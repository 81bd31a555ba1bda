//! What happened, in a few words.

use ccs_proto::hub::{Copy, Device, HubEvent};
use ccs_proto::message::SenderId;
use ccs_proto::{ClientEvent, Outcome};
use ccs_tests::pair::SENDER;

/// The sender stands in front only where it is not the usual one.
fn of(sender: &SenderId, name: &str) -> String {
    if sender.as_str() == SENDER {
        name.to_owned()
    } else {
        format!("{sender}/{name}")
    }
}

pub fn device(device: &Device) -> String {
    of(&device.sender, device.token.as_str())
}

fn copy(copy: &Copy) -> String {
    format!("{}:{}", device(&copy.device), copy.message_id)
}

pub fn hub(event: &HubEvent) -> String {
    match event {
        HubEvent::Downstream(arrival) => {
            format!("came {}:{}", arrival.id.connection().0, arrival.message_id)
        }
        HubEvent::SentAgain {
            connection,
            message_id,
        } => format!("came again {}:{message_id}", connection.0),
        HubEvent::Kept(kept) => format!("kept {}", copy(kept)),
        HubEvent::Delivered(delivered) => format!("delivered {}", copy(delivered)),
        HubEvent::Discarded(gone, why) => format!("{} {}", why.as_str(), copy(gone)),
        HubEvent::TooMuchKept {
            connection,
            message_id,
        } => format!("too much {}:{message_id}", connection.0),
        HubEvent::ReceiptSent {
            connection,
            receipt,
        } => format!("receipt {}:{}", connection.0, receipt.original_message_id()),
        HubEvent::Accepted { sender, message } => {
            format!("accepted {}", of(sender, message.message_id().as_str()))
        }
        HubEvent::NotStored { message, .. } => format!("not stored {}", message.message_id()),
        HubEvent::UpstreamWaits { message, .. } => format!("waits {}", message.message_id()),
        HubEvent::UpstreamSent {
            connection,
            message,
        } => format!("sent {}:{}", connection.0, message.message_id()),
        HubEvent::UpstreamSentAgain {
            connection,
            message,
        } => format!("sent again {}:{}", connection.0, message.message_id()),
        HubEvent::UpstreamAcked {
            connection,
            message,
        } => format!("acked {}:{}", connection.0, message.message_id()),
        HubEvent::UpstreamExpired { message, .. } => format!("expired {}", message.message_id()),
        HubEvent::Draining(connection) => format!("draining {}", connection.0),
        HubEvent::TooManyConnections { connection, .. } => format!("too many {}", connection.0),
        HubEvent::ToldDeleted {
            device: told,
            messages,
        } => format!("told {} of {messages}", device(told)),
        other => format!("{other:?}"),
    }
}

/// What became of a message of an app server's.
pub fn answer(event: &ClientEvent) -> Option<String> {
    let ClientEvent::Answered {
        message_id,
        outcome,
    } = event
    else {
        return None;
    };
    Some(match outcome {
        Outcome::Accepted(ack) => match &ack.canonical {
            Some(token) => format!("{message_id} acked as {token}"),
            None => format!("{message_id} acked"),
        },
        Outcome::Refused(nack) => format!("{message_id} {}", nack.code),
        other => format!("{message_id} {other:?}"),
    })
}
