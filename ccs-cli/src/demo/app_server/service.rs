//! An app server that survives its connections: a handler for each kind of message, and the rest is the service's.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ccs_tokio::ServiceError;
use ccs_tokio::proto::session::{
    Backoff, DeadLetter, DeadMessage, Received, Refused, SessionEvent, Verdict,
};
use ccs_tokio::{Client, Config, Downstream, Inbound, Routes, Service, ServiceEvent, StartConfig};

use super::NotAccepted;
use crate::demo::desk::Desk;
use crate::demo::phones::{ACTION, Action};

/// Handlers at work at once.
const HANDLERS: usize = 64;
/// How long a handler may take, and the service to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Waits that nobody has to sit through; the defaults spare an endpoint that many dial.
const SOON: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(200));

pub struct Surviving {
    desk: Arc<Desk>,
    service: Service,
}

impl Surviving {
    pub fn start(config: Config, desk: Arc<Desk>, seed: u64) -> Arc<Self> {
        let mut start = StartConfig::new(config);
        start.session.seed = seed;
        start.session.retry = SOON;
        start.session.handler_retry = SOON;
        start.session.reconnect = SOON;
        // A handshake fails here only when its connection is cut.
        start.session.reconnect_tls = SOON;
        let handlers = Arc::new(Handlers {
            desk: Arc::clone(&desk),
            service: OnceLock::new(),
        });
        start.routes = Some(routes(&handlers));
        let (service, inbound, driver) = Client::start_with(start);
        // Before the first message can come.
        let _ = handlers.service.set(service.clone());
        tokio::spawn(driver);
        tokio::spawn(watch(Arc::clone(&desk), inbound));
        Arc::new(Self { desk, service })
    }

    pub async fn send(&self, message: Downstream) -> Result<(), NotAccepted> {
        send(&self.service, &self.desk, message).await
    }

    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    pub fn queued(&self) -> usize {
        self.service.queued()
    }

    pub async fn end(&self) -> usize {
        self.service.shutdown(PATIENCE).await.len()
    }
}

/// What handlers need.
struct Handlers {
    desk: Arc<Desk>,
    service: OnceLock<Service>,
}

fn routes(handlers: &Arc<Handlers>) -> Routes {
    let mut routes = Routes::new(HANDLERS, PATIENCE);
    for action in Action::ALL {
        let handlers = Arc::clone(handlers);
        routes = routes.on_value(ACTION, action.as_str(), move |message, attempt| {
            Arc::clone(&handlers).handle(action, message, attempt)
        });
    }
    routes
}

impl Handlers {
    /// Handles, and says so then: what fails is not acked, and comes again.
    async fn handle(self: Arc<Self>, action: Action, message: Received, attempt: u32) -> Verdict {
        let (Received::Upstream(message), Some(service)) = (message, self.service.get()) else {
            return Verdict::Retry;
        };
        let Ok(reply) = self.desk.answer(action, &message, attempt) else {
            return Verdict::Retry;
        };
        // The reply's id follows from the message's: if that is handled again, its second reply is known as a copy.
        let reply = reply.id(format!("reply-{}", message.message_id()));
        if send(service, &self.desk, reply).await.is_err() {
            return Verdict::Retry;
        }
        self.desk.handled(&message);
        Verdict::Ack
    }
}

async fn send(service: &Service, desk: &Desk, message: Downstream) -> Result<(), NotAccepted> {
    let sent = service.send(message).await;
    desk.with(|side| match sent {
        Ok(sent) => {
            side.accepted.insert(sent.message_id.to_string());
            Ok(())
        }
        Err(error) => {
            side.given_up += 1;
            Err(error.into())
        }
    })
}

impl From<ServiceError> for NotAccepted {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused {
                refused: Refused::Nack(nack),
                ..
            } => Self::Refused(nack.code),
            other => Self::GivenUp(other.to_string()),
        }
    }
}

/// Counts what a service tells, and forgets tokens that reach nobody.
async fn watch(desk: Arc<Desk>, mut inbound: Inbound) {
    while let Some(event) = inbound.next().await {
        let ServiceEvent::Session(event) = event else {
            continue;
        };
        desk.with(|side| match event {
            SessionEvent::Connected { .. } => side.connections += 1,
            SessionEvent::Retrying { .. } => side.retried += 1,
            SessionEvent::Duplicate { .. } => side.known_copies += 1,
            SessionEvent::TokenGone { token, .. } => {
                side.registered.remove(&token.into());
            }
            SessionEvent::DeadLetter(DeadLetter {
                message: DeadMessage::Received(message),
                ..
            }) => {
                side.dead.insert(message.message_id().to_string());
            }
            _ => {}
        });
    }
}
