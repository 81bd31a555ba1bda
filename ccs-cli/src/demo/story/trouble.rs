//! What happens on every other day.

use anyhow::{Context, ensure};
use ccs_tokio::proto::hub::Reach;
use tokio::task::JoinSet;

use super::{Sending, Story};
use crate::demo::exchange::Exchange;
use crate::demo::phones::{Action, Said};

/// Messages of the app server in flight when something happens to their connection.
const IN_FLIGHT: usize = 30;
/// Phones whose messages are in flight then, at most: each has one, since a phone's messages are handled one by one.
const SPOKEN: usize = 10;
/// How often the endpoint is too busy for a message.
const BUSY: u32 = 2;

impl Story<'_> {
    /// The endpoint says that it will close the connection while messages are in flight both ways, and more come.
    pub(super) async fn drain(&self) -> anyhow::Result<()> {
        self.chapter("a connection drains, under load");
        let mut sending = self.in_flight("draining").await?;
        let given_up = self.given_up();
        self.network.with(Exchange::drain);
        self.screen
            .said("endpoint", "app server", "CONNECTION_DRAINING");
        if self.is_ours() {
            let second = || self.network.look(|exchange| exchange.connections() == 2);
            self.network.until("a second connection", second).await?;
            self.screen
                .note("the app server opened a second connection");
        }
        let spoken = self.phones().take(SPOKEN).count();
        let contents = contents("sent while draining", IN_FLIGHT);
        self.send_many(&mut sending, &self.cast("drained"), contents);
        let out = || {
            let held = self.network.look(|exchange| exchange.faults.held());
            held + self.given_up() - given_up == 2 * IN_FLIGHT + spoken
        };
        self.network.until("more messages in flight", out).await?;
        self.screen.note(&format!(
            "{IN_FLIGHT} more messages are in flight on that one"
        ));
        self.network.with(Exchange::release);
        self.sent(sending).await?;
        self.settle().await?;
        self.screen
            .note("everything in flight got its answer where it was sent, and the old connection was closed");
        Ok(())
    }

    /// A connection ends without a word, with messages in flight both ways.
    pub(super) async fn cut(&self) -> anyhow::Result<()> {
        self.chapter("a connection is cut");
        let sending = self.in_flight("cut").await?;
        self.network.with(|exchange, _| {
            // Nobody will be answered.
            drop(exchange.faults.let_go());
            exchange.cut();
        });
        self.sent(sending).await?;
        self.settle().await?;
        self.screen
            .note("what had no answer went out again on the next connection, with the same id");
        Ok(())
    }

    /// The endpoint refuses a message for a while.
    pub(super) async fn busy(&self) -> anyhow::Result<()> {
        self.chapter("the endpoint is busy");
        let phone = self.cast("busy");
        let retried = self.server.desk().side().retried;
        self.network
            .with(|exchange, _| exchange.faults.busy(&phone, BUSY));
        let sent = self.send(&phone, "when you have time").await;
        // What a naive app server gave up is not refused again.
        self.network
            .with(|exchange, _| exchange.faults.busy(&phone, 0));
        if self.is_ours() {
            sent.context("a busy endpoint was not asked again until it accepted")?;
            let all = || self.server.desk().side().retried == retried + BUSY;
            self.network.until("both retries", all).await?;
            for _ in 0..BUSY {
                self.screen
                    .said("endpoint", "app server", "SERVICE_UNAVAILABLE");
            }
            self.screen
                .note("it was sent again after a while, twice, and accepted then");
        }
        Ok(())
    }

    /// A message that was acked comes again, as if the ack had been lost.
    pub(super) async fn twice(&self) -> anyhow::Result<()> {
        self.chapter("a message comes twice");
        let said = Said {
            phone: self.cast("twice"),
            action: Action::Echo,
            content: "said once".to_owned(),
            recipient: None,
            repeated: true,
        };
        let copies = self.server.desk().side().known_copies;
        let id = self.network.say(said).await?;
        let twice = || {
            let acks = self.network.phones(|phones| phones.acked.get(&id).copied());
            acks == Some(2)
        };
        self.network.until("its second ack", twice).await?;
        self.settle().await?;
        if self.is_ours() {
            let known = || self.server.desk().side().known_copies == copies + 1;
            self.network.until("the copy", known).await?;
            self.screen
                .note("the copy was known and acked, and no handler saw it");
        }
        Ok(())
    }

    /// A message that its handler fails on, among others.
    pub(super) async fn poison(&self) -> anyhow::Result<()> {
        self.chapter("a message that no handler can do");
        let phone = self.cast("poison");
        let failed = self.server.desk().side().failed;
        let content = "drop table".to_owned();
        let id = self.say(&phone, Action::Poison, content).await?;
        for other in self.phones().filter(|other| *other != phone) {
            let content = format!("meanwhile, {other}");
            self.say(&other, Action::Echo, content).await?;
        }
        self.settle().await?;
        if self.is_ours() {
            let kept = || self.server.desk().side().dead.contains(&id);
            self.network.until("the dead letter", kept).await?;
            let tries = self.server.desk().side().failed - failed;
            ensure!(tries == 5, "the handler was run {tries} times, not 5");
            self.screen.note(
                "after five tries it was kept as a dead letter and acked, and held up nobody else",
            );
        }
        Ok(())
    }

    /// The endpoint stops without a word, with messages in flight both ways and one that waits for a phone.
    pub(super) async fn restart(&self) -> anyhow::Result<()> {
        self.chapter("the endpoint is started again");
        let sleeper = self.cast("sleeper");
        self.network
            .with(|exchange, now| exchange.set_reach(now, &sleeper, Reach::Offline));
        let sent = self.send(&sleeper, "for when you wake up").await;
        sent.context("the message for a phone that is off was not accepted")?;
        ensure!(
            self.network.look(Exchange::kept) == 1,
            "the message for a phone that is off is not kept"
        );
        self.screen
            .note("a message waits for a phone that is switched off");
        let sending = self.in_flight("restart").await?;
        let records = self.network.restart().await?;
        self.screen.note(&format!(
            "the endpoint is gone with its connections, and started again with {records} records of its store"
        ));
        self.sent(sending).await?;
        self.settle().await?;
        self.network
            .with(|exchange, now| exchange.set_reach(now, &sleeper, Reach::Online));
        ensure!(
            self.network.look(Exchange::kept) == 0,
            "the message for the phone that was off did not reach it"
        );
        self.screen
            .note("the phone was switched on and got its message");
        Ok(())
    }

    /// Messages of both sides are in flight: the endpoint has them, and answers none.
    async fn in_flight(&self, when: &str) -> anyhow::Result<Sending> {
        self.network.with(|exchange, _| exchange.faults.hold());
        let mut sending = JoinSet::new();
        let contents = contents(&format!("in flight, {when}"), IN_FLIGHT);
        self.send_many(&mut sending, &self.cast(when), contents);
        let mut replies = 0;
        for phone in self.phones().take(SPOKEN) {
            let content = format!("said by {phone}, {when}");
            self.say(&phone, Action::Echo, content).await?;
            replies += 1;
        }
        let all = || {
            self.network
                .look(|exchange| exchange.faults.held() == IN_FLIGHT + replies)
        };
        self.network.until("messages in flight", all).await?;
        self.screen.note(&format!(
            "{IN_FLIGHT} messages and {replies} replies are in flight"
        ));
        Ok(sending)
    }

    fn given_up(&self) -> usize {
        self.server.desk().side().given_up
    }
}

fn contents(what: &str, many: usize) -> Vec<String> {
    (1..=many)
        .map(|number| format!("{what} {number}"))
        .collect()
}
