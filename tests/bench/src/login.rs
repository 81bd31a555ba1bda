//! Both ends of a connection, logged in.

use std::sync::Arc;

use bytes::BytesMut;
use ccs_proto::{
    ClientConfig, ClientConnection, ConnectionId, Nonce, ServerConfig, ServerConnection,
    ServerEvent, Time, TransportSecurity,
};

pub const NOW: Time = Time::ZERO;

pub fn client_config() -> ClientConfig {
    let sender = "123456789012".parse().expect("digits");
    ClientConfig::new(sender, "KEY".into())
}

/// An app server and an endpoint that have nothing to say to each other yet.
pub fn pair(client: ClientConfig) -> (ClientConnection, ServerConnection) {
    let security = TransportSecurity::VerifiedTls;
    let mut client = ClientConnection::new(Arc::new(client), ConnectionId(1), security, NOW);
    let server = Arc::new(ServerConfig::default());
    let mut server = ServerConnection::new(server, ConnectionId(2), Nonce([7; 20]), NOW);
    let mut bytes = BytesMut::new();
    let mut moved = true;
    while moved {
        moved = false;
        while client.poll_transmit(NOW, &mut bytes) {
            server.receive(NOW, &bytes.split()).expect("in order");
            moved = true;
        }
        while let Some(event) = server.poll_event() {
            if let ServerEvent::Login(request) = event {
                server.accept(NOW, request).expect("its own");
            }
        }
        while server.poll_transmit(NOW, &mut bytes) {
            client.receive(NOW, &bytes.split()).expect("in order");
            moved = true;
        }
        while client.poll_event().is_some() {}
    }
    assert!(client.is_bound() && server.is_bound());
    (client, server)
}
