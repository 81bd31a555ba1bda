//! A runtime of this suite's own: sockets are pipes, and time passes when nothing else can happen. So what it runs is
//! the same every time, and minutes cost nothing.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ccs_proto::Time;
use ccs_proto::driver::{Runtime, Timer, Transport};
use ccs_tests::pipe::{End, FuturesTransport, ManualTimer, Shape, World, pipe};
use ccs_tls::{Connect, Identity, Trust};
use futures_rustls::{TlsAcceptor, TlsConnector};

use crate::runtime::Run;

/// Sockets that take and give what they like, and are `Pending` when they like.
const SOCKET: Shape = Shape {
    read: 1_500,
    write: 1_000,
    capacity: 64 * 1024,
    pending: 3,
    buffered: false,
};

/// Virtual time, on one thread.
pub enum Virtual {}

thread_local! {
    /// The world of the case that this thread runs.
    static WORLD: RefCell<World> = RefCell::default();
    static LISTENERS: RefCell<BTreeMap<u16, Arc<Mutex<Backlog>>>> = RefCell::default();
    static NEXT_PORT: Cell<u16> = const { Cell::new(40_000) };
}

impl Run for Virtual {
    fn block_on<T: 'static>(case: impl Future<Output = T> + 'static) -> T {
        WORLD.set(World::default());
        let world = WORLD.with_borrow(World::clone);
        world.run(case)
    }

    fn plain(socket: End) -> impl Transport + Send + Unpin + 'static {
        FuturesTransport(socket)
    }
}

/// A clock that starts when it is made, as a runtime's does.
pub struct VirtualTimer {
    origin: Duration,
    timer: ManualTimer,
}

impl Timer for VirtualTimer {
    fn now(&self) -> Time {
        Time::from_origin(self.timer.now().since_origin() - self.origin)
    }

    fn reset(&mut self, deadline: Time) {
        let deadline = deadline.since_origin().saturating_add(self.origin);
        self.timer.reset(Time::from_origin(deadline));
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll_expired(cx)
    }
}

/// A listening socket.
pub struct Listener {
    port: u16,
    backlog: Arc<Mutex<Backlog>>,
}

#[derive(Default)]
struct Backlog {
    waiting: VecDeque<End>,
    taker: Option<Waker>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A case that panics may take its thread's memory down first.
        let _ = LISTENERS.try_with(|all| all.borrow_mut().remove(&self.port));
    }
}

fn lock(backlog: &Mutex<Backlog>) -> MutexGuard<'_, Backlog> {
    backlog.lock().unwrap_or_else(PoisonError::into_inner)
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Runtime for Virtual {
    type Trust = Trust;
    type Verifier = Connect;
    type Identity = Identity;
    type Socket = End;
    type Listener = Listener;
    type Transport = Box<dyn Transport + Send>;
    type Timer = VirtualTimer;

    fn timer() -> VirtualTimer {
        WORLD.with_borrow(|world| VirtualTimer {
            origin: world.clock().now().since_origin(),
            timer: world.clock().timer(),
        })
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        WORLD.with_borrow(|world| world.spawn(task));
    }

    fn random<const N: usize>() -> [u8; N] {
        [7; N]
    }

    fn verifier(trust: &Trust, name: &str) -> Option<Connect> {
        trust.connect(name).ok()
    }

    async fn dial(_host: &str, port: u16) -> io::Result<End> {
        let backlog = LISTENERS.with_borrow(|all| all.get(&port).cloned());
        let backlog = backlog.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (near, far) = pipe(SOCKET);
        let mut backlog = lock(&backlog);
        backlog.waiting.push_back(far);
        backlog.taker.take().into_iter().for_each(Waker::wake);
        Ok(near)
    }

    async fn secure(socket: End, verifier: Connect) -> io::Result<Self::Transport> {
        let Connect { config, name } = verifier;
        let stream = TlsConnector::from(config).connect(name, socket).await?;
        Ok(Box::new(FuturesTransport(stream)))
    }

    async fn listen(_address: &str) -> io::Result<Listener> {
        let port = NEXT_PORT.get();
        NEXT_PORT.set(port + 1);
        let backlog = Arc::<Mutex<Backlog>>::default();
        LISTENERS.with_borrow_mut(|all| all.insert(port, Arc::clone(&backlog)));
        Ok(Listener { port, backlog })
    }

    fn local_addr(listener: &Listener) -> io::Result<SocketAddr> {
        Ok(address(listener.port))
    }

    fn poll_accept(
        listener: &mut Listener,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(End, SocketAddr)>> {
        let mut backlog = lock(&listener.backlog);
        match backlog.waiting.pop_front() {
            Some(end) => Poll::Ready(Ok((end, address(1)))),
            None => {
                backlog.taker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    async fn accept(socket: End, identity: &Identity) -> io::Result<Self::Transport> {
        let stream = TlsAcceptor::from(identity.accept()).accept(socket).await?;
        Ok(Box::new(FuturesTransport(stream)))
    }
}
