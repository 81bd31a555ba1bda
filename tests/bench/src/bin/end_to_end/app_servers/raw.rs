//! The limit: the runtime and rustls move the same bytes, and nobody looks at them.

use ccs_bench::loopback::child::Setup;
use ccs_bench::loopback::counting::{End, role};
use ccs_bench::loopback::login::log_in;
use ccs_bench::loopback::pump::{Role, pump};
use ccs_bench::loopback::raw;
use tokio::io::{AsyncRead, AsyncWrite};

pub async fn on_tokio(setup: Setup) {
    let address = setup.address.expect("of the endpoint");
    let stream = raw::on_tokio(address, setup.certificate.connect()).await;
    run(stream.expect("TLS"), &setup).await;
}

pub async fn on_async_io(setup: Setup) {
    let address = setup.address.expect("of the endpoint");
    let stream = raw::on_async_io(address, setup.certificate.connect()).await;
    run(stream.expect("TLS"), &setup).await;
}

async fn run(mut stream: impl AsyncRead + AsyncWrite + Unpin, setup: &Setup) {
    let begun = log_in(&mut stream).await.expect("a login");
    let mut role = role(&setup.corpus(), End::AppServer, setup.direction);
    role.receive(&begun);
    let _ = pump(&mut stream, &mut role).await;
}
