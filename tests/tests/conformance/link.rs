//! What lies between the two ends: a pipe in memory, or TLS of the runtime's own over its own sockets.

use std::future::{Future, poll_fn};
use std::sync::LazyLock;

use ccs_proto::driver::Transport;
use ccs_tests::pipe::{End, FuturesTransport, Shape, pipe};
use ccs_tls::{Identity, Trust};
use futures_util::future::join;

use crate::authority::Authority;
use crate::runtime::Run;

/// A way to connect two ends.
pub trait Link<R: Run>: 'static {
    type Transport: Transport + Send + Unpin + 'static;

    /// A new connection: the client's end and the endpoint's.
    fn connect() -> impl Future<Output = (Self::Transport, Self::Transport)> + Send;
}

/// A pipe that takes and gives what it is asked for.
pub enum Memory {}

pub type Pipe = FuturesTransport<End>;

impl<R: Run> Link<R> for Memory {
    type Transport = Pipe;

    async fn connect() -> (Pipe, Pipe) {
        shaped(Shape {
            capacity: 64 * 1024,
            ..Shape::WIDE
        })
    }
}

/// Both ends of a pipe of this shape.
pub fn shaped(shape: Shape) -> (Pipe, Pipe) {
    let (near, far) = pipe(shape);
    (FuturesTransport(near), FuturesTransport(far))
}

/// TLS over a loopback socket, as `connect` and `Endpoint` have it.
pub enum Tls {}

/// Who the suite's endpoints are, and whom its clients believe. Made once: keys cost time.
pub static LOCALHOST: LazyLock<(Trust, Identity)> = LazyLock::new(|| {
    let ca = Authority::new("Test CA");
    (ca.trust(), ca.sign(&["127.0.0.1"], |_| {}).identity())
});

impl<R: Run> Link<R> for Tls {
    type Transport = R::Transport;

    async fn connect() -> (R::Transport, R::Transport) {
        let (trust, identity) = &*LOCALHOST;
        let mut listener = R::listen("127.0.0.1:0").await.expect("a port");
        let port = R::local_addr(&listener).expect("an address").port();
        let near = async {
            let socket = R::dial("127.0.0.1", port).await.expect("a listener");
            let verifier = R::verifier(trust, "127.0.0.1").expect("a name");
            R::secure(socket, verifier).await.expect("believed")
        };
        let far = async {
            let accepted = poll_fn(|cx| R::poll_accept(&mut listener, cx)).await;
            let (socket, _) = accepted.expect("a client");
            R::accept(socket, identity).await.expect("TLS")
        };
        join(near, far).await
    }
}
