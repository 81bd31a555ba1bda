//! The story, chapter by chapter, for whichever app server is in it.

mod beginning;
mod trouble;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ccs_tokio::Downstream;
use tokio::task::JoinSet;

use super::DemoArgs;
use super::app_server::{AppServer, Kind, NotAccepted};
use super::changed::Changed;
use super::counts::Reconciled;
use super::desk::Desk;
use super::network::Network;
use super::phones::{Action, CONTENT, Chapter, Said};
use super::screen::Screen;
use crate::dice::Dice;

/// What has no answer when a connection drains does not hold it up for longer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// How a story ended.
pub struct End {
    pub counts: Reconciled,
    pub took: Duration,
}

/// Tells it with this app server.
pub async fn tell(args: &DemoArgs, kind: Kind, screen: Arc<Screen>) -> anyhow::Result<End> {
    let started = Instant::now();
    let changed = Changed::new();
    let network = Network::start(changed.clone(), DRAIN_TIMEOUT).await?;
    screen.title(&format!(
        "an endpoint on {}, {} phones, an app server, TLS in between",
        network.address(),
        args.devices
    ));
    let desk = Desk::new(Arc::clone(&screen), changed, None);
    let story = Story {
        args,
        screen,
        server: AppServer::start(kind, network.config()?, desk, args.seed),
        network,
    };
    story.settle().await?;
    story.register().await?;
    story.talk().await?;
    story.broadcast().await?;
    story.difficult().await?;
    story.bad_registration().await?;
    story.receipt().await?;
    story.drain().await?;
    story.cut().await?;
    story.busy().await?;
    story.twice().await?;
    story.poison().await?;
    story.restart().await?;
    let counts = story.end().await?;
    let took = started.elapsed();
    Ok(End { counts, took })
}

struct Story<'a> {
    args: &'a DemoArgs,
    screen: Arc<Screen>,
    network: Arc<Network>,
    server: AppServer,
}

/// Messages of the app server on their way, each with what became of it.
type Sending = JoinSet<Result<(), NotAccepted>>;

impl Story<'_> {
    fn chapter(&self, title: Chapter) {
        self.screen.chapter(title);
        self.network.chapter(title);
    }

    /// The app server that keeps what it was given has to do what the chapter says.
    fn is_ours(&self) -> bool {
        self.server.kind() == Kind::Service
    }

    async fn say(&self, phone: &str, action: Action, content: String) -> anyhow::Result<String> {
        self.network
            .say(Said {
                phone: phone.to_owned(),
                action,
                content,
                recipient: None,
                repeated: false,
            })
            .await
    }

    /// Sends content that has to reach a phone.
    async fn send(&self, phone: &str, content: &str) -> Result<(), NotAccepted> {
        self.network.expect(phone, content);
        let message = Downstream::to(phone).data(CONTENT, content);
        self.server.send(message).await
    }

    /// Sends to a phone, many messages at once.
    fn send_many(&self, sending: &mut Sending, phone: &str, contents: Vec<String>) {
        for content in contents {
            self.network.expect(phone, &content);
            let message = Downstream::to(phone).data(CONTENT, content);
            let server = self.server.clone();
            sending.spawn(async move { server.send(message).await });
        }
    }

    /// All of them have an answer; those of an app server that keeps them were accepted.
    async fn sent(&self, mut sending: Sending) -> anyhow::Result<()> {
        while let Some(sent) = sending.join_next().await {
            let sent = sent?;
            if self.is_ours() {
                sent.context("a message was not accepted")?;
            }
        }
        Ok(())
    }

    /// Everything that was said so far was acked, nothing is at work, and there is one connection.
    async fn settle(&self) -> anyhow::Result<()> {
        let settled = || {
            let quiet = |network: &Network| {
                network.look(|exchange| exchange.phones.all_acked() && exchange.is_ready())
            };
            quiet(&self.network) && self.server.is_ready() && self.server.is_idle()
        };
        self.network.until("acks of all messages", settled).await
    }

    /// One of the phones, as the seed decides.
    fn cast(&self, part: &str) -> String {
        let number = Dice::new(self.args.seed, part).one_of(self.args.devices);
        format!("phone-{}", number + 1)
    }

    fn phones(&self) -> impl Iterator<Item = String> {
        (1..=self.args.devices).map(|number| format!("phone-{number}"))
    }

    async fn end(&self) -> anyhow::Result<Reconciled> {
        self.chapter("the end, in order");
        let left = self.server.end().await;
        ensure!(left == 0, "the app server left {left} messages unsent");
        let gone = || self.network.look(|exchange| exchange.connections() == 0);
        self.network.until("the end", gone).await?;
        self.screen.note("the stream was ended by both sides");
        self.screen.end_part();
        let side = self.server.desk().side();
        Ok(self.network.phones(|phones| Reconciled::new(phones, &side)))
    }
}
