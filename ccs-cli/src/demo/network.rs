//! The endpoint on its socket: takes connections in, lets time pass, and is started again.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use ccs_tokio::proto::{ConnectionId, SenderId, Time};
use ccs_tokio::{
    ApiKey, Arrival, Config, Endpoint, Identity, LoginVerdict, PeerEvents, ServerConfig, Trust,
};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::changed::Changed;
use super::exchange::Exchange;
use super::phones::{Chapter, Phones, Said};
use crate::certificate;

const SENDER: &str = "123456789012";
const KEY: &str = "demo-key";
/// Un-acked messages of phones at which they wait before they send more.
const UNACKED: usize = 1_000;

pub struct Network {
    exchange: Mutex<Exchange>,
    started: Instant,
    identity: Identity,
    trust: Trust,
    address: SocketAddr,
    config: ServerConfig,
    /// The endpoint that runs.
    running: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    changed: Changed,
}

impl Network {
    /// Starts an endpoint. One that drains and has no answer for a message waits for `drain_timeout`.
    pub async fn start(changed: Changed, drain_timeout: Duration) -> anyhow::Result<Arc<Self>> {
        let made = certificate::make(SystemTime::now())
            .context("the demo's certificate cannot be made")?;
        let mut config = ServerConfig::default();
        // One round trip on loopback is far below this.
        config.drain_linger = Duration::from_millis(50);
        config.drain_timeout = drain_timeout;
        let mut network = Self {
            exchange: Mutex::new(Exchange::new(SENDER.parse()?)),
            started: Instant::now(),
            identity: Identity::new(made.cert.as_bytes(), made.cert_key.as_bytes())?,
            trust: Trust::only(made.ca.as_bytes())?,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            config,
            running: tokio::sync::Mutex::default(),
            changed,
        };
        let endpoint = network.bind().await?;
        network.address = endpoint.local_addr()?;
        let network = Arc::new(network);
        network.run(endpoint).await;
        tokio::spawn(Arc::clone(&network).keep_time());
        Ok(network)
    }

    /// What an app server needs to connect.
    pub fn config(&self) -> anyhow::Result<Config> {
        let sender: SenderId = SENDER.parse()?;
        let mut config = Config::new("127.0.0.1", sender, ApiKey::from(KEY));
        config.port = self.address.port();
        config.trust = self.trust.clone();
        Ok(config)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the endpoint with all its connections and all that it has in memory, and starts another one on the same port.
    /// Gives how many records that one found in the store.
    pub async fn restart(self: &Arc<Self>) -> anyhow::Result<usize> {
        let mut running = self.running.lock().await;
        if let Some(running) = running.take() {
            running.abort();
            // Its port is free when it is gone.
            let _ = running.await;
        }
        drop(running);
        let records = self.with(Exchange::restart);
        let endpoint = self.bind().await?;
        self.run(endpoint).await;
        Ok(records)
    }

    async fn bind(&self) -> anyhow::Result<Endpoint> {
        let (identity, config) = (self.identity.clone(), self.config.clone());
        Endpoint::bind(self.address, identity, config, |login| {
            let known = login.key().matches(&ApiKey::from(KEY));
            async move {
                match known {
                    true => LoginVerdict::Accept,
                    false => LoginVerdict::Reject,
                }
            }
        })
        .await
        .with_context(|| format!("no endpoint can be started on {}", self.address))
    }

    async fn run(self: &Arc<Self>, endpoint: Endpoint) {
        let task = tokio::spawn(Arc::clone(self).accept(endpoint));
        *self.running.lock().await = Some(task);
    }

    async fn accept(self: Arc<Self>, mut endpoint: Endpoint) {
        while let Ok(arrival) = endpoint.accept().await {
            if let Arrival::Connected { peer, events, .. } = arrival {
                let id = peer.id();
                self.with(|exchange, now| exchange.login(now, peer));
                tokio::spawn(Arc::clone(&self).serve(id, events));
            }
        }
    }

    async fn serve(self: Arc<Self>, id: ConnectionId, mut events: PeerEvents) {
        while let Some(event) = events.next().await {
            self.with(|exchange, now| exchange.handle(now, id, event));
        }
    }

    async fn keep_time(self: Arc<Self>) {
        let mut news = self.changed.news();
        loop {
            let due = self.look(Exchange::next_due);
            let wake = async {
                match due {
                    Some(due) => sleep_until((self.started + due.since_origin()).into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = wake => self.with(|exchange, now| exchange.tick(now)),
                told = news.changed() => if told.is_err() {
                    return;
                },
            }
        }
    }

    /// A phone says something, and has to get what comes of it. Waits while too much is un-acked. Gives the message's id.
    pub async fn say(&self, said: Said) -> anyhow::Result<String> {
        let room = || self.look(|exchange| exchange.unacked() < UNACKED);
        self.until("acks of the app server", room).await?;
        self.with(|exchange, now| {
            let repeated = said.repeated;
            let message = exchange.phones.say(said);
            let id = message.message_id().to_string();
            if repeated {
                exchange.faults.repeat(&id);
            }
            exchange.submit(now, message)?;
            Ok(id)
        })
    }

    /// Something has to reach a phone by the end.
    pub fn expect(&self, phone: &str, content: &str) {
        self.with(|exchange, _| exchange.phones.expect(phone, content));
    }

    pub fn chapter(&self, chapter: Chapter) {
        self.with(|exchange, _| exchange.phones.chapters.push(chapter));
    }

    /// Does something with the endpoint, then what comes of it.
    pub fn with<T>(&self, act: impl FnOnce(&mut Exchange, Time) -> T) -> T {
        let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Time::from_origin(self.started.elapsed());
        let done = act(&mut exchange, now);
        exchange.settle(now);
        drop(exchange);
        self.changed.tell();
        done
    }

    pub fn look<T>(&self, look: impl FnOnce(&Exchange) -> T) -> T {
        look(&self.exchange.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn phones<T>(&self, look: impl FnOnce(&Phones) -> T) -> T {
        self.look(|exchange| look(&exchange.phones))
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
        self.changed.until(what, is_so).await
    }
}
