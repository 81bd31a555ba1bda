//! This project's connections of an endpoint, and nothing behind them.

use ccs_bench::loopback::Direction;
use ccs_bench::loopback::child::Setup;
use ccs_tokio::{Arrival, Endpoint, LoginVerdict, Peer, PeerEvents, ServerConfig, ServerEvent};

use super::Devices;

pub async fn run(setup: Setup) {
    let mut endpoint = bind(&setup).await;
    loop {
        let arrival = endpoint.accept().await.expect("a connection");
        if let Arrival::Connected { peer, events, .. } = arrival {
            match setup.direction {
                Direction::Down => answer(&peer, events).await,
                Direction::Up => send(&peer, events, Devices::new(&setup.corpus())).await,
            }
        }
    }
}

/// Listens, and says where.
pub async fn bind(setup: &Setup) -> Endpoint {
    let known = |request: &ccs_tokio::AuthRequest| {
        let known = request.key().matches(&"KEY".into());
        async move {
            match known {
                true => LoginVerdict::Accept,
                false => LoginVerdict::Reject,
            }
        }
    };
    let identity = setup.certificate.identity();
    let config = ServerConfig::default();
    let endpoint = Endpoint::bind("127.0.0.1:0", identity, config, known).await;
    let endpoint = endpoint.expect("a port");
    super::listening_on(endpoint.local_addr().expect("an address"));
    endpoint
}

async fn answer(peer: &Peer, mut events: PeerEvents) {
    while let Some(event) = events.next().await {
        if let ServerEvent::Downstream { message, token, .. } = event {
            std::hint::black_box((message.target(), message.payload()));
            let _ = peer.ack(token, None);
        }
    }
}

async fn send(peer: &Peer, mut events: PeerEvents, mut devices: Devices) {
    let sending = async { while peer.send(devices.say()).await.is_ok() {} };
    let watching = async { while events.next().await.is_some() {} };
    tokio::join!(sending, watching);
}
