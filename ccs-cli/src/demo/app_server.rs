//! The app server of the story: three payload handlers, and a second connection when the first one drains.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use ccs_tokio::proto::message::NackCode;
use ccs_tokio::{
    Client, Config, Data, Downstream, Event, Incoming, Message, RegistrationToken, SendError,
    Upstream, connect,
};
use tokio::sync::{mpsc, watch};

use super::Plant;
use super::counts::AppSide;
use super::phones::CONTENT;
use super::screen::Screen;

/// With the planted mistake the handler of every seventh message fails.
const FAILS_EACH: u64 = 7;

pub struct AppServer {
    config: Config,
    plant: Option<Plant>,
    screen: Arc<Screen>,
    /// Where a new connection is handed over.
    open: mpsc::Sender<Incoming>,
    /// The connection that new messages go out on.
    current: watch::Sender<Client>,
    registered: Mutex<BTreeSet<RegistrationToken>>,
    next_id: AtomicU64,
    side: Mutex<AppSide>,
    /// Upstream messages that came, in the order in which they came.
    came: AtomicU64,
    /// Handlers at work.
    working: watch::Sender<usize>,
}

impl AppServer {
    pub async fn start(
        config: Config,
        plant: Option<Plant>,
        screen: Arc<Screen>,
    ) -> anyhow::Result<Arc<Self>> {
        let (client, incoming) = connect(config.clone())
            .await
            .context("the app server cannot connect to the endpoint on this machine")?;
        let (open, opened) = mpsc::channel(1);
        let server = Arc::new(Self {
            open,
            config,
            plant,
            screen,
            current: watch::Sender::new(client),
            registered: Mutex::default(),
            next_id: AtomicU64::new(1),
            side: Mutex::default(),
            came: AtomicU64::new(0),
            working: watch::Sender::new(0),
        });
        tokio::spawn(Arc::clone(&server).receive_all(incoming, opened));
        Ok(server)
    }

    /// Takes what comes by each connection, until the last is over.
    async fn receive_all(self: Arc<Self>, first: Incoming, mut opened: mpsc::Receiver<Incoming>) {
        tokio::spawn(Arc::clone(&self).receive(first));
        while let Some(next) = opened.recv().await {
            tokio::spawn(Arc::clone(&self).receive(next));
        }
    }

    /// Takes what comes by one connection until it is over.
    async fn receive(self: Arc<Self>, mut incoming: Incoming) {
        while let Some(event) = incoming.next().await {
            match event {
                Event::Upstream(message) => {
                    self.working.send_modify(|working| *working += 1);
                    // Counted here, where messages are still in order: handlers run beside each other, and would make
                    // the planted mistake hit other messages in each run.
                    let number = self.came.fetch_add(1, Ordering::Relaxed) + 1;
                    let server = Arc::clone(&self);
                    tokio::spawn(async move {
                        server.take(message, number).await;
                        server.working.send_modify(|working| *working -= 1);
                    });
                }
                Event::Receipt(receipt) => {
                    let _ = receipt.ack();
                }
                // Messages go out on another connection at once. This one goes on receiving and acking, and the
                // endpoint closes it.
                Event::Draining => {
                    let server = Arc::clone(&self);
                    tokio::spawn(server.replace());
                }
                _ => {}
            }
        }
    }

    /// Handles, then acks: what fails is not acked and comes again. The planted mistake is the other order.
    async fn take(&self, message: Message<Upstream>, number: u64) {
        let upstream = (*message).clone();
        if self.plant == Some(Plant::AckEarly) {
            let _ = message.ack();
            if number.is_multiple_of(FAILS_EACH) {
                return;
            }
            let _ = self.handle(&upstream).await;
            return;
        }
        if self.handle(&upstream).await.is_ok() {
            // If the connection ended meanwhile the message comes again by another.
            let _ = message.ack();
        }
    }

    async fn handle(&self, message: &Upstream) -> anyhow::Result<()> {
        self.dispatch(message).await?;
        let id = message.message_id().to_string();
        lock(&self.side).handled.insert(id);
        Ok(())
    }

    /// The payload says which handler it is for.
    async fn dispatch(&self, message: &Upstream) -> anyhow::Result<()> {
        let Some(data) = message.data() else {
            bail!("a message without data");
        };
        match data.get("action").as_deref() {
            Some("REGISTER") => self.register(message, data).await,
            Some("ECHO") => self.echo(message, data).await,
            Some("MESSAGE") => self.pass_on(message, data).await,
            other => bail!("no handler for {other:?}"),
        }
    }

    async fn register(&self, message: &Upstream, data: &Data) -> anyhow::Result<()> {
        let phone = message.from();
        lock(&self.registered).insert(phone.clone());
        self.screen.said(phone.as_str(), "app server", "REGISTER");
        self.reply(message, phone, data).await
    }

    async fn echo(&self, message: &Upstream, data: &Data) -> anyhow::Result<()> {
        let phone = message.from();
        self.screen.said("app server", phone.as_str(), "ECHO");
        self.reply(message, phone, data).await
    }

    async fn pass_on(&self, message: &Upstream, data: &Data) -> anyhow::Result<()> {
        let phone = message.from();
        let Some(recipient) = data.get("recipient") else {
            bail!("a message to nobody");
        };
        self.screen.said(phone.as_str(), &recipient, &content(data));
        self.reply(message, &RegistrationToken::from(&*recipient), data)
            .await
    }

    /// The reply's id follows from the message's: if that comes again, its second reply is known as a copy.
    async fn reply(
        &self,
        message: &Upstream,
        to: &RegistrationToken,
        data: &Data,
    ) -> anyhow::Result<()> {
        let reply = Downstream::to(to.clone())
            .data(CONTENT, content(data))
            .id(format!("reply-{}", message.message_id()));
        self.send_until_known(reply).await?;
        Ok(())
    }

    /// Sends a message of the app server's own.
    pub async fn send(&self, message: Downstream) -> Result<(), SendError> {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.send_until_known(message.id(format!("down-{number}")))
            .await
    }

    /// Sends until it is known what became of the message: one that was not sent, or whose outcome is unknown, goes out
    /// again on the next connection with the same id.
    async fn send_until_known(&self, message: Downstream) -> Result<(), SendError> {
        let mut connections = self.current.subscribe();
        loop {
            let client = connections.borrow_and_update().clone();
            match client.send(message.clone()).await {
                Ok(ack) => {
                    lock(&self.side).accepted.insert(ack.message_id.to_string());
                    return Ok(());
                }
                // A message came again while it was being handled. Its reply is done only when that has an answer.
                Err(SendError::Duplicate(_)) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
                Err(SendError::NotSent { .. } | SendError::Unknown { .. }) => {}
                Err(SendError::Refused(nack)) if nack.code == NackCode::ConnectionDraining => {}
                Err(error) => {
                    self.forget_if_dead(&error);
                    return Err(error);
                }
            }
            // The sender of this channel is our own, so it is there.
            let _ = connections.changed().await;
        }
    }

    /// A token that the endpoint does not know is dropped.
    fn forget_if_dead(&self, error: &SendError) {
        if let SendError::Refused(nack) = error
            && nack.code.is_token_dead()
            && let Some(token) = &nack.from
        {
            lock(&self.registered).remove(&RegistrationToken::from(token.clone()));
        }
    }

    /// Opens a connection in place of one that drains.
    async fn replace(self: Arc<Self>) {
        match connect(self.config.clone()).await {
            Ok((client, incoming)) => {
                self.screen
                    .note("the app server opened a second connection");
                self.current.send_replace(client);
                let _ = self.open.send(incoming).await;
            }
            Err(error) => eprintln!("ccs: no second connection: {error}"),
        }
    }

    /// Sends one message to every phone that is registered.
    pub async fn broadcast(&self, content: &str) -> anyhow::Result<()> {
        let message = Downstream::to("").data(CONTENT, content);
        let mut outcomes = self.client().broadcast(message, self.registered());
        while let Some((token, result)) = outcomes.next().await {
            let ack = result.with_context(|| format!("the broadcast to {token}"))?;
            let mut side = lock(&self.side);
            side.accepted.insert(ack.message_id.to_string());
            side.broadcast += 1;
            drop(side);
            self.screen.said("app server", token.as_str(), content);
        }
        Ok(())
    }

    /// What the app server believes.
    pub fn side(&self) -> MutexGuard<'_, AppSide> {
        lock(&self.side)
    }

    /// The connection for new messages.
    pub fn client(&self) -> Client {
        self.current.borrow().clone()
    }

    pub fn register_token(&self, token: &str) {
        lock(&self.registered).insert(token.into());
    }

    pub fn registered(&self) -> Vec<RegistrationToken> {
        lock(&self.registered).iter().cloned().collect()
    }

    pub fn knows(&self, token: &str) -> bool {
        lock(&self.registered).contains(&RegistrationToken::from(token))
    }

    /// Waits until no handler is at work.
    pub async fn idle(&self) {
        let _ = self
            .working
            .subscribe()
            .wait_for(|working| *working == 0)
            .await;
    }
}

fn content(data: &Data) -> String {
    data.get(CONTENT)
        .map(|content| content.into_owned())
        .unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
