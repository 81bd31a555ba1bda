//! Events in words, for a log that people read.

use ccs_proto::message::{Downstream, Notification};
use ccs_proto::{Habit, ServerEvent};

/// An event in words.
pub(super) fn describe(event: &ServerEvent) -> String {
    match event {
        ServerEvent::Login(request) => {
            format!(
                "login: {} with {}",
                request.sender(),
                request.key().expose()
            )
        }
        ServerEvent::Bound { sender, jid } => format!("bound: {sender} as {jid}"),
        ServerEvent::Downstream {
            message_id,
            message,
            ..
        } => format!("downstream: {message_id} to {}", describe_message(message)),
        ServerEvent::Acked(message) => {
            format!("acked: {} from {}", message.message_id(), message.from())
        }
        ServerEvent::ReceiptAcked(receipt) => format!("receipt acked: {}", receipt.message_id()),
        ServerEvent::Refused { message_id, reason } => match message_id {
            Some(id) => format!("refused: {id}: {reason}"),
            None => format!("refused: {reason}"),
        },
        ServerEvent::Ignored(Habit::Nack { message_id }) => format!("ignored: nack {message_id}"),
        ServerEvent::Ignored(habit) => format!("ignored: {habit:?}"),
        ServerEvent::AckOverdue { from, message_id } => {
            format!("ack overdue: {message_id} from {from}")
        }
        ServerEvent::Closed(Ok(())) => "closed: in order".to_owned(),
        ServerEvent::Closed(Err(error)) => format!("closed: {error}"),
        other => format!("{other:?}"),
    }
}

fn describe_message(message: &Downstream) -> String {
    let mut said = message.target().to_string();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            said.push_str(&format!(", {name} {value}"));
        }
    };
    add("collapse_key", message.collapses_by().map(str::to_owned));
    add(
        "priority",
        message.urgency().map(|it| it.as_str().to_owned()),
    );
    add(
        "time_to_live",
        message.kept_for().map(|it| it.as_secs().to_string()),
    );
    let flags = [
        ("delay_while_idle", message.waits_while_idle()),
        ("delivery_receipt_requested", message.wants_receipt()),
        ("dry_run", message.is_dry_run()),
    ];
    for (name, set) in flags {
        add(name, set.then(|| "true".to_owned()));
    }
    let data = message.payload().map(|data| {
        let pairs: Vec<(String, String)> = data
            .iter()
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        format!("{pairs:?}")
    });
    add("data", data);
    add("notification", message.shown().map(describe_notification));
    said
}

fn describe_notification(notification: &Notification) -> String {
    const KEYS: [&str; 12] = [
        "title",
        "body",
        "sound",
        "badge",
        "click_action",
        "subtitle",
        "body_loc_key",
        "title_loc_key",
        "android_channel_id",
        "icon",
        "tag",
        "color",
    ];
    let strings: Vec<(&str, &str)> = KEYS
        .into_iter()
        .filter_map(|key| notification.get(key).map(|value| (key, value)))
        .collect();
    let lists: Vec<_> = ["body_loc_args", "title_loc_args"]
        .into_iter()
        .filter_map(|key| notification.list(key).map(|values| (key, values)))
        .collect();
    if lists.is_empty() {
        format!("{strings:?}")
    } else {
        format!("{strings:?} {lists:?}")
    }
}
