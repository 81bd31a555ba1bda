//! tokio's sockets, TLS and tasks.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use ccs_proto::driver::{BACKLOG, Runtime, Transport};
use ccs_tls::{Connect, Identity, Trust};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::io::{IoTimer, IoTransport};

/// tokio as the driver's [`Runtime`].
#[derive(Debug)]
pub enum Tokio {}

impl Runtime for Tokio {
    type Trust = Trust;
    type Verifier = Connect;
    type Identity = Identity;
    type Socket = TcpStream;
    type Listener = TcpListener;
    type Transport = Box<dyn Transport + Send>;
    type Timer = IoTimer;

    fn timer() -> IoTimer {
        IoTimer::new()
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    fn random<const N: usize>() -> [u8; N] {
        ccs_tls::random()
    }

    fn verifier(trust: &Trust, name: &str) -> Option<Connect> {
        trust.connect(name).ok()
    }

    async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn secure(socket: TcpStream, verifier: Connect) -> io::Result<Self::Transport> {
        let Connect { config, name } = verifier;
        let stream = TlsConnector::from(config).connect(name, socket).await?;
        Ok(Box::new(IoTransport::new(stream)))
    }

    async fn listen(address: &str) -> io::Result<TcpListener> {
        let mut last = io::ErrorKind::AddrNotAvailable.into();
        for address in lookup_host(address).await? {
            match listen_on(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn local_addr(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    fn poll_accept(
        listener: &mut TcpListener,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (stream, address) = ready!(listener.poll_accept(cx))?;
        Poll::Ready(Ok((stream, address)))
    }

    async fn accept(socket: TcpStream, identity: &Identity) -> io::Result<Self::Transport> {
        socket.set_nodelay(true)?;
        let stream = TlsAcceptor::from(identity.accept()).accept(socket).await?;
        Ok(Box::new(IoTransport::new(stream)))
    }
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // On Windows this would let another process take the address over.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG.into())
}
