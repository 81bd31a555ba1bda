//! The session with everybody who waits for something of it.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use super::super::shared::{Waking, remember};
use super::super::waiters::Waiters;
use super::orders::{Abandoned, Orders};
use crate::message::MessageId;
use crate::session::{DeliveryToken, Outbox, Session, SessionEvent, SessionFinished, Verdict};
use crate::time::Time;

/// What needs the clock, and so waits for the driver.
#[derive(Debug)]
pub(super) enum Ask {
    Handled(DeliveryToken, Verdict),
    Cancel(MessageId),
    Shutdown(Duration),
}

/// The session and those who wait for it.
#[derive(Debug)]
pub(crate) struct SessionMachine {
    pub(super) session: Session,
    pub(super) orders: Orders,
    pub(super) asked: VecDeque<Ask>,
    /// Events that concern nobody in particular.
    pub(super) events: Outbox<SessionEvent>,
    inbound: Option<Waker>,
    /// That task takes deliveries, too.
    inbound_takes_deliveries: bool,
    /// Nobody takes events: they are dropped.
    pub(super) inbound_dropped: bool,
    /// Deliveries go to handlers.
    pub(super) routed: bool,
    pub(super) watching_end: Waiters,
    /// What is left, once it is over.
    pub(super) finished: Option<SessionFinished>,
    /// To be woken once the lock is free.
    woken: Vec<Waker>,
}

impl SessionMachine {
    /// As many events wait here as in the session by these settings; more stay there, and it takes nothing new then.
    pub(super) fn new(session: Session, events: usize, bytes: usize, routed: bool) -> Self {
        Self {
            session,
            orders: Orders::default(),
            asked: VecDeque::new(),
            events: Outbox::new(events, bytes),
            inbound: None,
            inbound_takes_deliveries: false,
            inbound_dropped: false,
            routed,
            watching_end: Waiters::default(),
            finished: None,
            woken: Vec::new(),
        }
    }

    pub(super) fn tick(&mut self, now: Time) {
        while let Some(ask) = self.asked.pop_front() {
            match ask {
                // The token is this session's own; nothing is left to say of it once the session is over.
                Ask::Handled(token, verdict) => {
                    let _ = self.session.handled(now, token, verdict);
                }
                // What the endpoint may have goes on, and its outcome is an event.
                Ask::Cancel(id) => {
                    let _ = self.session.cancel(now, &id);
                }
                Ask::Shutdown(patience) => self.session.shutdown(now, now + patience),
            }
        }
        self.session.handle_timeout(now);
        self.orders.submit(now, &mut self.session);
    }

    pub(super) fn wait_for_events(&mut self, waker: &Waker, deliveries: bool) {
        remember(&mut self.inbound, waker);
        self.inbound_takes_deliveries = deliveries && !self.routed;
    }

    /// Whether deliveries wait for a task to take them.
    pub(super) fn has_deliveries(&self) -> bool {
        !self.routed && !self.inbound_dropped && self.session.has_deliveries()
    }

    /// Nobody waits for this message any more: it is taken back if it can be, and an outcome that nobody heard becomes
    /// an event.
    /// Whether there is something for the driver to do.
    pub(super) fn abandon(&mut self, number: u64) -> bool {
        match self.orders.abandon(number) {
            Some(Abandoned::Under(id)) => {
                self.asked.push_back(Ask::Cancel(id));
                true
            }
            Some(Abandoned::Settled(id, outcome)) => {
                self.show(SessionEvent::Settled { id, outcome });
                false
            }
            None => false,
        }
    }

    fn show(&mut self, event: SessionEvent) {
        if !self.inbound_dropped {
            self.events.push(event.weight(), event);
        }
    }

    /// Hands each event to whom it concerns.
    fn distribute(&mut self) {
        while !self.events.is_full()
            && let Some(event) = self.session.poll_event()
        {
            self.hand_on(event);
        }
    }

    fn hand_on(&mut self, event: SessionEvent) {
        let rest = match event {
            SessionEvent::Accepted { id } => {
                self.orders.accepted(&id);
                return;
            }
            SessionEvent::NotStored { message } => {
                let back = message.message().clone();
                if self.orders.not_stored(message.id(), back) {
                    return;
                }
                SessionEvent::NotStored { message }
            }
            SessionEvent::Settled { id, outcome } => match self.orders.settled(&id, outcome) {
                Ok(()) => return,
                Err(outcome) => SessionEvent::Settled { id, outcome },
            },
            // The line is looked at after every event.
            SessionEvent::Room => return,
            // The end of the stream says so.
            SessionEvent::Ended => return,
            other => other,
        };
        self.show(rest);
    }

    /// It is over, or its driver was dropped: takes the session apart, once.
    pub(super) fn end(&mut self) {
        if self.finished.is_some() {
            return;
        }
        let mut finished = self.session.leave();
        // Whoever waits hears what became of his message, however many events nobody has taken.
        for event in std::mem::take(&mut finished.events) {
            self.hand_on(event);
        }
        let unknown = |id: &MessageId| {
            let mut messages = finished.messages.iter();
            messages.any(|left| left.unknown && left.message.id() == id)
        };
        self.orders.end(unknown);
        self.finished = Some(finished);
    }
}

impl Waking for SessionMachine {
    fn notify(&mut self) {
        self.distribute();
        self.woken.append(&mut self.orders.take_woken());
        if self.inbound_dropped {
            self.events.take_all();
        }
        // Who leaves them where they are must not be woken by them, or he never rests.
        let deliveries = self.inbound_takes_deliveries && self.session.has_deliveries();
        if deliveries || self.finished.is_some() || !self.events.is_empty() {
            self.woken.extend(self.inbound.take());
        }
        if self.finished.is_some() {
            self.watching_end.wake_all(&mut self.woken);
        }
    }

    fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }
}
