//! The endpoint and the phones behind it. Whatever is counted at the end is counted here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use ccs_tokio::proto::message::{NackCode, Receipt, Target};
use ccs_tokio::proto::{AnswerToken, ConnectionId};
use ccs_tokio::{
    ApiKey, Arrival, Data, Downstream, Endpoint, Identity, MessageId, Peer, PeerEvents,
    ServerConfig, ServerEvent, Upstream, Verdict,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::counts::{Expected, PhoneSide, Phones};

/// The payload key whose value is counted.
pub const CONTENT: &str = "content";
/// Tokens that no phone has.
const BAD_PREFIX: &str = "bad-";
/// Nothing on loopback takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A phone's message and what has to come of it.
pub struct Said {
    pub phone: String,
    pub action: &'static str,
    pub content: String,
    /// For a message to another phone.
    pub recipient: Option<String>,
}

/// The phones, and the connections of the app server that they are reached by.
pub struct Network {
    side: PhoneSide,
    expected: Mutex<Expected>,
    connections: Mutex<BTreeMap<ConnectionId, Peer>>,
    /// Answers are held back, so that messages stay in flight.
    holding: AtomicBool,
    held: Mutex<Vec<(Peer, AnswerToken)>>,
    changed: Notify,
}

impl Network {
    /// Starts an endpoint that lets in who has this key.
    pub async fn start(identity: Identity, key: ApiKey) -> anyhow::Result<(Arc<Self>, SocketAddr)> {
        let mut config = ServerConfig::default();
        // One round trip on loopback is far below this.
        config.drain_linger = Duration::from_millis(50);
        let endpoint = Endpoint::bind("127.0.0.1:0", identity, config, move |login| {
            let known = login.key().matches(&key);
            async move {
                if known {
                    Verdict::Accept
                } else {
                    Verdict::Reject
                }
            }
        })
        .await
        .context("no endpoint can be started on 127.0.0.1")?;
        let address = endpoint.local_addr()?;
        let network = Arc::new(Self {
            side: PhoneSide::default(),
            expected: Mutex::default(),
            connections: Mutex::default(),
            holding: AtomicBool::new(false),
            held: Mutex::default(),
            changed: Notify::new(),
        });
        tokio::spawn(Arc::clone(&network).accept(endpoint));
        Ok((network, address))
    }

    async fn accept(self: Arc<Self>, mut endpoint: Endpoint) {
        while let Ok(arrival) = endpoint.accept().await {
            if let Arrival::Connected { peer, events, .. } = arrival {
                lock(&self.connections).insert(peer.id(), peer.clone());
                self.changed.notify_waiters();
                tokio::spawn(Arc::clone(&self).serve(peer, events));
            }
        }
    }

    async fn serve(self: Arc<Self>, peer: Peer, mut events: PeerEvents) {
        while let Some(event) = events.next().await {
            match event {
                ServerEvent::Downstream {
                    message_id,
                    message,
                    token,
                } => {
                    self.deliver(&peer, &message_id, &message, token);
                }
                ServerEvent::Acked(message) => {
                    self.side
                        .lock()
                        .acked
                        .insert(message.message_id().to_string());
                }
                ServerEvent::ReceiptAcked(_) => self.side.lock().receipts_acked += 1,
                _ => {}
            }
            self.changed.notify_waiters();
        }
        lock(&self.connections).remove(&peer.id());
        self.changed.notify_waiters();
        // What this connection leaves un-acked goes out on another.
        for message in peer.take_unacked() {
            let _ = self.push(message).await;
        }
    }

    /// A message for a phone: counted, then acked. The same message again is a copy of the one before.
    fn deliver(&self, peer: &Peer, id: &MessageId, message: &Downstream, token: AnswerToken) {
        let Target::Token(phone) = message.target() else {
            return;
        };
        if phone.as_str().starts_with(BAD_PREFIX) {
            self.side.lock().refused += 1;
            let _ = peer.nack(token, &NackCode::BadRegistration, "");
            return;
        }
        let content = message
            .payload()
            .and_then(|data| data.get(CONTENT).map(|c| c.into_owned()));
        let mut side = self.side.lock();
        if side.seen.insert(id.to_string()) {
            let content = (phone.to_string(), content.unwrap_or_default());
            *side.got.entry(content).or_default() += 1;
        } else {
            side.duplicates += 1;
        }
        if message.wants_receipt() {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let at = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
            if peer
                .send_receipt(Receipt::new(id, phone.clone(), at))
                .is_ok()
            {
                side.receipts_sent += 1;
            }
        }
        drop(side);
        if self.holding.load(Ordering::Relaxed) {
            lock(&self.held).push((peer.clone(), token));
        } else {
            // On a connection that just ended the message comes again, and is a copy then.
            let _ = peer.ack(token, None);
        }
    }

    /// A phone says something.
    pub async fn say(&self, said: Said) -> anyhow::Result<()> {
        let Said {
            phone,
            action,
            content,
            recipient,
        } = said;
        let mut data = Data::new().with("action", action).with(CONTENT, &content);
        if let Some(recipient) = &recipient {
            data = data.with("recipient", recipient);
        }
        self.expect(recipient.as_deref().unwrap_or(&phone), &content);
        let id = {
            let mut side = self.side.lock();
            let id = format!("up-{}", side.sent.len() + 1);
            side.sent.insert(id.clone());
            id
        };
        let message = Upstream::new(phone, id)
            .with_category("com.example.demo")
            .with_data(data)
            .with_time_to_live(86_400);
        self.push(message).await
    }

    /// Sends over the oldest connection, so that one that drains is used to its end.
    async fn push(&self, mut message: Upstream) -> anyhow::Result<()> {
        loop {
            let changed = self.changed.notified();
            let peer = lock(&self.connections).values().next().cloned();
            let Some(peer) = peer else {
                timeout(PATIENCE, changed)
                    .await
                    .context("the app server does not come back")?;
                continue;
            };
            match peer.send(message).await {
                Ok(()) => return Ok(()),
                Err(ccs_tokio::proto::SendError::Closed(back)) => {
                    lock(&self.connections).remove(&peer.id());
                    message = *back;
                }
                Err(error) => return Err(anyhow!("the endpoint cannot send: {error}")),
            }
        }
    }

    /// Something has to reach a phone by the end.
    pub fn expect(&self, phone: &str, content: &str) {
        lock(&self.expected).insert((phone.to_owned(), content.to_owned()));
    }

    /// Holds answers back from now on.
    pub fn hold(&self) {
        self.holding.store(true, Ordering::Relaxed);
    }

    /// Gives the answers that were held back, and no longer holds any.
    pub fn release(&self) {
        self.holding.store(false, Ordering::Relaxed);
        for (peer, token) in lock(&self.held).drain(..) {
            let _ = peer.ack(token, None);
        }
    }

    pub fn held(&self) -> usize {
        lock(&self.held).len()
    }

    /// Announces on every connection that it will be closed.
    pub fn drain(&self) {
        lock(&self.connections).values().for_each(Peer::drain);
    }

    pub fn connections(&self) -> usize {
        lock(&self.connections).len()
    }

    /// Waits until the phones' side is as it should be.
    pub async fn until(&self, what: &str, reached: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if reached(self) {
                    return;
                }
                changed.await;
            }
        };
        timeout(PATIENCE, wait).await.map_err(|_| {
            anyhow!(
                "{what}: it did not come about within {} s",
                PATIENCE.as_secs()
            )
        })
    }

    /// Everything that phones sent was acked.
    pub fn all_acked(&self) -> bool {
        let side = self.side.lock();
        side.acked.len() == side.sent.len()
    }

    pub fn phones(&self) -> MutexGuard<'_, Phones> {
        self.side.lock()
    }

    pub fn expected(&self) -> Expected {
        lock(&self.expected).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
