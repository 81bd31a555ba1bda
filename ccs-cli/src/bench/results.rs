//! What became of the messages, and how long it took.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use ccs_tokio::SendError;
use ccs_tokio::proto::message::Ack;
use serde_json::{Map, Value, json};

use crate::exit::Failure;
use crate::outcome::messages;

/// Name and per mille of what is told of the latencies.
const PERCENTILES: [(&str, usize); 5] = [
    ("p50", 500),
    ("p90", 900),
    ("p99", 990),
    ("p99.9", 999),
    ("max", 1_000),
];

#[derive(Debug, Default)]
pub struct Results {
    messages: u32,
    /// Of each answer, in microseconds. All are kept, so the percentiles are exact.
    latencies: Vec<u64>,
    pub acks: u32,
    nacks_by_code: BTreeMap<String, u32>,
    /// Sent, and the connection ended before the answer.
    pub unanswered: u32,
    /// Why a connection ended.
    failure: Option<Failure>,
}

impl Results {
    /// Of so many messages.
    pub fn new(messages: u32) -> Self {
        Self {
            messages,
            // Memory grows while it is used only, but is not moved meanwhile.
            latencies: Vec::with_capacity(messages as usize),
            ..Self::default()
        }
    }

    /// Counts a message. `Break`: its connection takes no more.
    pub fn count(&mut self, latency: Duration, result: Result<Ack, SendError>) -> ControlFlow<()> {
        match result {
            Ok(_) => self.acks += 1,
            Err(SendError::Refused(nack)) => self.nack(nack.code.as_str()),
            Err(SendError::Rejected(error)) => self.nack(error.condition.as_str()),
            Err(SendError::Unknown { error, .. }) => {
                self.unanswered += 1;
                if let Some(error) = error {
                    self.failure.get_or_insert_with(|| (*error).into());
                }
                return ControlFlow::Break(());
            }
            Err(SendError::NotSent { .. }) => return ControlFlow::Break(()),
            Err(error) => {
                let usage = || Failure::Usage(error.to_string());
                self.failure.get_or_insert_with(usage);
                return ControlFlow::Break(());
            }
        }
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.latencies.push(micros);
        ControlFlow::Continue(())
    }

    fn nack(&mut self, code: &str) {
        match self.nacks_by_code.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                self.nacks_by_code.insert(code.to_owned(), 1);
            }
        }
    }

    pub fn answered(&self) -> usize {
        self.latencies.len()
    }

    pub fn nacks(&self) -> u32 {
        self.nacks_by_code.values().sum()
    }

    pub fn nacks_by_code(&self) -> Map<String, Value> {
        let codes = self.nacks_by_code.iter();
        codes
            .map(|(code, count)| (code.clone(), (*count).into()))
            .collect()
    }

    /// Messages that were not sent, for sure.
    pub fn unsent(&self) -> u32 {
        self.messages
            .saturating_sub(self.acks)
            .saturating_sub(self.nacks())
            .saturating_sub(self.unanswered)
    }

    /// Latencies of all answers, acks or not, if there was any: each is that of the first answer that so many of a
    /// thousand are not slower than.
    pub fn latency_us(&self) -> Option<Value> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted.last()?;
        let at = |per_mille: usize| {
            let rank = (sorted.len() * per_mille).div_ceil(1_000);
            sorted.get(rank.saturating_sub(1)).copied()
        };
        let told = PERCENTILES.map(|(name, per_mille)| (name.to_owned(), json!(at(per_mille))));
        Some(Value::Object(told.into_iter().collect()))
    }

    /// For people.
    pub fn progress(&self) -> String {
        let (answered, all) = (self.answered(), self.messages);
        match self.nacks() {
            0 => format!("{answered} of {all} answered"),
            nacks => format!("{answered} of {all} answered, {nacks} refused"),
        }
    }

    /// How the command ends, the worst first.
    pub fn end(self, interrupted: Option<Failure>) -> Result<(), Failure> {
        let (unanswered, unsent, nacks) = (self.unanswered, self.unsent(), self.nacks());
        let failure = self.failure.or(interrupted);
        if unanswered + unsent > 0 || failure.is_some() {
            let failure = failure.unwrap_or_else(|| {
                Failure::Lost("the endpoint ended connections before all was sent".to_owned())
            });
            let (unanswered, unsent) = (messages(unanswered.into()), messages(unsent.into()));
            return Err(failure.and(&format!(
                "{unanswered} without an answer, {unsent} not sent"
            )));
        }
        if nacks > 0 {
            let nacks = messages(nacks.into());
            return Err(Failure::Refused(format!(
                "{nacks} refused; `nacks_by_code` says why"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(latencies: impl IntoIterator<Item = u64>) -> Option<Value> {
        let latencies = latencies.into_iter().collect();
        let results = Results {
            latencies,
            ..Results::default()
        };
        results.latency_us()
    }

    #[test]
    fn percentiles_are_latencies_that_were_measured() {
        assert_eq!(of([]), None);
        let one = json!({"p50": 7, "p90": 7, "p99": 7, "p99.9": 7, "max": 7});
        assert_eq!(of([7]), Some(one));
        let many = json!({"p50": 500, "p90": 900, "p99": 990, "p99.9": 999, "max": 1000});
        assert_eq!(of((1..=1_000).rev()), Some(many));
        let few = json!({"p50": 2, "p90": 4, "p99": 4, "p99.9": 4, "max": 4});
        assert_eq!(of([4, 3, 2, 1]), Some(few));
    }
}
