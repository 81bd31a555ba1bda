//! Messages on their way, each with its outcome printed as it comes.

use std::time::Duration;

use ccs_tokio::ServiceError;
use ccs_tokio::{Downstream, Inbound, MessageId, Sent, Service};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::outcome::Tally;
use crate::watch::Watch;

/// Messages that are under way at once: two windows, so that one is full at all times and none waits for long.
const AT_ONCE: usize = 200;

/// The id, if the message had one of its own, what it was addressed to, and what became of it.
type Outcome = (Option<MessageId>, String, Result<Sent, ServiceError>);

pub struct Sending {
    service: Service,
    inbound: Inbound,
    watch: Watch,
    timeout: Duration,
    waiting: JoinSet<Outcome>,
    interrupts: Interrupts,
    /// Told by a message that has waited for longer than `timeout`.
    late: (mpsc::Sender<()>, mpsc::Receiver<()>),
    pub tally: Tally,
    /// Why nothing more is sent.
    failure: Option<Failure>,
}

impl Sending {
    pub fn new(
        (service, inbound, watch): (Service, Inbound, Watch),
        timeout: Duration,
    ) -> Result<Self, Failure> {
        Ok(Self {
            interrupts: Interrupts::new()?,
            service,
            inbound,
            watch,
            timeout,
            waiting: JoinSet::new(),
            late: mpsc::channel(1),
            tally: Tally::default(),
            failure: None,
        })
    }

    /// Whether one more may be sent without waiting.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < AT_ONCE
    }

    pub fn is_over(&self) -> bool {
        self.failure.is_some()
    }

    /// Sends one message, as soon as there is room for it.
    pub async fn send(&mut self, message: Downstream) {
        while !self.has_room() && !self.is_over() {
            self.step().await;
        }
        let to = message.target().to_string();
        let id = message.message_id().cloned();
        if self.is_over() {
            return self.tally.unsent(id.as_ref(), &to).print();
        }
        let (service, late, timeout) = (self.service.clone(), self.late.0.clone(), self.timeout);
        self.waiting.spawn(async move {
            let mut sending = std::pin::pin!(service.send(message));
            let result = tokio::select! {
                result = &mut sending => result,
                () = tokio::time::sleep(timeout) => {
                    // One is enough.
                    let _ = late.try_send(());
                    sending.await
                }
            };
            (id, to, result)
        });
    }

    /// Waits for the next thing to happen, while messages are under way.
    pub async fn step(&mut self) {
        let failed = tokio::select! {
            Some(outcome) = self.waiting.join_next() => return self.report(outcome),
            // What devices send meanwhile is not taken, so it is not acked and stays for another connection.
            Some(event) = self.inbound.next_event() => self.watch.see(event).map(|line| {
                if let Some(line) = line {
                    line.print();
                }
            }),
            Some(()) = self.late.1.recv() => Err(Failure::TimedOut(format!(
                "no answer within {} s\nhint: raise --timeout, or see --trace",
                self.timeout.as_secs()
            ))),
            failure = self.watch.given_up() => Err(failure),
            () = self.interrupts.next() => match self.failure {
                None => Err(Failure::interrupted()),
                Some(_) => Failure::interrupted_again(),
            },
        };
        if let Err(failure) = failed
            && self.failure.is_none()
        {
            self.failure = Some(failure);
            // All that wait hear of it now.
            let service = self.service.clone();
            tokio::spawn(async move { service.shutdown(Duration::ZERO).await });
        }
    }

    /// Waits until every message has its outcome, and ends in order. Gives why some have none, or why it could not go on.
    pub async fn finish(mut self) -> (Tally, Option<Failure>) {
        while !self.waiting.is_empty() {
            self.step().await;
        }
        tokio::select! {
            _ = self.service.shutdown(Duration::from_secs(5)) => {}
            () = self.interrupts.next() => {}
        }
        let why = || self.watch.why();
        let failure = self
            .failure
            .or_else(|| self.tally.lacks_outcomes().then(why));
        (self.tally, failure)
    }

    fn report(&mut self, outcome: Result<Outcome, JoinError>) {
        if let Ok((id, to, result)) = outcome {
            let connected = self.watch.was_connected();
            self.tally
                .report(id.as_ref(), &to, result, connected)
                .print();
        }
    }
}
