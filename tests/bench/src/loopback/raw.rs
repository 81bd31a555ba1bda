//! TLS and nothing on top: what the limits have, on each runtime.

use std::io;
use std::net::SocketAddr;

use ccs_tls::Connect;
use smol::Async;
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

pub async fn on_tokio(
    address: SocketAddr,
    connect: Connect,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let Connect { config, name } = connect;
    let connector = tokio_rustls::TlsConnector::from(config);
    connector.connect(name, stream).await
}

/// What is below async-std and smol alike.
pub async fn on_async_io(
    address: SocketAddr,
    connect: Connect,
) -> io::Result<Compat<futures_rustls::client::TlsStream<Async<std::net::TcpStream>>>> {
    let stream = Async::<std::net::TcpStream>::connect(address).await?;
    stream.get_ref().set_nodelay(true)?;
    let Connect { config, name } = connect;
    let connector = futures_rustls::TlsConnector::from(config);
    Ok(connector.connect(name, stream).await?.compat())
}
