//! Moves bytes as fast as tokio and rustls do: reads all that is there, then writes all that it brought about at once.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is done with the bytes of a connection that is logged in.
pub trait Role {
    fn receive(&mut self, input: &[u8]);

    /// Appends what there is to write. May have the task woken when there is more.
    fn transmit(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>);
}

/// One read; a TLS record holds no more.
const READ: usize = 16 * 1024;
/// Reads before what they brought about is written.
const READS: usize = 4;

/// Until the other side closes.
pub async fn pump<S>(stream: &mut S, role: &mut impl Role) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut read = vec![0; READ];
    let (mut out, mut written) = (Vec::new(), 0);
    poll_fn(|cx| {
        loop {
            let mut moved = false;
            for _ in 0..READS {
                let mut buffer = ReadBuf::new(&mut read);
                match Pin::new(&mut *stream).poll_read(cx, &mut buffer)? {
                    Poll::Ready(()) if buffer.filled().is_empty() => return Poll::Ready(Ok(())),
                    Poll::Ready(()) => role.receive(buffer.filled()),
                    Poll::Pending => break,
                }
                moved = true;
            }
            if written == out.len() {
                out.clear();
                written = 0;
                role.transmit(cx, &mut out);
            }
            while written < out.len() {
                written += ready!(Pin::new(&mut *stream).poll_write(cx, &out[written..]))?;
            }
            ready!(Pin::new(&mut *stream).poll_flush(cx))?;
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await
}
