//! The endpoint's connection with everybody who waits for something of it.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::BytesMut;

use super::login::LoginVerdict;
use super::shared::{Machine, Waking};
use super::waiters::Waiters;
use crate::error::ConnectionError;
use crate::server::{AuthRequest, ServerConnection};
use crate::time::Time;
use crate::xmpp::StreamCondition;

/// What needs the clock, and so waits for the driver.
#[derive(Debug)]
pub(super) enum Ask {
    Login(AuthRequest, LoginVerdict),
    Drain,
    End(StreamCondition, String),
    Close,
    Cut,
}

/// The connection and those who wait for it.
#[derive(Debug)]
pub struct ServerMachine {
    pub(super) connection: ServerConnection,
    pub(super) asked: VecDeque<Ask>,
    pub(super) waiters: Waiters,
    pub(super) events: Option<Waker>,
    /// Nobody takes events: they are dropped, which is not answering.
    pub(super) events_dropped: bool,
    /// To be woken once the lock is free.
    woken: Vec<Waker>,
}

impl ServerMachine {
    pub(super) fn new(connection: ServerConnection) -> Self {
        Self {
            connection,
            asked: VecDeque::new(),
            waiters: Waiters::default(),
            events: None,
            events_dropped: false,
            woken: Vec::new(),
        }
    }
}

impl Machine for ServerMachine {
    fn tick(&mut self, now: Time) {
        while let Some(ask) = self.asked.pop_front() {
            match ask {
                // The request is this connection's own, so neither gives it back.
                Ask::Login(request, LoginVerdict::Accept) => {
                    let _ = self.connection.accept(now, request);
                }
                Ask::Login(request, LoginVerdict::Reject) => {
                    let _ = self.connection.reject(now, request);
                }
                Ask::Drain => self.connection.drain(now),
                Ask::End(condition, text) => self.connection.end_with(now, condition, &text),
                Ask::Close => self.connection.close(now),
                Ask::Cut => self.connection.transport_failed(now, "cut by the endpoint"),
            }
        }
        self.connection.handle_timeout(now);
    }

    fn wants_input(&self) -> bool {
        self.connection.wants_input()
    }

    // The error ends the connection and shows in `end`.
    fn receive(&mut self, now: Time, input: &[u8]) {
        let _ = self.connection.receive(now, input);
    }

    fn receive_eof(&mut self, now: Time) {
        let _ = self.connection.receive_eof(now);
    }

    fn transport_failed(&mut self, now: Time, what: String) {
        self.connection.transport_failed(now, what);
    }

    fn poll_transmit(&mut self, now: Time, out: &mut BytesMut) -> bool {
        self.connection.poll_transmit(now, out)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.connection.poll_timeout()
    }

    fn is_secret(&self) -> bool {
        !self.connection.is_bound()
    }

    fn has_events(&self) -> bool {
        self.connection.has_events()
    }

    fn end(&self) -> Option<Result<(), ConnectionError>> {
        self.connection.end()
    }
}

impl Waking for ServerMachine {
    fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    fn notify(&mut self) {
        if !self.connection.is_open() {
            self.waiters.wake_all(&mut self.woken);
        } else if self.connection.capacity() > 0 {
            self.waiters.wake_first(&mut self.woken);
        }
        if self.events_dropped {
            while self.connection.poll_event().is_some() {}
        }
        if self.connection.has_events() {
            self.woken.extend(self.events.take());
        }
    }
}
