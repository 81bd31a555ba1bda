//! The driver without tokio: a transport of futures-io, a timer in virtual time, an executor of a few lines.
#![allow(missing_docs)]

mod gone;
mod watched;

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use ccs_proto::driver::{
    self, Client, Event, Incoming, LoginVerdict, Peer, PeerEvents, SendError, Transport,
};
use ccs_proto::message::{Data, Downstream, Upstream};
use ccs_proto::{
    Blocked, ClientConfig, ClientConnection, ConnectionError, ConnectionId, Nonce, ServerConfig,
    ServerConnection, ServerEvent, Time, TransportSecurity,
};
use ccs_tests::pipe::{Counts, End, FuturesTransport, Shape, World, pipe};

use watched::{Watch, Watched};

const MESSAGES: usize = 2_000;

type Ended = Rc<Cell<Option<Result<(), ConnectionError>>>>;

struct Pair {
    client: Client,
    incoming: Incoming,
    peer: Peer,
    events: PeerEvents,
    counts: Arc<Mutex<Counts>>,
    driver: Ended,
}

fn client_config() -> ClientConfig {
    ClientConfig::new("123456789012".parse().expect("digits"), "KEY".into())
}

/// Both ends, logged in; the client's transport as `wrap` makes it.
async fn pair<T: Transport + Unpin + 'static>(
    world: World,
    shape: Shape,
    server: ServerConfig,
    wrap: impl FnOnce(FuturesTransport<End>) -> T,
) -> Pair {
    let (near, far) = pipe(shape);
    let counts = near.counts();
    let connection = ClientConnection::new(
        Arc::new(client_config()),
        ConnectionId(1),
        TransportSecurity::VerifiedTls,
        Time::ZERO,
    );
    let transport = wrap(FuturesTransport(near));
    let timer = world.clock().timer();
    let (client, incoming, client_driver) = driver::client(connection, transport, timer, "m");
    let connection = ServerConnection::new(
        Arc::new(server),
        ConnectionId(2),
        Nonce([7; 20]),
        Time::ZERO,
    );
    let timer = world.clock().timer();
    let (login, server_driver) = driver::server(connection, FuturesTransport(far), timer);
    let driver = Ended::default();
    let ended = Rc::clone(&driver);
    world.spawn(async move { ended.set(Some(client_driver.await)) });
    world.spawn(async move { drop(server_driver.await) });
    let (peer, events) = login
        .decide(|_| async { LoginVerdict::Accept })
        .await
        .expect("logged in");
    client.bound().await.expect("logged in");
    Pair {
        client,
        incoming,
        peer,
        events,
        counts,
        driver,
    }
}

/// Messages both ways at once, then a drain, then the end.
fn talk(shape: Shape) -> Counts {
    let world = World::default();
    let inner = world.clone();
    world.run(async move {
        let mut pair = pair(inner.clone(), shape, ServerConfig::default(), |same| same).await;
        for n in 0..MESSAGES {
            let (client, peer) = (pair.client.clone(), pair.peer.clone());
            inner.spawn(async move {
                let message = Downstream::to("DEVICE").data("n", n.to_string());
                client.send(message).await.expect("accepted");
            });
            inner.spawn(async move {
                let message = Upstream::new("DEVICE", format!("u-{n}"));
                peer.send(message).await.expect("sent");
            });
        }
        let (peer, mut events) = (pair.peer.clone(), pair.events);
        let done = Rc::new(Cell::new((0, 0, None)));
        let seen = Rc::clone(&done);
        inner.spawn(async move {
            let (mut messages, mut acks) = (0, 0);
            while let Some(event) = events.next().await {
                match event {
                    ServerEvent::Downstream { token, .. } => {
                        peer.ack(token, None).expect("open");
                        messages += 1;
                    }
                    ServerEvent::Acked(_) => acks += 1,
                    ServerEvent::Closed(end) => {
                        seen.set((messages, acks, Some(end)));
                        return;
                    }
                    other => panic!("{other:?}"),
                }
                if (messages, acks) == (MESSAGES, MESSAGES) {
                    peer.drain();
                }
            }
        });
        let mut received = 0;
        let mut drained = false;
        let end = loop {
            match pair.incoming.next().await.expect("an event") {
                Event::Upstream(message) => {
                    message.ack().expect("open");
                    received += 1;
                }
                Event::Draining => {
                    drained = true;
                    let refused = pair.client.send(Downstream::to("LATE")).await;
                    let why = Blocked::Draining;
                    assert!(
                        matches!(refused, Err(SendError::NotSent { why: said, .. }) if said == why)
                    );
                }
                Event::Closed(end) => break end,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((received, drained, end), (MESSAGES, true, Ok(())));
        assert_eq!(pair.client.close().await, Ok(()));
        while pair.driver.take().is_none() {
            yield_now().await;
        }
        let seen = loop {
            match done.take() {
                (_, _, None) => yield_now().await,
                seen => break seen,
            }
        };
        assert_eq!(seen, (MESSAGES, MESSAGES, Some(Ok(()))));
        *pair.counts.lock().expect("whole")
    })
}

/// Lets the others have a turn.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn messages_go_both_ways_over_a_wide_pipe() {
    let counts = talk(Shape::WIDE);
    assert_eq!(counts.pending_flushes, 0);
}

#[test]
fn messages_go_both_ways_over_a_pipe_that_is_narrower_than_a_stanza() {
    let counts = talk(Shape {
        capacity: 64,
        ..Shape::WIDE
    });
    assert!(counts.pending_flushes > 0);
}

#[test]
fn messages_go_both_ways_in_small_pieces_with_pauses_anywhere() {
    for (read, write, capacity, pending) in
        [(13, 7, 100, 2), (1000, 50, 333, 3), (50, 1000, 4096, 5)]
    {
        talk(Shape {
            read,
            write,
            capacity,
            pending,
            buffered: true,
        });
    }
}

/// What is not flushed does not arrive, so the login comes through only if each flush is taken up again.
#[test]
fn a_flush_that_was_pending_is_taken_up_again() {
    let world = World::default();
    let inner = world.clone();
    let shape = Shape {
        pending: 2,
        ..Shape::WIDE
    };
    let counts = world.run(async move {
        let pair = pair(inner, shape, ServerConfig::default(), |same| same).await;
        *pair.counts.lock().expect("whole")
    });
    assert!(counts.pending_flushes > 0, "{counts:?}");
    assert!(counts.flushes >= 4, "{counts:?}");
}

#[test]
fn acks_of_one_read_go_out_in_one_write() {
    let world = World::default();
    let inner = world.clone();
    let (before, after) = world.run(async move {
        let mut config = ServerConfig::default();
        config.upstream_window = 1_000;
        let mut pair = pair(inner.clone(), Shape::WIDE, config, |same| same).await;
        let before = *pair.counts.lock().expect("whole");
        for n in 0..1_000 {
            let message = Upstream::new("DEVICE", format!("u-{n}"));
            pair.peer.try_send(message).expect("a place");
        }
        let mut incoming = pair.incoming;
        inner.spawn(async move {
            while let Some(event) = incoming.next().await {
                if let Event::Upstream(message) = event {
                    message.ack().expect("open");
                }
            }
        });
        let mut acked = 0;
        while acked < 1_000 {
            if let Some(ServerEvent::Acked(_)) = pair.events.next().await {
                acked += 1;
            }
        }
        let after = *pair.counts.lock().expect("whole");
        (before, after)
    });
    let writes = after.writes - before.writes;
    let flushes = after.flushes - before.flushes;
    let reads = after.reads - before.reads;
    assert!(
        writes <= 10,
        "{writes} writes for 1,000 acks in {reads} reads"
    );
    assert!(flushes <= writes, "{flushes} flushes for {writes} writes");
}

/// Reads since something was written, and the most of them.
#[derive(Default)]
struct Reads {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Watch for Arc<Reads> {
    fn read(
        &mut self,
        inner: &mut FuturesTransport<End>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = inner.poll_read(cx, buffer);
        if read.is_ready() {
            let reads = self.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(reads, Ordering::Relaxed);
        }
        read
    }

    fn before_write(&mut self) -> io::Result<()> {
        self.now.store(0, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn acks_go_out_while_more_is_there_to_be_read() {
    const MESSAGES: usize = 600;
    let world = World::default();
    let inner = world.clone();
    let reads = Arc::new(Reads::default());
    let watch = Arc::clone(&reads);
    world.run(async move {
        let mut config = ServerConfig::default();
        config.upstream_window = MESSAGES;
        let counts = |inner| Watched { inner, watch };
        let mut pair = pair(inner, Shape::WIDE, config, counts).await;
        for n in 0..MESSAGES {
            let data = Data::new().with("text", "x".repeat(1_000));
            let message = Upstream::new("DEVICE", format!("u-{n}")).with_data(data);
            pair.peer.try_send(message).expect("a place");
        }
        reads.most.store(0, Ordering::Relaxed);
        for _ in 0..MESSAGES {
            let Some(Event::Upstream(message)) = pair.incoming.next().await else {
                panic!("a message was sent");
            };
            message.ack().expect("open");
        }
        while !matches!(pair.events.next().await, Some(ServerEvent::Acked(_))) {}
        let most = reads.most.load(Ordering::Relaxed);
        // A turn is four. What is acked goes out before the next one, and the first may follow one that brought nothing.
        assert!((1..8).contains(&most), "{most} reads without a write");
    });
}

/// As an executor may that polls at once whom it wakes.
struct Looks {
    client: Client,
    woken: AtomicUsize,
}

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        assert!(self.client.capacity() <= 100);
        self.woken.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_waker_may_use_the_connection_that_wakes_it() {
    let world = World::default();
    let inner = world.clone();
    world.run(async move {
        let mut pair = pair(inner, Shape::WIDE, ServerConfig::default(), |same| same).await;
        let client = pair.client.clone();
        let looks = Arc::new(Looks {
            client,
            woken: AtomicUsize::new(0),
        });
        let waker = Waker::from(Arc::clone(&looks));
        let mut cx = Context::from_waker(&waker);
        let mut send = pin!(pair.client.send(Downstream::to("DEVICE")));
        assert!(send.as_mut().poll(&mut cx).is_pending());
        let mut event = pin!(pair.incoming.next());
        assert!(event.as_mut().poll(&mut cx).is_pending());
        let mut closed = pin!(pair.client.closed());
        assert!(closed.as_mut().poll(&mut cx).is_pending());
        while !matches!(
            pair.events.next().await,
            Some(ServerEvent::Downstream { .. })
        ) {}
        pair.peer.close();
        assert_eq!(closed.await, Ok(()));
        assert!(matches!(send.await, Err(SendError::Unknown { .. })));
        assert!(matches!(event.await, Some(Event::Closed(Ok(())))));
        assert!(looks.woken.load(Ordering::Relaxed) >= 2);
    });
}
