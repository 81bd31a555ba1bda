//! A process that is measured: this program once more, as somebody else.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Direction;
use super::certificate::Certificate;
use crate::corpus::{Corpus, Quotes, Size};

/// The first argument of a program that is to be a peer; the second says which.
pub const PEER: &str = "peer";

/// What a peer is told, as one line on its stdin.
#[derive(Serialize, Deserialize)]
pub struct Setup {
    /// Where to connect; an app server's.
    pub address: Option<SocketAddr>,
    pub certificate: Certificate,
    pub direction: Direction,
    /// Bytes of data in a message.
    pub size: usize,
    /// Connections to have.
    pub connections: usize,
}

impl Setup {
    /// What this process was told.
    pub fn read() -> Self {
        let mut line = String::new();
        io::stdin().read_line(&mut line).expect("a line on stdin");
        serde_json::from_str(&line).expect("a setup")
    }

    /// What messages are about. Only who needs it makes it, or it would show in his memory.
    pub fn corpus(&self) -> Corpus {
        Corpus::new(Size(self.size), Quotes::Raw)
    }
}

/// A peer that runs. Ends with this.
pub struct Peer {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Peer {
    pub fn start(name: &str, setup: &Setup) -> io::Result<Self> {
        Self::run(Command::new(env::current_exe()?), name, setup)
    }

    /// With `strace`, which counts its system calls into a file.
    pub fn start_traced(name: &str, setup: &Setup, counts: &Path) -> io::Result<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-c", "-o"]).arg(counts);
        strace.arg(env::current_exe()?);
        Self::run(strace, name, setup)
    }

    fn run(mut command: Command, name: &str, setup: &Setup) -> io::Result<Self> {
        let mut child = command
            .args([PEER, name])
            // One thread each, as the other runtimes have here.
            .env("ASYNC_STD_THREAD_COUNT", "1")
            .env("SMOL_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stdout.take().expect("piped"));
        let line = serde_json::to_string(setup)? + "\n";
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(line.as_bytes())?;
        Ok(Self { child, said })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.said.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Waits until it ends by itself, but not for long.
    pub fn wait(mut self) -> io::Result<()> {
        let started = Instant::now();
        while self.child.try_wait()?.is_none() {
            if started.elapsed() > Duration::from_secs(10) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended, then this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
