//! One connection: the real ends of both roles, and what is on its way between them.

use std::sync::Arc;

use bytes::BytesMut;
use ccs_proto::{
    ClientConfig, ClientConnection, ClientEvent, ConnectionId, Nonce, ServerConfig,
    ServerConnection, ServerEvent, Time, TransportSecurity,
};

/// What the bytes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Open,
    /// What the endpoint writes is lost.
    DownwardsLost,
    /// Nothing moves, and neither end is told.
    Dead,
}

pub struct Link {
    pub server: ServerConnection,
    pub client: ClientConnection,
    pub wire: Wire,
    /// Whose it is.
    pub sender: String,
    upwards: BytesMut,
    downwards: BytesMut,
}

impl Link {
    pub fn new(now: Time, id: ConnectionId, client: ClientConfig, server: ServerConfig) -> Self {
        let nonce = Nonce([u8::try_from(id.0 % 256).unwrap(); 20]);
        let tls = TransportSecurity::VerifiedTls;
        let sender = client.sender.to_string();
        Self {
            server: ServerConnection::new(Arc::new(server), id, nonce, now),
            client: ClientConnection::new(Arc::new(client), id, tls, now),
            wire: Wire::Open,
            sender,
            upwards: BytesMut::new(),
            downwards: BytesMut::new(),
        }
    }

    /// Moves bytes both ways once, and says whether any moved.
    pub fn carry(&mut self, now: Time) -> bool {
        let mut moved = false;
        while self.client.poll_transmit(now, &mut self.upwards) {
            moved = true;
        }
        while self.server.poll_transmit(now, &mut self.downwards) {
            moved = true;
        }
        match self.wire {
            Wire::Open => {}
            Wire::DownwardsLost => self.downwards.clear(),
            Wire::Dead => return false,
        }
        if self.server.wants_input() && !self.upwards.is_empty() {
            let _ = self.server.receive(now, &self.upwards.split());
            moved = true;
        }
        if self.client.wants_input() && !self.downwards.is_empty() {
            let _ = self.client.receive(now, &self.downwards.split());
            moved = true;
        }
        moved | self.tell_eof(now)
    }

    /// Whoever is done closes the transport, of which the other hears behind the last byte.
    fn tell_eof(&mut self, now: Time) -> bool {
        let (client, server) = (self.client.is_closed(), self.server.is_closed());
        if client && !server {
            let _ = self.server.receive_eof(now);
        }
        if server && !client && self.downwards.is_empty() {
            let _ = self.client.receive_eof(now);
            return true;
        }
        client && !server
    }

    /// The connection breaks, with whatever is on its way.
    pub fn cut(&mut self, now: Time) {
        self.upwards.clear();
        self.downwards.clear();
        self.server.transport_failed(now, "reset by peer");
        self.client.transport_failed(now, "reset by peer");
    }

    pub fn server_events(&mut self) -> Vec<ServerEvent> {
        std::iter::from_fn(|| self.server.poll_event()).collect()
    }

    pub fn client_events(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    pub fn next_deadline(&self) -> Option<Time> {
        let deadlines = [self.server.poll_timeout(), self.client.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Time) {
        self.server.handle_timeout(now);
        self.client.handle_timeout(now);
    }
}
