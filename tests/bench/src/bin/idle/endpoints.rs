//! Endpoints that have many connections, each endpoint in a process of its own. The first line says where it listens.

use std::net::SocketAddr;

use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::login;
use ccs_bench::loopback::program::{Program, on_tokio};
use ccs_tokio::{Arrival, LoginVerdict, ServerConfig};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The first is what all are compared with: nothing is kept but the TLS connection.
pub const ENDPOINTS: &[Program] = &[
    Program {
        name: "raw endpoint",
        raw: "raw endpoint",
        run: |setup| on_tokio(raw(setup)),
    },
    Program {
        name: "ccs-tokio endpoint",
        raw: "raw endpoint",
        run: |setup| on_tokio(ccs(setup)),
    },
];

fn listening_on(address: SocketAddr) {
    println!("{address}");
}

async fn raw(setup: Setup) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listening_on(listener.local_addr().expect("an address"));
    let acceptor = TlsAcceptor::from(setup.certificate.identity().accept());
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // In a box, as the login's buffers are no part of what is kept.
            let logged_in = Box::pin(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                login::accept(&mut stream).await.ok()?;
                Some(stream)
            });
            if let Some(mut stream) = logged_in.await {
                let _ = stream.read_u8().await;
            }
        });
    }
}

async fn ccs(setup: Setup) {
    let accept = |_: &ccs_tokio::AuthRequest| async { LoginVerdict::Accept };
    let identity = setup.certificate.identity();
    let config = ServerConfig::default();
    let endpoint = ccs_tokio::Endpoint::bind("127.0.0.1:0", identity, config, accept).await;
    let mut endpoint = endpoint.expect("a port");
    listening_on(endpoint.local_addr().expect("an address"));
    loop {
        let arrival = endpoint.accept().await.expect("a connection");
        if let Arrival::Connected {
            peer, mut events, ..
        } = arrival
        {
            tokio::spawn(async move {
                let _peer = peer;
                while events.next().await.is_some() {}
            });
        }
    }
}
