//! The limit: tokio and rustls move the same bytes, and nobody looks at them.

use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::counting::{End, role};
use ccs_bench::loopback::login;
use ccs_bench::loopback::pump::pump;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub async fn run(setup: Setup) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    super::listening_on(listener.local_addr().expect("an address"));
    let (stream, _) = listener.accept().await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let acceptor = TlsAcceptor::from(setup.certificate.identity().accept());
    let mut stream = acceptor.accept(stream).await.expect("TLS");
    login::accept(&mut stream).await.expect("a login");
    let mut role = role(&setup.corpus(), End::Endpoint, setup.direction);
    let _ = pump(&mut stream, &mut role).await;
}
