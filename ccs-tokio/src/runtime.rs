//! tokio's sockets, TLS and tasks.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use ccs_proto::driver::{Runtime, Transport};
use ccs_tls::{Connect, Identity, Trust};
use tokio::net::{TcpListener, TcpStream};
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
        TcpListener::bind(address).await
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
