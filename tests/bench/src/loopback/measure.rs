//! Measuring a peer while it is under load.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use super::Direction;
use super::counting::End;
use super::load::{Acks, Sends, Tally};
use super::pace::Pace;
use super::process;
use super::pump::{Role, pump};
use crate::corpus::Corpus;

/// Not measured, at the beginning.
const WARM_UP: Duration = Duration::from_millis(300);
/// Measured.
const SPAN: Duration = Duration::from_secs(1);

/// How much load, and until when.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// The window full at all times.
    Full,
    /// So many messages a second.
    Rate(f64),
    /// The window full, until so many messages are acked.
    Messages(u64),
}

/// What a peer did in the span that was measured.
#[derive(Debug)]
pub struct Measured {
    pub messages: u64,
    pub seconds: f64,
    pub cpu: Option<Duration>,
    /// Bytes.
    pub memory: Option<u64>,
    pub latencies: Vec<Duration>,
}

impl Measured {
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// Microseconds a message.
    pub fn cpu_us(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() * 1e6 / self.messages as f64)
    }
}

/// Plays one end of a connection that is logged in, for the peer with this process id at the other. `begun` came already.
pub async fn measure<S>(
    stream: &mut S,
    (end, direction): (End, Direction),
    corpus: &Corpus,
    load: Load,
    begun: &[u8],
    pid: u32,
) -> io::Result<Measured>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let sends = match end {
        End::Endpoint => Direction::Up,
        End::AppServer => Direction::Down,
    };
    if direction == sends {
        let pace = match load {
            Load::Rate(rate) => Some(Pace::start(rate)),
            _ => None,
        };
        let role = Sends::new(corpus, direction, pace);
        let tally = role.tally();
        run(stream, role, begun, watch(&tally, load, pid)).await
    } else {
        let role = Acks::new(corpus, direction);
        let tally = role.tally();
        run(stream, role, begun, watch(&tally, load, pid)).await
    }
}

async fn run<S>(
    stream: &mut S,
    mut role: impl Role,
    begun: &[u8],
    watch: impl Future<Output = Measured>,
) -> io::Result<Measured>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    role.receive(begun);
    tokio::select! {
        ended = pump(stream, &mut role) => {
            ended?;
            Err(io::ErrorKind::UnexpectedEof.into())
        }
        measured = watch => Ok(measured),
    }
}

async fn watch(tally: &Rc<Tally>, load: Load, pid: u32) -> Measured {
    if !matches!(load, Load::Messages(_)) {
        sleep(WARM_UP).await;
    }
    let (acked, cpu, started) = (tally.acked.get(), process::cpu(pid), Instant::now());
    tally.latencies.borrow_mut().clear();
    match load {
        Load::Full | Load::Rate(_) => sleep(SPAN).await,
        Load::Messages(count) => {
            while tally.acked.get() < count {
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
    let used = process::cpu(pid).zip(cpu);
    Measured {
        messages: tally.acked.get() - acked,
        seconds: started.elapsed().as_secs_f64(),
        cpu: used.and_then(|(end, start)| end.checked_sub(start)),
        memory: process::resident(pid),
        latencies: tally.latencies.take(),
    }
}
