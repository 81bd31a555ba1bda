//! A transport that somebody watches, and interferes with.

use std::io;
use std::task::{Context, Poll};

use ccs_proto::driver::Transport;
use ccs_tests::pipe::{End, FuturesTransport};

/// What is done with reads and writes; by default what the transport does.
pub trait Watch {
    fn read(
        &mut self,
        inner: &mut FuturesTransport<End>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        inner.poll_read(cx, buffer)
    }

    /// Before each write, which it may refuse.
    fn before_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub struct Watched<W> {
    pub inner: FuturesTransport<End>,
    pub watch: W,
}

impl<W: Watch> Transport for Watched<W> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.watch.read(&mut self.inner, cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.watch.before_write()?;
        self.inner.poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_close(cx)
    }
}
