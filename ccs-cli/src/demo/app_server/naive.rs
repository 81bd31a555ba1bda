//! An app server as many are written: it works as long as nothing happens.
//!
//! It acks first and handles later, takes no notice when a connection drains, forgets what was in flight when one ends,
//! does not know a message that comes again, and gives up what is refused for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ccs_tokio::{Client, Config, Downstream, Event, Incoming, SendError, Upstream, connect};
use tokio::sync::watch;
use tokio::time::sleep;

use super::NotAccepted;
use crate::demo::desk::Desk;

/// Before it dials again.
const WAIT: Duration = Duration::from_millis(20);

pub struct Naive {
    desk: Arc<Desk>,
    /// The one connection.
    current: watch::Sender<Option<Client>>,
    /// Messages that are acked and not handled.
    working: AtomicUsize,
    ending: AtomicBool,
}

impl Naive {
    pub fn start(config: Config, desk: Arc<Desk>) -> Arc<Self> {
        let server = Arc::new(Self {
            desk,
            current: watch::Sender::new(None),
            working: AtomicUsize::new(0),
            ending: AtomicBool::new(false),
        });
        tokio::spawn(Arc::clone(&server).stay_connected(config));
        server
    }

    async fn stay_connected(self: Arc<Self>, config: Config) {
        while !self.ending.load(Ordering::SeqCst) {
            let Ok((client, incoming)) = connect(config.clone()).await else {
                sleep(WAIT).await;
                continue;
            };
            self.current.send_replace(Some(client));
            self.desk.with(|side| side.connections += 1);
            self.receive(incoming).await;
            self.current.send_replace(None);
        }
    }

    /// Takes what comes by one connection until it is over.
    async fn receive(self: &Arc<Self>, mut incoming: Incoming) {
        while let Some(event) = incoming.next().await {
            match event {
                Event::Upstream(message) => {
                    let upstream = (*message).clone();
                    self.working.fetch_add(1, Ordering::SeqCst);
                    let _ = message.ack();
                    tokio::spawn(Arc::clone(self).work(upstream));
                }
                Event::Receipt(receipt) => drop(receipt.ack()),
                // What `Event::Draining` says is not listened to.
                _ => {}
            }
        }
    }

    async fn work(self: Arc<Self>, message: Upstream) {
        self.handle(&message).await;
        self.working.fetch_sub(1, Ordering::SeqCst);
        self.desk.with(|_| {});
    }

    /// If this fails, nobody hears of it: the message is acked.
    async fn handle(&self, message: &Upstream) {
        let Some(action) = Desk::action(message) else {
            return;
        };
        let Ok(reply) = self.desk.answer(action, message, 1) else {
            return;
        };
        if self.send(reply.id(self.desk.next_id())).await.is_ok() {
            self.desk.handled(message);
        }
    }

    pub async fn send(&self, message: Downstream) -> Result<(), NotAccepted> {
        let client = self.current.borrow().clone();
        let sent = match client {
            Some(client) => client.send(message).await.map_err(NotAccepted::from),
            None => Err(NotAccepted::GivenUp("there is no connection".to_owned())),
        };
        self.desk.with(|side| match sent {
            Ok(ack) => {
                side.accepted.insert(ack.message_id.to_string());
                Ok(())
            }
            Err(error) => {
                side.given_up += 1;
                Err(error)
            }
        })
    }

    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    pub fn is_connected(&self) -> bool {
        self.current.borrow().is_some()
    }

    pub fn working(&self) -> usize {
        self.working.load(Ordering::SeqCst)
    }

    pub async fn end(&self) -> usize {
        self.ending.store(true, Ordering::SeqCst);
        let client = self.current.borrow().clone();
        if let Some(client) = client {
            // However that ends, it is the end.
            let _ = client.close().await;
        }
        0
    }
}

impl From<SendError> for NotAccepted {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Refused(nack) => Self::Refused(nack.code),
            other => Self::GivenUp(other.to_string()),
        }
    }
}
