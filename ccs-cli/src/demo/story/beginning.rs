//! What happens on a good day.

use anyhow::{Context, bail, ensure};
use ccs_tokio::Downstream;
use tokio::task::JoinSet;

use super::Story;
use crate::demo::app_server::NotAccepted;
use crate::demo::phones::{Action, CONTENT, Said};

/// What XML and JSON would like to stumble over.
const DIFFICULT: &str = "\u{1f680} 5 < 7 & \"quoted\" ]]> \\ \u{fffe} done";

impl Story<'_> {
    pub(super) async fn register(&self) -> anyhow::Result<()> {
        self.chapter("phones register");
        for phone in self.phones() {
            let content = format!("welcome, {phone}");
            self.say(&phone, Action::Register, content).await?;
        }
        self.settle().await?;
        ensure!(
            self.server.desk().registered().len() == self.phones().count(),
            "a phone is not registered"
        );
        self.screen
            .note("every phone is registered and was welcomed");
        Ok(())
    }

    pub(super) async fn talk(&self) -> anyhow::Result<()> {
        self.chapter("phones echo, and write to each other");
        let phones: Vec<_> = self.phones().collect();
        let neighbours = phones.iter().cycle().skip(1);
        for (phone, neighbour) in phones.iter().zip(neighbours) {
            let content = format!("echo of {phone}");
            self.say(phone, Action::Echo, content).await?;
            for number in 1..=self.args.messages {
                let said = Said {
                    phone: phone.clone(),
                    action: Action::Message,
                    content: format!("message {number} of {phone}"),
                    recipient: Some(neighbour.clone()),
                    repeated: false,
                };
                self.network.say(said).await?;
            }
        }
        self.settle().await?;
        self.screen
            .note("each message was handled first and acked then");
        Ok(())
    }

    pub(super) async fn broadcast(&self) -> anyhow::Result<()> {
        self.chapter("a broadcast");
        let content = "news for everybody";
        let mut sending = JoinSet::new();
        for token in self.server.desk().registered() {
            self.screen.said("app server", token.as_str(), content);
            self.send_many(&mut sending, token.as_str(), vec![content.to_owned()]);
        }
        self.sent(sending).await
    }

    pub(super) async fn difficult(&self) -> anyhow::Result<()> {
        self.chapter("a message that is hard to put into XML");
        let phone = self.cast("reader");
        let sent = self.send(&phone, DIFFICULT).await;
        sent.context("the difficult message was not accepted")?;
        let shown = DIFFICULT.escape_debug().to_string();
        self.screen.said("app server", &phone, &shown);
        let piece = (phone, DIFFICULT.to_owned());
        ensure!(
            self.network
                .phones(|phones| phones.got.contains_key(&piece)),
            "the difficult message did not arrive as it was sent"
        );
        self.screen.note("it arrived byte for byte");
        Ok(())
    }

    pub(super) async fn bad_registration(&self) -> anyhow::Result<()> {
        self.chapter("a phone that is none");
        let desk = self.server.desk();
        desk.with(|side| side.registered.insert("bad-phone".into()));
        self.network
            .with(|exchange, _| exchange.phones.refusals_due += 1);
        let message = Downstream::to("bad-phone").data(CONTENT, "anybody?");
        match self.server.send(message).await {
            Err(NotAccepted::Refused(code)) => {
                self.screen.said("endpoint", "app server", code.as_str());
            }
            other => bail!("a bad registration should be refused, and this happened: {other:?}"),
        }
        if self.is_ours() {
            self.network
                .until("the end of the bad registration", || {
                    !desk.knows("bad-phone")
                })
                .await?;
            self.screen.note("the app server dropped that registration");
        }
        Ok(())
    }

    pub(super) async fn receipt(&self) -> anyhow::Result<()> {
        self.chapter("a receipt");
        let (phone, content) = (self.cast("confirms"), "please confirm");
        self.network.expect(&phone, content);
        self.network
            .with(|exchange, _| exchange.phones.receipts_due += 1);
        let message = Downstream::to(phone.as_str())
            .data(CONTENT, content)
            .receipt_requested(true);
        let sent = self.server.send(message).await;
        sent.context("the message was not accepted")?;
        self.screen.said("app server", &phone, content);
        let acked = || self.network.phones(|phones| phones.receipts_acked == 1);
        self.network.until("the receipt's ack", acked).await?;
        self.screen
            .said(&phone, "app server", "MESSAGE_SENT_TO_DEVICE");
        self.screen.note("the receipt was acked like a message");
        Ok(())
    }
}
