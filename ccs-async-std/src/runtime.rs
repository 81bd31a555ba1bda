//! async-io's sockets and TLS, the same for every executor.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::task::{Context, Poll, ready};

use async_io::Async;
use ccs_proto::driver::{BACKLOG, Runtime, Transport};
use ccs_tls::{Connect, Identity, Trust};
use futures_rustls::{TlsAcceptor, TlsConnector};
use socket2::{Domain, Socket, Type};

use crate::io::{IoTimer, IoTransport};

/// What an executor adds. Implement it to run on another one than those that this crate knows.
///
/// ```
/// use std::future::Future;
///
/// enum Threads {}
///
/// impl ccs_async_std::Spawn for Threads {
///     fn spawn(task: impl Future<Output = ()> + Send + 'static) {
///         std::thread::spawn(|| async_io::block_on(task));
///     }
/// }
///
/// type Endpoint = ccs_async_std::proto::driver::Endpoint<ccs_async_std::AsyncIo<Threads>>;
/// ```
pub trait Spawn: Send + Sync + 'static {
    /// Runs a task to its end, whoever else is gone.
    fn spawn(task: impl Future<Output = ()> + Send + 'static);
}

/// async-io below the executor `S`, as the driver's [`Runtime`].
pub struct AsyncIo<S>(PhantomData<S>);

impl<S> fmt::Debug for AsyncIo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AsyncIo")
    }
}

impl<S: Spawn> Runtime for AsyncIo<S> {
    type Trust = Trust;
    type Verifier = Connect;
    type Identity = Identity;
    type Socket = Async<TcpStream>;
    type Listener = Async<TcpListener>;
    type Transport = Box<dyn Transport + Send>;
    type Timer = IoTimer;

    fn timer() -> IoTimer {
        IoTimer::new()
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        S::spawn(task);
    }

    fn random<const N: usize>() -> [u8; N] {
        ccs_tls::random()
    }

    fn verifier(trust: &Trust, name: &str) -> Option<Connect> {
        trust.connect(name).ok()
    }

    async fn dial(host: &str, port: u16) -> io::Result<Async<TcpStream>> {
        let mut last = io::ErrorKind::AddrNotAvailable.into();
        for address in async_net::resolve((host, port)).await? {
            match Async::<TcpStream>::connect(address).await {
                Ok(stream) => {
                    stream.get_ref().set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn secure(socket: Async<TcpStream>, verifier: Connect) -> io::Result<Self::Transport> {
        let Connect { config, name } = verifier;
        let stream = TlsConnector::from(config).connect(name, socket).await?;
        Ok(Box::new(IoTransport::new(stream)))
    }

    async fn listen(address: &str) -> io::Result<Async<TcpListener>> {
        let mut last = io::ErrorKind::AddrNotAvailable.into();
        for address in async_net::resolve(address).await? {
            match listen_on(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn local_addr(listener: &Async<TcpListener>) -> io::Result<SocketAddr> {
        listener.get_ref().local_addr()
    }

    fn poll_accept(
        listener: &mut Async<TcpListener>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Async<TcpStream>, SocketAddr)>> {
        loop {
            match listener.get_ref().accept() {
                Ok((stream, address)) => {
                    return Poll::Ready(Ok((Async::new(stream)?, address)));
                }
                // Only now, so that what came meanwhile is not waited for.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(listener.poll_readable(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    async fn accept(socket: Async<TcpStream>, identity: &Identity) -> io::Result<Self::Transport> {
        socket.get_ref().set_nodelay(true)?;
        let stream = TlsAcceptor::from(identity.accept()).accept(socket).await?;
        Ok(Box::new(IoTransport::new(stream)))
    }
}

fn listen_on(address: SocketAddr) -> io::Result<Async<TcpListener>> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // On Windows this would let another process take the address over.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.into())?;
    Async::new(TcpListener::from(socket))
}
