//! A peer that takes nothing more: what it said last counts.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ccs_proto::driver::{Event, SendError, Transport};
use ccs_proto::message::{Data, Downstream, Upstream};
use ccs_proto::{ServerConfig, ServerEvent};
use ccs_tests::pipe::{End, FuturesTransport, Shape, World};

use super::watched::{Watch, Watched};
use super::{pair, yield_now};

/// Takes no byte more once the peer has ended its stream.
#[derive(Default)]
struct GoneAfterTheEnd {
    gone: bool,
}

impl Watch for GoneAfterTheEnd {
    fn read(
        &mut self,
        inner: &mut FuturesTransport<End>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = inner.poll_read(cx, buffer);
        if let Poll::Ready(Ok(count)) = read {
            self.gone |= buffer[..count].ends_with(b"</stream:stream>");
        }
        read
    }

    fn before_write(&mut self) -> io::Result<()> {
        refuse(self.gone)
    }
}

fn refuse(gone: bool) -> io::Result<()> {
    match gone {
        true => Err(io::ErrorKind::BrokenPipe.into()),
        false => Ok(()),
    }
}

#[test]
fn a_peer_that_is_gone_after_its_end_of_the_stream_does_not_make_it_a_failure() {
    let world = World::default();
    let inner = world.clone();
    world.run(async move {
        let config = ServerConfig::default();
        let watch = GoneAfterTheEnd::default();
        let gone = |inner| Watched { inner, watch };
        let mut pair = pair(inner, Shape::WIDE, config, gone).await;
        pair.peer.close();
        let Some(Event::Closed(told)) = pair.incoming.next().await else {
            panic!("the end is told");
        };
        assert_eq!(told, Ok(()));
        assert_eq!(pair.client.closed().await, Ok(()), "the same for everybody");
        loop {
            match pair.driver.take() {
                Some(end) => return assert_eq!(end, Ok(())),
                None => yield_now().await,
            }
        }
    });
}

/// What comes waits until all of it is there, and from then on nothing can be written.
#[derive(Clone, Default)]
struct Held {
    holds: Rc<Cell<bool>>,
    gone: Rc<Cell<bool>>,
    reader: Rc<RefCell<Option<Waker>>>,
}

impl Watch for Held {
    fn read(
        &mut self,
        inner: &mut FuturesTransport<End>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.holds.get() {
            self.reader.replace(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        inner.poll_read(cx, buffer)
    }

    fn before_write(&mut self) -> io::Result<()> {
        refuse(self.gone.get())
    }
}

/// An ack, so many messages and the end of the stream wait when the next message is to be written, and that fails. Gives what
/// became of it.
fn last_words(messages: usize) -> SendError {
    let world = World::default();
    let inner = world.clone();
    world.run(async move {
        let mut config = ServerConfig::default();
        config.upstream_window = messages.max(1);
        let held = Held::default();
        let watch = held.clone();
        let wrap = |inner| Watched { inner, watch };
        let mut pair = pair(inner, Shape::WIDE, config, wrap).await;
        let first = pair
            .client
            .try_send(Downstream::to("DEVICE").data("n", "1"));
        let Some(ServerEvent::Downstream { token, .. }) = pair.events.next().await else {
            panic!("a message was sent");
        };
        held.holds.set(true);
        for n in 0..messages {
            let data = Data::new().with("text", "x".repeat(1_000));
            let message = Upstream::new("DEVICE", format!("u-{n}")).with_data(data);
            pair.peer.try_send(message).expect("a place");
        }
        let all_is_written = async || {
            for _ in 0..20 {
                yield_now().await;
            }
        };
        all_is_written().await;
        pair.peer.ack(token, None).expect("open");
        pair.peer.close();
        all_is_written().await;
        held.gone.set(true);
        held.holds.set(false);
        let second = pair
            .client
            .try_send(Downstream::to("DEVICE").data("n", "2"));
        held.reader.take().expect("it reads").wake();

        let mut taken = 0;
        let end = loop {
            match pair.incoming.next().await.expect("the end is told") {
                Event::Upstream(message) => {
                    taken += 1;
                    // The stream may have ended, and then it comes again.
                    let _ = message.ack();
                }
                Event::Closed(end) => break end,
                _ => {}
            }
        };
        assert_eq!((taken, end), (messages, Ok(())));
        first.expect("a place").await.expect("it was acked");
        second
            .expect("a place")
            .await
            .expect_err("nobody was there")
    })
}

#[test]
fn what_a_peer_said_before_it_was_gone_is_read_before_anything_is_written() {
    let next = last_words(0);
    assert!(matches!(next, SendError::NotSent { .. }), "{next:?}");
}

#[test]
fn what_a_peer_said_before_it_was_gone_is_read_although_acks_cannot_be_written() {
    let next = last_words(400);
    // It went out with the acks, as far as this side can tell.
    assert!(matches!(next, SendError::Unknown { .. }), "{next:?}");
}
