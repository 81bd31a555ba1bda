//! A message on the command line.

use std::time::Duration;

use ccs_tokio::proto::message::{Condition, Priority, Target};
use ccs_tokio::{Data, Downstream, Notification};
use clap::{Args, ValueEnum};

use crate::exit::Failure;

/// What a message carries and how it is to be treated, whoever it is for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Message")]
pub struct MessageArgs {
    /// A pair of the payload; may be given several times
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., conflicts_with = "data_json")]
    data: Vec<String>,
    /// The payload as a JSON object
    #[arg(long, value_name = "JSON")]
    data_json: Option<String>,
    /// A pair of what the system shows to a person, such as title=Hello; may be given several times
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    notification: Vec<String>,
    /// Seconds that the message is kept for a device that is away; 0 is now or never
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
    /// How urgent it is
    #[arg(long)]
    priority: Option<Urgency>,
    /// The last message of a key replaces those before it while the device is away
    #[arg(long, value_name = "KEY")]
    collapse_key: Option<String>,
    /// Ask for a receipt when the device has the message
    #[arg(long)]
    receipt: bool,
    /// Have the message checked and not delivered
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Urgency {
    Normal,
    High,
}

impl MessageArgs {
    /// Whether anything was given.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
            && self.data_json.is_none()
            && self.notification.is_empty()
            && self.ttl.is_none()
            && self.priority.is_none()
            && self.collapse_key.is_none()
            && !self.receipt
            && !self.dry_run
    }

    /// The message to this target.
    pub fn message(&self, target: Target) -> Result<Downstream, Failure> {
        let mut message = Downstream::new(target);
        if let Some(json) = &self.data_json {
            let data = Data::from_json(json).map_err(|error| usage("--data-json", error))?;
            message = message.with_data(data);
        } else if !self.data.is_empty() {
            message = message.with_data(pairs("--data", &self.data)?.into_iter().collect());
        }
        if !self.notification.is_empty() {
            message = message.notification(self.shown()?);
        }
        if let Some(seconds) = self.ttl {
            message = message.time_to_live(Duration::from_secs(seconds));
        }
        if let Some(urgency) = self.priority {
            message = message.priority(match urgency {
                Urgency::Normal => Priority::Normal,
                Urgency::High => Priority::High,
            });
        }
        if let Some(key) = &self.collapse_key {
            message = message.collapse_key(key.as_str());
        }
        if self.receipt {
            message = message.receipt_requested(true);
        }
        if self.dry_run {
            message = message.dry_run(true);
        }
        Ok(message)
    }

    fn shown(&self) -> Result<Notification, Failure> {
        let pairs = pairs("--notification", &self.notification)?;
        let json: serde_json::Map<_, _> = pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        Notification::from_json(&serde_json::Value::Object(json).to_string())
            .map_err(|error| usage("--notification", error))
    }
}

/// Whom one message is for.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct TargetArgs {
    /// A device's token, a group's key, or a topic as /topics/NAME
    #[arg(long, value_name = "TOKEN")]
    to: Option<String>,
    /// A condition over topics, such as "'a' in topics && !('b' in topics)"
    #[arg(long)]
    condition: Option<String>,
}

impl TargetArgs {
    /// The target, if one was given.
    pub fn target(&self) -> Result<Option<Target>, Failure> {
        match (&self.to, &self.condition) {
            (Some(to), _) => Target::from_to(to.as_str())
                .map(Some)
                .map_err(|error| usage("--to", error)),
            (None, Some(condition)) => Condition::new(condition.as_str())
                .map(|condition| Some(Target::Condition(condition)))
                .map_err(|error| usage("--condition", error)),
            (None, None) => Ok(None),
        }
    }
}

fn pairs<'a>(flag: &str, given: &'a [String]) -> Result<Vec<(&'a str, &'a str)>, Failure> {
    given
        .iter()
        .map(|pair| {
            pair.split_once('=')
                .ok_or_else(|| usage(flag, format!("{pair:?} is no KEY=VALUE")))
        })
        .collect()
}

fn usage(flag: &str, what: impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("{flag}: {what}"))
}
