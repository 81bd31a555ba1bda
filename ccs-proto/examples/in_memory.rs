//! The core driven by hand: an app server and an endpoint joined in memory, every stanza printed.
//!
//! `cargo run -p ccs-proto --example in_memory`
//!
//! It shows the whole contract. Whoever owns the bytes does four things, in any order, until nothing moves: give in what
//! was read, write what `poll_transmit` gives, take the events, and call `handle_timeout` when `poll_timeout` says so.
//! Here nothing is ever late, so the last is not needed.

use std::error::Error;
use std::sync::Arc;

use bytes::BytesMut;
use ccs_proto::message::{Data, Downstream, Upstream};
use ccs_proto::{
    ApiKey, ClientConfig, ClientConnection, ClientEvent, ConnectionId, Direction, Nonce,
    ServerConfig, ServerConnection, ServerEvent, Tap, Time, TransportSecurity,
};

fn main() -> Result<(), Box<dyn Error>> {
    let now = Time::ZERO;
    let key = ApiKey::from("KEY");

    let mut config = ClientConfig::new("123456789012".parse()?, key.clone());
    config.tap = Some(Tap::new(|_, direction, stanza| match direction {
        Direction::Out => println!("app server > {stanza}"),
        Direction::In => println!("  endpoint > {stanza}"),
    }));
    let mut app_server = ClientConnection::new(
        Arc::new(config),
        ConnectionId(1),
        TransportSecurity::VerifiedTls, // said by whoever made the transport; memory is as safe as that
        now,
    );
    // An adapter takes the nonce from the operating system.
    let nonce = Nonce([7; 20]);
    let mut endpoint = ServerConnection::new(
        Arc::new(ServerConfig::default()),
        ConnectionId(2),
        nonce,
        now,
    );

    let mut bytes = BytesMut::new();
    loop {
        let mut moved = false;

        // Bytes both ways. One call of `poll_transmit` is one write.
        while app_server.poll_transmit(now, &mut bytes) {
            endpoint.receive(now, &bytes.split())?;
            moved = true;
        }
        while endpoint.poll_transmit(now, &mut bytes) {
            app_server.receive(now, &bytes.split())?;
            moved = true;
        }

        // What the app server makes of it.
        while let Some(event) = app_server.poll_event() {
            match event {
                ClientEvent::Bound { .. } => {
                    let message = Downstream::to("DEVICE").data("greeting", "5 < 7 & so on");
                    // A permit cannot find the window full; the message is in flight once its bytes were handed out.
                    app_server.reserve()?.send(message.encode("m-1")?)?;
                }
                ClientEvent::Upstream { message, token } => {
                    println!("             {} says {:?}", message.from(), message.data());
                    // Handled, so it can be acked: here, and once.
                    app_server.ack(token)?;
                    app_server.close(now);
                }
                other => println!("             {other:?}"),
            }
        }

        // What the endpoint makes of it.
        while let Some(event) = endpoint.poll_event() {
            match event {
                ServerEvent::Login(request) => {
                    let decided = if request.key().matches(&key) {
                        endpoint.accept(now, request)
                    } else {
                        endpoint.reject(now, request)
                    };
                    decided.map_err(|_| "a login of another connection")?;
                }
                ServerEvent::Downstream { token, .. } => {
                    endpoint.ack(token, None)?;
                    let data = Data::new().with("answer", "\u{1f44d}");
                    endpoint.send(Upstream::new("DEVICE", "u-1").with_data(data))?;
                }
                other => println!("             {other:?}"),
            }
        }

        if !moved {
            break;
        }
    }
    assert!(app_server.is_closed() && endpoint.is_closed());
    Ok(())
}
