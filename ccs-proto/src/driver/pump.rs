//! Moves the bytes of one connection between its transport and the core.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use zeroize::Zeroize;

use super::Transport;
use crate::time::Time;

/// One read takes this much at most; a TLS record holds no more.
const READ_BYTES: usize = 16 * 1024;
/// Reads before what they brought about is written. More of them batch more acks into one write; the first of them must
/// not wait for ever.
const READS: usize = 4;
/// A write buffer that grew beyond this is given back once it is empty.
const KEEP_BYTES: usize = 64 * 1024;
thread_local! {
    /// In each connection it would be half of what an idle one weighs, and on the stack it would be cleared at every poll.
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How long a transport may take to close.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The bytes of one connection, as the core takes and gives them. A failure is the connection's end, and shows there.
pub(super) trait Bytes {
    fn wants_input(&self) -> bool;
    fn receive(&self, now: Time, input: &[u8]);
    fn receive_eof(&self, now: Time);
    fn transport_failed(&self, now: Time, what: String);
    fn poll_transmit(&self, now: Time, out: &mut BytesMut) -> bool;
    /// What is read and written now may be a login, of which nothing is left behind.
    fn is_secret(&self) -> bool;
}

/// What came of a turn.
pub(super) struct Turn {
    /// Something was read or written, or the transport failed.
    pub(super) moved: bool,
    /// There may be more to read; otherwise the transport wakes the task when there is.
    pub(super) more: bool,
}

pub(super) struct Pump<T> {
    transport: T,
    write: BytesMut,
    /// How much of `write` the transport has taken.
    written: usize,
    /// What is in `write` may be a login.
    secret: bool,
    /// Something was written and not flushed. Kept over polls: a flush that was pending is taken up again.
    unflushed: bool,
    eof: bool,
    /// The last turn left something to be read.
    more: bool,
    /// The transport takes no more bytes, and why. What it still gives may say more than that.
    broken: Option<String>,
}

impl<T: Transport> Pump<T> {
    pub(super) fn new(transport: T) -> Self {
        Self {
            transport,
            write: BytesMut::new(),
            written: 0,
            secret: true,
            unflushed: false,
            eof: false,
            more: false,
            broken: None,
        }
    }

    /// Reads what is there, then writes what that brought about and what else there is.
    ///
    /// Where the turn before left something to be read, its acks go out first, so that the peer makes the next messages while
    /// these are read. Otherwise what the peer says now comes first: it may drain, or have ended the stream.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>, now: Time, bytes: &impl Bytes) -> Turn {
        let wrote_before = self.more && self.write(cx, now, bytes);
        let (read, drained) = self.read(cx, now, bytes);
        let wrote = self.write(cx, now, bytes);
        // What was written may be what lets the connection read on.
        self.more = !drained && bytes.wants_input();
        let failed = match self.broken.take_if(|_| !self.more) {
            Some(what) => {
                self.eof = true;
                bytes.transport_failed(now, what);
                true
            }
            None => false,
        };
        Turn {
            moved: wrote_before || read || wrote || failed,
            more: self.more,
        }
    }

    /// Whether anything was read, and whether that was all, so that the transport wakes the task when there is more.
    fn read(&mut self, cx: &mut Context<'_>, now: Time, bytes: &impl Bytes) -> (bool, bool) {
        // Taken, as a waker that is called meanwhile may run another connection.
        let mut buffer = READ_BUFFER.take();
        buffer.resize(READ_BYTES, 0);
        let came = self.read_into(&mut buffer, cx, now, bytes);
        READ_BUFFER.set(buffer);
        came
    }

    fn read_into(
        &mut self,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
        now: Time,
        bytes: &impl Bytes,
    ) -> (bool, bool) {
        let mut progress = false;
        for _ in 0..READS {
            if self.eof || !bytes.wants_input() {
                return (progress, self.eof);
            }
            match self.transport.poll_read(cx, buffer) {
                Poll::Ready(Ok(0)) => self.end_of_input(now, bytes),
                // What rustls says of a peer that closed without `close_notify`. The end of an XMPP stream is told in the
                // stream itself, so it is the core that knows whether something was cut off.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.end_of_input(now, bytes);
                }
                Poll::Ready(Ok(count)) => {
                    let secret = bytes.is_secret();
                    let input = buffer.get_mut(..count).unwrap_or_default();
                    bytes.receive(now, input);
                    if secret {
                        input.zeroize();
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.break_off(&error);
                    return (progress, true);
                }
                Poll::Pending => return (progress, true),
            }
            progress = true;
        }
        (progress, self.eof)
    }

    fn end_of_input(&mut self, now: Time, bytes: &impl Bytes) {
        self.eof = true;
        bytes.receive_eof(now);
    }

    /// Whether anything was written. Flushes once nothing is left to write.
    fn write(&mut self, cx: &mut Context<'_>, now: Time, bytes: &impl Bytes) -> bool {
        let mut progress = false;
        while self.fill(now, bytes) {
            let rest = self.write.get(self.written..).unwrap_or_default();
            match self.transport.poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => self.break_off(&io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.written = self.written.saturating_add(count);
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => self.break_off(&error),
                Poll::Pending => return progress,
            }
            progress = true;
        }
        if self.unflushed {
            match self.transport.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.break_off(&error),
                Poll::Pending => {}
            }
        }
        progress
    }

    /// Whether there is something to write.
    fn fill(&mut self, now: Time, bytes: &impl Bytes) -> bool {
        if self.broken.is_some() {
            return false;
        }
        if self.written < self.write.len() {
            return true;
        }
        self.forget_written();
        if self.write.capacity() > KEEP_BYTES {
            self.write = BytesMut::new();
        }
        self.secret = bytes.is_secret();
        bytes.poll_transmit(now, &mut self.write)
    }

    /// Nothing can be written any more.
    fn break_off(&mut self, error: &io::Error) {
        self.forget_written();
        self.unflushed = false;
        self.broken.get_or_insert_with(|| error.to_string());
    }

    /// Writes what is left and closes the transport.
    pub(super) fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        now: Time,
        bytes: &impl Bytes,
    ) -> Poll<()> {
        self.write(cx, now, bytes);
        let flushed = self.write.is_empty() && !self.unflushed;
        if flushed && self.transport.poll_close(cx).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl<T> Pump<T> {
    fn forget_written(&mut self) {
        if self.secret {
            self.write.as_mut().zeroize();
        }
        self.write.clear();
        self.written = 0;
    }
}

impl<T> Drop for Pump<T> {
    fn drop(&mut self) {
        self.forget_written();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::task::Waker;

    use super::*;

    /// Fails when it is read or flushed.
    struct Fails {
        reads: bool,
    }

    impl Transport for Fails {
        fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            if self.reads {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            } else {
                Poll::Pending
            }
        }

        fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Has something to write, once, if at all.
    struct Told {
        to_write: RefCell<Option<&'static [u8]>>,
        failures: RefCell<Vec<String>>,
    }

    impl Bytes for Told {
        fn wants_input(&self) -> bool {
            self.failures.borrow().is_empty()
        }

        fn receive(&self, _: Time, _: &[u8]) {}

        fn receive_eof(&self, _: Time) {}

        fn transport_failed(&self, _: Time, what: String) {
            self.failures.borrow_mut().push(what);
        }

        fn poll_transmit(&self, _: Time, out: &mut BytesMut) -> bool {
            let bytes = self.to_write.take();
            out.extend_from_slice(bytes.unwrap_or_default());
            bytes.is_some()
        }

        fn is_secret(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_failure_is_told_once_and_followed_up_at_once() {
        let cx = &mut Context::from_waker(Waker::noop());
        for (reads, to_write) in [(true, None), (false, Some(&b"ack"[..]))] {
            let told = Told {
                to_write: RefCell::new(to_write),
                failures: RefCell::default(),
            };
            let mut pump = Pump::new(Fails { reads });
            let turn = pump.turn(cx, Time::ZERO, &told);
            assert!(
                turn.moved && !turn.more,
                "a session dials anew because of it"
            );
            assert!(!pump.turn(cx, Time::ZERO, &told).moved);
            assert_eq!(told.failures.borrow().len(), 1);
        }
    }
}
