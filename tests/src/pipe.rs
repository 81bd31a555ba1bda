//! Memory pipes as transports, with a clock and an executor of their own: nothing here knows a runtime.

mod world;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use ccs_proto::driver::Transport;
use futures_io::{AsyncRead, AsyncWrite};

pub use world::{Clock, ManualTimer, World};

/// How a pipe behaves.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Bytes that one read gives, at most.
    pub read: usize,
    /// Bytes that one write takes, at most.
    pub write: usize,
    /// Bytes on their way, at most.
    pub capacity: usize,
    /// One call of so many is `Pending` for no reason, at times that are always the same; 0 is never.
    pub pending: u32,
    /// What is written stays with the writer until it is flushed, as in a TLS stream; a socket lets it go at once.
    pub buffered: bool,
}

impl Shape {
    /// Takes and gives what it is asked for.
    pub const WIDE: Self = Self {
        read: usize::MAX,
        write: usize::MAX,
        capacity: 1 << 20,
        pending: 0,
        buffered: true,
    };
}

/// What was done to one end of a pipe.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Reads that gave something.
    pub reads: usize,
    /// Writes that took something.
    pub writes: usize,
    /// Flushes that were done.
    pub flushes: usize,
    /// Flushes that were not done at once.
    pub pending_flushes: usize,
}

/// One direction.
#[derive(Debug, Default)]
struct Channel {
    bytes: VecDeque<u8>,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end of a pipe.
#[derive(Debug)]
pub struct End {
    from: Arc<Mutex<Channel>>,
    to: Arc<Mutex<Channel>>,
    staged: VecDeque<u8>,
    shape: Shape,
    /// Says which calls are `Pending`. Not every n-th: that could be the same one of each turn.
    dice: u32,
    counts: Arc<Mutex<Counts>>,
}

/// Both ends of a new pipe.
#[must_use]
pub fn pipe(shape: Shape) -> (End, End) {
    let [there, back] = [(); 2].map(|()| Arc::new(Mutex::new(Channel::default())));
    let end = |from: &Arc<_>, to: &Arc<_>| End {
        from: Arc::clone(from),
        to: Arc::clone(to),
        staged: VecDeque::new(),
        shape,
        dice: 1,
        counts: Arc::default(),
    };
    (end(&back, &there), end(&there, &back))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(slot: &mut Option<Waker>) {
    if let Some(waker) = slot.take() {
        waker.wake();
    }
}

impl End {
    /// What will have been done to this end, at any time.
    #[must_use]
    pub fn counts(&self) -> Arc<Mutex<Counts>> {
        Arc::clone(&self.counts)
    }

    /// `Pending` for no reason, now and then.
    fn hesitate(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.dice = self
            .dice
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        if (self.dice >> 16).checked_rem(self.shape.pending) == Some(0) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// How much may be on its way besides what is.
    fn room(&self, cx: &Context<'_>) -> Poll<usize> {
        let mut to = lock(&self.to);
        let room = self.shape.capacity.saturating_sub(to.bytes.len());
        if room == 0 && !to.closed {
            to.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(room)
    }

    /// Lets go what was written, as far as there is room.
    fn push(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.staged.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut to = lock(&self.to);
        if to.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = self.shape.capacity.saturating_sub(to.bytes.len());
        let count = room.min(self.staged.len());
        if count > 0 {
            to.bytes.extend(self.staged.drain(..count));
            wake(&mut to.reader);
        }
        if self.staged.is_empty() {
            return Poll::Ready(Ok(()));
        }
        to.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.hesitate(cx));
        let mut from = lock(&self.from);
        if from.bytes.is_empty() && !from.closed {
            from.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = buffer.len().min(self.shape.read).min(from.bytes.len());
        for (place, byte) in buffer.iter_mut().zip(from.bytes.drain(..count)) {
            *place = byte;
        }
        wake(&mut from.writer);
        lock(&self.counts).reads += 1;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.hesitate(cx));
        if self.staged.len() >= self.shape.capacity {
            ready!(self.push(cx))?;
        }
        let mut count = bytes.len().min(self.shape.write);
        if !self.shape.buffered {
            count = count.min(ready!(self.room(cx)));
        }
        self.staged.extend(&bytes[..count]);
        if !self.shape.buffered {
            ready!(self.push(cx))?;
        }
        lock(&self.counts).writes += 1;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match self.hesitate(cx) {
            Poll::Ready(()) => self.push(cx),
            Poll::Pending => Poll::Pending,
        };
        let mut counts = lock(&self.counts);
        match flushed {
            Poll::Ready(_) => counts.flushes += 1,
            Poll::Pending => counts.pending_flushes += 1,
        }
        drop(counts);
        flushed
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.push(cx))?;
        let mut to = lock(&self.to);
        to.closed = true;
        wake(&mut to.reader);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        for channel in [&self.to, &self.from] {
            let mut channel = lock(channel);
            channel.closed = true;
            wake(&mut channel.reader);
            wake(&mut channel.writer);
        }
    }
}

/// Any stream of the futures crate's as a [`Transport`].
#[derive(Debug)]
pub struct FuturesTransport<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for FuturesTransport<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
