//! Handlers for each kind of message.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::super::shared::Shared;
use super::super::tasks::Tasks;
use super::machine::{Ask, SessionMachine};
use crate::session::{
    Delivery, DeliveryToken, HandlerId, Received, Router, Run, RunEnd, RunId, Verdict,
};
use crate::time::Time;

type Running = Pin<Box<dyn Future<Output = Verdict> + Send>>;
type Handler = Arc<dyn Fn(Received, u32) -> Running + Send + Sync>;

/// Gives each kind of message its handler.
///
/// A handler gets what came and which try it is, from 1, and says what is to become of it. Handlers of different devices run
/// side by side, those of one device one after the other; a handler that panics or takes too long is one try.
/// One that holds a [`Service`](super::Service), to answer, keeps the service from ending by itself:
/// [`shutdown`](super::Service::shutdown) ends it.
///
/// ```
/// use std::time::Duration;
/// use ccs_proto::driver::service::Routes;
/// use ccs_proto::session::Verdict;
///
/// let routes = Routes::new(64, Duration::from_secs(30))
///     .on_value("action", "ECHO", |message, _try| async move {
///         println!("{}", message.message_id());
///         Verdict::Ack
///     })
///     .otherwise(|_message, _try| async { Verdict::Dead });
/// # let _ = routes;
/// ```
pub struct Routes {
    router: Router,
    handlers: BTreeMap<HandlerId, Handler>,
}

impl Routes {
    /// Without handlers yet: at most `limit` run at once, each for `patience` at most.
    #[must_use]
    pub fn new(limit: usize, patience: Duration) -> Self {
        Self {
            router: Router::new(limit, patience),
            handlers: BTreeMap::new(),
        }
    }

    /// For messages whose `data` has this value for this key. Goes before [`on_category`](Self::on_category).
    #[must_use]
    pub fn on_value<F, V>(mut self, key: &str, value: &str, handler: F) -> Self
    where
        F: Fn(Received, u32) -> V + Send + Sync + 'static,
        V: Future<Output = Verdict> + Send + 'static,
    {
        let id = self.add(handler);
        self.router.on_value(key, value, id);
        self
    }

    /// For messages of this app.
    #[must_use]
    pub fn on_category<F, V>(mut self, category: &str, handler: F) -> Self
    where
        F: Fn(Received, u32) -> V + Send + Sync + 'static,
        V: Future<Output = Verdict> + Send + 'static,
    {
        let id = self.add(handler);
        self.router.on_category(category, id);
        self
    }

    /// For receipts. Without it they are acked as they come.
    #[must_use]
    pub fn on_receipts<F, V>(mut self, handler: F) -> Self
    where
        F: Fn(Received, u32) -> V + Send + Sync + 'static,
        V: Future<Output = Verdict> + Send + 'static,
    {
        let id = self.add(handler);
        self.router.on_receipts(id);
        self
    }

    /// For every other message. Without it they are dead letters: kept, and acked.
    #[must_use]
    pub fn otherwise<F, V>(mut self, handler: F) -> Self
    where
        F: Fn(Received, u32) -> V + Send + Sync + 'static,
        V: Future<Output = Verdict> + Send + 'static,
    {
        let id = self.add(handler);
        self.router.otherwise(id);
        self
    }

    fn add<F, V>(&mut self, handler: F) -> HandlerId
    where
        F: Fn(Received, u32) -> V + Send + Sync + 'static,
        V: Future<Output = Verdict> + Send + 'static,
    {
        let id = HandlerId(u64::try_from(self.handlers.len()).unwrap_or(u64::MAX));
        let handler: Handler =
            Arc::new(move |received, attempt| Box::pin(handler(received, attempt)));
        self.handlers.insert(id, handler);
        id
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Routes").field(&self.router).finish()
    }
}

/// Runs the handlers, in the driver's task.
pub(super) struct Handlers {
    routes: Routes,
    running: Tasks<RunId, RunEnd>,
}

impl Handlers {
    pub(super) fn new(routes: Routes) -> Self {
        Self {
            routes,
            running: Tasks::new(),
        }
    }

    /// Starts what may run, polls what was woken, stops what takes too long. Whether anything happened.
    pub(super) fn turn(
        &mut self,
        cx: &mut Context<'_>,
        now: Time,
        shared: &Shared<SessionMachine>,
    ) -> bool {
        let mut progress = false;
        while let Some((run, token, verdict)) = self.routes.router.overdue(now) {
            self.running.remove(run);
            tell(shared, token, verdict);
            progress = true;
        }
        while let Some((run, end)) = self.running.poll_next(cx) {
            if let Some((token, verdict)) = self.routes.router.finished(run, end) {
                tell(shared, token, verdict);
            }
            progress = true;
        }
        while self.routes.router.wants()
            && let Some(delivery) = shared.drive(|machine| machine.session.poll_delivery())
        {
            self.start(now, delivery, shared);
            progress = true;
        }
        progress
    }

    fn start(&mut self, now: Time, delivery: Delivery, shared: &Shared<SessionMachine>) {
        let run = match self.routes.router.start(now, delivery) {
            Ok(run) => run,
            Err((token, verdict)) => return tell(shared, token, verdict),
        };
        let Run {
            id,
            handler,
            received,
            attempt,
            ..
        } = run;
        let Some(handler) = self.routes.handlers.get(&handler).map(Arc::clone) else {
            return;
        };
        let guarded = Guarded::Starting(Some(Box::new(move || handler(received, attempt))));
        self.running.insert(id, Box::pin(guarded));
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.routes.router.poll_timeout()
    }
}

/// The driver looks at it with its next turn, since something happened.
fn tell(shared: &Shared<SessionMachine>, token: DeliveryToken, verdict: Verdict) {
    shared.drive(|machine| machine.asked.push_back(Ask::Handled(token, verdict)));
}

/// A handler whose panic is its own affair, also when it is dropped.
enum Guarded {
    Starting(Option<Box<dyn FnOnce() -> Running + Send>>),
    Running(Option<Running>),
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Starting(start) => drop(start.take()),
            Self::Running(running) => drop(running.take()),
        }));
    }
}

impl Future for Guarded {
    type Output = RunEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RunEnd> {
        // A handler that panicked is never polled again, so nobody sees what it left half done.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            if let Self::Starting(start) = &mut *self {
                let Some(start) = start.take() else {
                    return Poll::Pending;
                };
                *self = Self::Running(Some(start()));
            }
            match &mut *self {
                Self::Running(Some(running)) => running.as_mut().poll(cx),
                Self::Running(None) | Self::Starting(_) => Poll::Pending,
            }
        }));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(verdict)) => Poll::Ready(RunEnd::Said(verdict)),
            Err(_) => Poll::Ready(RunEnd::Panicked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }

    #[test]
    fn a_handler_that_panics_when_it_is_dropped_takes_nobody_with_it() {
        let bomb = Bomb;
        let running: Running = Box::pin(async move {
            let _bomb = bomb;
            std::future::pending().await
        });
        drop(Guarded::Running(Some(running)));
        let bomb = Bomb;
        drop(Guarded::Starting(Some(Box::new(move || {
            let _bomb = bomb;
            Box::pin(std::future::pending())
        }))));
    }
}
