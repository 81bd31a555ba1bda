//! The story, chapter by chapter.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{bail, ensure};
use ccs_tokio::{ApiKey, Config, Downstream, SendError};
use serde_json::json;

use super::DemoArgs;
use super::app_server::AppServer;
use super::certs;
use super::counts::Reconciled;
use super::phones::{CONTENT, Network, Said};
use super::screen::Screen;

const SENDER: &str = "123456789012";
/// What XML and JSON would like to stumble over.
const DIFFICULT: &str = "\u{1f680} 5 < 7 & \"quoted\" ]]> \\ \u{fffe} done";
/// Messages in flight when the connection drains.
const IN_FLIGHT: usize = 30;

/// Tells it, and gives the counts it ends with.
pub async fn tell(args: &DemoArgs, screen: Screen) -> anyhow::Result<Reconciled> {
    let started = Instant::now();
    let key = ApiKey::from("demo-key");
    let (identity, trust) = certs::make()?;
    let (network, address) = Network::start(identity, key.clone()).await?;
    let mut config = Config::new("127.0.0.1", SENDER.parse()?, key);
    config.port = address.port();
    config.trust = trust;

    let screen = Arc::new(screen);
    screen.title(&format!(
        "an endpoint on {address}, {} phones, an app server, TLS in between",
        args.devices
    ));
    let server = AppServer::start(config, args.plant, Arc::clone(&screen)).await?;
    let story = Story {
        args,
        screen,
        network,
        server,
    };
    story.register().await?;
    story.talk().await?;
    story.broadcast().await?;
    story.difficult().await?;
    story.bad_registration().await?;
    story.receipt().await?;
    story.drain().await?;
    story.end(started).await
}

struct Story<'a> {
    args: &'a DemoArgs,
    screen: Arc<Screen>,
    network: Arc<Network>,
    server: Arc<AppServer>,
}

impl Story<'_> {
    async fn register(&self) -> anyhow::Result<()> {
        self.screen.chapter("phones register");
        for phone in self.phones() {
            let content = format!("welcome, {phone}");
            self.say(phone, "REGISTER", content, None).await?;
        }
        self.settle().await?;
        if self.args.plant.is_none() {
            ensure!(
                self.server.registered().len() == self.phones().count(),
                "a phone is not registered"
            );
        }
        self.screen.note(match self.args.plant {
            None => "every phone is registered and was welcomed",
            Some(_) => "every message was acked, before it was handled",
        });
        Ok(())
    }

    async fn talk(&self) -> anyhow::Result<()> {
        self.screen.chapter("phones echo, and write to each other");
        let phones: Vec<_> = self.phones().collect();
        for (at, phone) in phones.iter().enumerate() {
            self.say(phone.clone(), "ECHO", format!("echo of {phone}"), None)
                .await?;
            for number in 1..=self.args.messages {
                let recipient = phones.iter().cycle().nth(at + 1).cloned();
                let content = format!("message {number} of {phone}");
                self.say(phone.clone(), "MESSAGE", content, recipient)
                    .await?;
            }
        }
        self.settle().await?;
        self.screen.note(match self.args.plant {
            None => "each message was handled first and acked then",
            Some(_) => "each message was acked, and handled only then",
        });
        Ok(())
    }

    async fn broadcast(&self) -> anyhow::Result<()> {
        self.screen.chapter("a broadcast");
        let content = "news for everybody";
        for token in self.server.registered() {
            self.network.expect(token.as_str(), content);
        }
        self.server.broadcast(content).await
    }

    async fn difficult(&self) -> anyhow::Result<()> {
        self.screen
            .chapter("a message that is hard to put into XML");
        let content = DIFFICULT;
        self.network.expect("phone-1", content);
        self.server
            .send(Downstream::to("phone-1").data(CONTENT, content))
            .await?;
        self.screen
            .said("app server", "phone-1", &content.escape_debug().to_string());
        let arrived = self
            .network
            .phones()
            .got
            .contains_key(&("phone-1".to_owned(), content.to_owned()));
        ensure!(
            arrived,
            "the difficult message did not arrive as it was sent"
        );
        self.screen.note("it arrived byte for byte");
        Ok(())
    }

    async fn bad_registration(&self) -> anyhow::Result<()> {
        self.screen.chapter("a phone that is none");
        self.server.register_token("bad-phone");
        match self
            .server
            .send(Downstream::to("bad-phone").data(CONTENT, "anybody?"))
            .await
        {
            Err(SendError::Refused(nack)) => {
                self.screen
                    .said("endpoint", "app server", nack.code.as_str());
            }
            other => bail!("a bad registration should be refused, and this happened: {other:?}"),
        }
        ensure!(
            !self.server.knows("bad-phone"),
            "the bad registration is still kept"
        );
        self.screen.note("the app server dropped that registration");
        Ok(())
    }

    async fn receipt(&self) -> anyhow::Result<()> {
        self.screen.chapter("a receipt");
        let content = "please confirm";
        self.network.expect("phone-2", content);
        let message = Downstream::to("phone-2")
            .data(CONTENT, content)
            .receipt_requested(true);
        self.server.send(message).await?;
        self.screen.said("app server", "phone-2", content);
        self.network
            .until("the receipt's ack", |network| {
                network.phones().receipts_acked == 1
            })
            .await?;
        self.screen
            .said("phone-2", "app server", "MESSAGE_SENT_TO_DEVICE");
        self.screen.note("the receipt was acked like a message");
        Ok(())
    }

    /// The endpoint says that it will close the connection while messages are in flight both ways.
    async fn drain(&self) -> anyhow::Result<()> {
        self.screen
            .chapter("the endpoint drains the connection, with messages in flight");
        let network = &self.network;
        network.hold();
        let mut sending = tokio::task::JoinSet::new();
        for number in 1..=IN_FLIGHT {
            let content = format!("in flight {number}");
            network.expect("phone-1", &content);
            let server = Arc::clone(&self.server);
            sending.spawn(async move {
                server
                    .send(Downstream::to("phone-1").data(CONTENT, content))
                    .await
            });
        }
        network
            .until("messages in flight", |network| network.held() == IN_FLIGHT)
            .await?;
        self.screen
            .note(&format!("{IN_FLIGHT} messages are in flight"));
        network.drain();
        self.screen
            .said("endpoint", "app server", "CONNECTION_DRAINING");
        network
            .until("a second connection", |network| network.connections() == 2)
            .await?;
        // The oldest connection is the one that drains: what comes by it is acked by it.
        let content = "said over the draining connection".to_owned();
        network.release();
        self.say("phone-1".to_owned(), "ECHO", content, None)
            .await?;
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        self.settle().await?;
        network
            .until("the old connection's end", |network| {
                network.connections() == 1
            })
            .await?;
        self.screen.note(
            "everything in flight got its answer, and the endpoint closed the old connection",
        );
        let content = "said over the new connection".to_owned();
        self.say("phone-2".to_owned(), "ECHO", content, None)
            .await?;
        self.settle().await
    }

    async fn end(&self, started: Instant) -> anyhow::Result<Reconciled> {
        self.screen.chapter("the end, in order");
        self.server.client().close().await?;
        self.network
            .until("the end", |network| network.connections() == 0)
            .await?;
        self.screen.note("the stream was ended by both sides");
        self.screen.end_chapter();
        let counts = Reconciled::new(
            &self.network.phones(),
            &self.server.side(),
            &self.network.expected(),
        );
        self.report(&counts, started);
        Ok(counts)
    }

    fn report(&self, counts: &Reconciled, started: Instant) {
        let seconds = started.elapsed().as_secs_f64();
        self.screen.title("counted where it arrived");
        self.screen.table(&[
            ("phones sent", counts.upstream_sent.to_string()),
            ("of that handled", counts.upstream_handled.to_string()),
            ("of that acked", counts.upstream_acked.to_string()),
            ("the endpoint accepted", counts.accepted.to_string()),
            ("of that the broadcast", counts.broadcast.to_string()),
            ("meant for phones", counts.expected.to_string()),
            ("of that arrived", counts.delivered.to_string()),
            ("copies, known as such", counts.duplicates.to_string()),
            (
                "receipts sent / acked",
                format!("{} / {}", counts.receipts.0, counts.receipts.1),
            ),
            ("refused, as it should be", counts.refused.to_string()),
            ("seconds", format!("{seconds:.2}")),
        ]);
        self.screen.lost(&counts.lost);
        self.screen.verdict(counts.losses());
        self.screen.summary(&json!({
            "event": "summary",
            "upstream_sent": counts.upstream_sent,
            "upstream_handled": counts.upstream_handled,
            "upstream_acked": counts.upstream_acked,
            "accepted": counts.accepted,
            "broadcast": counts.broadcast,
            "expected": counts.expected,
            "delivered": counts.delivered,
            "duplicates": counts.duplicates,
            "receipts_sent": counts.receipts.0,
            "receipts_acked": counts.receipts.1,
            "refused": counts.refused,
            "seconds": seconds,
            "disagreements": counts.disagreements(),
            "lost": counts.losses(),
        }));
    }

    /// Everything that was said so far was acked, and no handler is at work.
    async fn settle(&self) -> anyhow::Result<()> {
        self.network
            .until("acks of all messages", Network::all_acked)
            .await?;
        self.server.idle().await;
        Ok(())
    }

    async fn say(
        &self,
        phone: String,
        action: &'static str,
        content: String,
        recipient: Option<String>,
    ) -> anyhow::Result<()> {
        self.network
            .say(Said {
                phone,
                action,
                content,
                recipient,
            })
            .await
    }

    fn phones(&self) -> impl Iterator<Item = String> {
        (1..=self.args.devices).map(|number| format!("phone-{number}"))
    }
}
