//! The limit: tokio and rustls move the same bytes, and nobody looks at them.

use std::net::SocketAddr;

use ccs_bench::loopback::certificate::Certificate;
use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::counting::{End, role};
use ccs_bench::loopback::login::log_in;
use ccs_bench::loopback::pump::{Role, pump};
use ccs_tls::Connect;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub async fn run(setup: Setup) {
    let address = setup.address.expect("of the endpoint");
    let mut stream = connect(address, &setup.certificate).await;
    let begun = log_in(&mut stream).await.expect("a login");
    let mut role = role(&setup.corpus(), End::AppServer, setup.direction);
    role.receive(&begun);
    let _ = pump(&mut stream, &mut role).await;
}

pub async fn connect(address: SocketAddr, certificate: &Certificate) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("an endpoint");
    stream.set_nodelay(true).expect("a socket");
    let Connect { config, name } = certificate.connect();
    let connecting = TlsConnector::from(config).connect(name, stream);
    connecting.await.expect("TLS")
}
