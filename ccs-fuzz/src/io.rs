//! The driver over a transport that gives and takes as much as it likes, says `Pending` when it likes, and breaks.
//!
//! Everything that was begun comes to an end: nobody is left asleep, nobody spins, each message has one outcome, and all who
//! ask how the connection ended are told the same. As long as the transport does not break, everything arrives.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use ccs_proto::driver::{
    self, Client, Event, Incoming, LoginVerdict, Peer, PeerEvents, SendError, Transport,
};
use ccs_proto::message::{Downstream, Upstream};
use ccs_proto::{
    ClientConnection, ConnectionError, ConnectionId, Nonce, ServerConfig, ServerConnection,
    ServerEvent, Time, TransportSecurity,
};
use ccs_tests::pair::client_config;
use ccs_tests::pipe::{End, FuturesTransport, Shape, World, pipe};

use crate::input::Input;

/// The first byte of a case: how many messages go each way, and whether the transport may break. The second is the room on
/// the way. Each that follows is a call to one of the transports: how it turns out.
pub fn run(case: &[u8]) {
    let mut input = Input(case);
    let head = input.byte();
    let shape = Shape {
        capacity: 1 + usize::from(input.byte()) * 16,
        ..Shape::WIDE
    };
    let script = Rc::new(RefCell::new(Script {
        calls: input.0.to_vec(),
        at: 0,
        may_break: head & 128 != 0,
        broken: false,
    }));
    let world = World::default();
    let told = Rc::new(Told::default());
    let ends = {
        let (world, script, told) = (world.clone(), Rc::clone(&script), Rc::clone(&told));
        let messages = usize::from(head & 7);
        world
            .clone()
            .run(talk(world, shape, script, messages, told))
    };

    let messages = usize::from(head & 7);
    let accepted = told.accepted.get();
    assert_eq!(
        told.outcomes.get(),
        messages,
        "each message has one outcome"
    );
    assert_eq!(
        ends.0, ends.1,
        "the driver and the handle tell the same end"
    );
    if !script.borrow().broken {
        assert_eq!(ends.0, Ok(()));
        assert_eq!(
            (accepted, told.handled.get()),
            (messages, messages),
            "all arrives"
        );
    }
}

/// What the tasks saw.
#[derive(Default)]
struct Told {
    outcomes: Cell<usize>,
    accepted: Cell<usize>,
    handled: Cell<usize>,
    ended: Cell<bool>,
}

fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

type Ended = Result<(), ConnectionError>;

/// A client and an endpoint: messages both ways, then the client closes.
async fn talk(
    world: World,
    shape: Shape,
    script: Rc<RefCell<Script>>,
    messages: usize,
    told: Rc<Told>,
) -> (Ended, Ended) {
    let (near, far) = pipe(shape);
    let scripted = |end| Scripted {
        inner: FuturesTransport(end),
        script: Rc::clone(&script),
    };
    let connection = ClientConnection::new(
        Arc::new(client_config()),
        ConnectionId(1),
        TransportSecurity::VerifiedTls,
        Time::ZERO,
    );
    let timer = world.clock().timer();
    let (client, incoming, client_driver) = driver::client(connection, scripted(near), timer, "m");
    let connection = ServerConnection::new(
        Arc::new(ServerConfig::default()),
        ConnectionId(2),
        Nonce([7; 20]),
        Time::ZERO,
    );
    let timer = world.clock().timer();
    let (login, server_driver) = driver::server(connection, scripted(far), timer);
    world.spawn(async move { drop(server_driver.await) });
    world.spawn(async move {
        if let Ok((peer, events)) = login.decide(|_| async { LoginVerdict::Accept }).await {
            serve(peer, events, messages).await;
        }
    });
    world.spawn(listen(client.clone(), incoming, messages, Rc::clone(&told)));
    for _ in 0..messages {
        let (client, told) = (client.clone(), Rc::clone(&told));
        world.spawn(async move {
            match client.send(Downstream::to("DEVICE")).await {
                Ok(_) => count(&told.accepted),
                Err(SendError::NotSent { .. } | SendError::Unknown { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            count(&told.outcomes);
            close_if_done(&client, &told, messages).await;
        });
    }
    let by_driver = client_driver.await;
    // Whoever waited for the connection is woken by its end, and not by any time that passes.
    for _ in 0..1_000 {
        if told.outcomes.get() == messages && told.ended.get() {
            break;
        }
        yield_now().await;
    }
    (by_driver, client.closed().await)
}

async fn serve(peer: Peer, mut events: PeerEvents, messages: usize) {
    for n in 0..messages {
        if peer
            .send(Upstream::new("DEVICE", format!("u-{n}")))
            .await
            .is_err()
        {
            return;
        }
    }
    while let Some(event) = events.next().await {
        if let ServerEvent::Downstream { token, .. } = event {
            // On a connection that ends the answer is nobody's any more.
            drop(peer.ack(token, None));
        }
    }
}

async fn listen(client: Client, mut incoming: Incoming, messages: usize, told: Rc<Told>) {
    close_if_done(&client, &told, messages).await;
    while let Some(event) = incoming.next().await {
        assert!(!told.ended.get(), "{event:?} after the end");
        match event {
            Event::Upstream(message) => {
                if message.ack().is_ok() {
                    count(&told.handled);
                }
                close_if_done(&client, &told, messages).await;
            }
            Event::Closed(_) => told.ended.set(true),
            Event::Answered { .. } => panic!("all answers are waited for"),
            _ => {}
        }
    }
}

/// Lets the others have a turn.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whoever comes last closes.
async fn close_if_done(client: &Client, told: &Told, messages: usize) {
    if (told.outcomes.get(), told.handled.get()) == (messages, messages) {
        // How it ended is asked for elsewhere.
        client.close().await.unwrap_or_default();
    }
}

/// How the calls to both transports turn out, one byte each; when they are used up, as well as can be.
struct Script {
    calls: Vec<u8>,
    at: usize,
    may_break: bool,
    broken: bool,
}

enum Turn {
    Pending,
    UpTo(usize),
    Broken(io::ErrorKind),
    Ended,
}

impl Script {
    fn next(&mut self) -> Turn {
        let call = self.calls.get(self.at).copied();
        self.at += 1;
        let turn = match call {
            None => Turn::UpTo(usize::MAX),
            Some(0..=63) => Turn::Pending,
            Some(call @ 64..=127) => Turn::UpTo(usize::from(call - 63)),
            Some(call @ 128..=249) => Turn::UpTo(usize::from(call - 127) * 32),
            Some(_) if !self.may_break => Turn::UpTo(1),
            Some(250..=252) => Turn::Ended,
            Some(253) => Turn::Broken(io::ErrorKind::UnexpectedEof),
            Some(_) => Turn::Broken(io::ErrorKind::ConnectionReset),
        };
        self.broken |= matches!(turn, Turn::Ended | Turn::Broken(_));
        turn
    }
}

struct Scripted {
    inner: FuturesTransport<End>,
    script: Rc<RefCell<Script>>,
}

impl Scripted {
    /// How much may be moved, unless the call ends here.
    fn turn(&self, cx: &Context<'_>) -> Result<usize, Poll<io::Result<usize>>> {
        match self.script.borrow_mut().next() {
            Turn::UpTo(limit) => Ok(limit),
            Turn::Pending => {
                cx.waker().wake_by_ref();
                Err(Poll::Pending)
            }
            Turn::Broken(kind) => Err(Poll::Ready(Err(kind.into()))),
            Turn::Ended => Err(Poll::Ready(Ok(0))),
        }
    }
}

impl Transport for Scripted {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.turn(cx) {
            Ok(limit) => {
                let end = limit.min(buffer.len());
                let part = buffer.get_mut(..end).unwrap_or_default();
                self.inner.poll_read(cx, part)
            }
            Err(turn) => turn,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.turn(cx) {
            Ok(limit) => {
                let part = bytes.get(..limit).unwrap_or(bytes);
                self.inner.poll_write(cx, part)
            }
            Err(turn) => turn,
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.turn(cx) {
            Ok(_) => self.inner.poll_flush(cx),
            Err(turn) => turn.map_ok(|_| ()),
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.turn(cx) {
            Ok(_) => self.inner.poll_close(cx),
            Err(turn) => turn.map_ok(|_| ()),
        }
    }
}
