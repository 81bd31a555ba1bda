//! stdin, stdout and signals. Reading and writing block, so each has a thread, and neither holds the process up when it
//! ends.

use std::io::{self, BufRead, Read, Write};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::event::Event;

/// Bytes of a line of stdin, at most.
const LINE: u64 = 64 * 1024;

/// Lines of stdin, numbered from 1. The end of stdin ends nothing else.
pub struct Lines(mpsc::Receiver<(u64, io::Result<String>)>);

impl Lines {
    pub fn new() -> Self {
        let (lines, receiver) = mpsc::channel(64);
        thread::spawn(move || {
            let mut stdin = io::stdin().lock();
            for number in 1.. {
                let Some(line) = read_line(&mut stdin) else {
                    return;
                };
                let is_blank = line.as_ref().is_ok_and(String::is_empty);
                if !is_blank && lines.blocking_send((number, line)).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    pub async fn next(&mut self) -> Option<(u64, io::Result<String>)> {
        self.0.recv().await
    }
}

fn read_line(input: &mut impl BufRead) -> Option<io::Result<String>> {
    let mut line = Vec::new();
    let read = input.take(LINE).read_until(b'\n', &mut line);
    match read {
        Ok(0) | Err(_) => None,
        Ok(_) if line.last() != Some(&b'\n') && line.len() as u64 >= LINE => {
            skip_line(input);
            Some(Err(io::Error::other(format!(
                "the line is longer than {LINE} bytes"
            ))))
        }
        Ok(_) => Some(match String::from_utf8(line) {
            Ok(line) => Ok(line.trim().to_owned()),
            Err(error) => Err(io::Error::other(error)),
        }),
    }
}

fn skip_line(input: &mut impl BufRead) {
    while let Ok(bytes) = input.fill_buf() {
        let (used, ends) = match bytes.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (bytes.len(), bytes.is_empty()),
        };
        input.consume(used);
        if ends {
            return;
        }
    }
}

/// Prints lines, each flushed.
pub struct Stdout {
    lines: Option<mpsc::Sender<String>>,
    finished: oneshot::Receiver<()>,
}

impl Stdout {
    pub fn new() -> Self {
        let (lines, mut receiver) = mpsc::channel::<String>(256);
        let (done, finished) = oneshot::channel();
        thread::spawn(move || {
            let mut stdout = io::stdout().lock();
            let mut gone = false;
            while let Some(line) = receiver.blocking_recv() {
                let written = stdout
                    .write_all(line.as_bytes())
                    .and_then(|()| stdout.flush());
                if written.is_err() && !gone {
                    gone = true;
                    anstream::eprintln!("Nobody reads stdout any more; the endpoint goes on.");
                }
            }
            let _ = done.send(());
        });
        Self {
            lines: Some(lines),
            finished,
        }
    }

    /// Waits while the reader is behind.
    pub async fn ready(&self) {
        if let Some(lines) = &self.lines {
            let _ = lines.reserve().await;
        }
    }

    /// Prints a line, for which there has to be room.
    pub fn print(&self, event: &Event) {
        // Strings and numbers always have a JSON form.
        let Ok(mut line) = serde_json::to_string(event) else {
            return;
        };
        line.push('\n');
        if let Some(lines) = &self.lines {
            let _ = lines.try_send(line);
        }
    }

    /// Waits until everything is printed.
    pub async fn finish(mut self) {
        self.lines = None;
        let _ = (&mut self.finished).await;
    }
}

/// The signals that ask us to end.
pub struct Signals(mpsc::Receiver<()>);

impl Signals {
    pub fn new() -> io::Result<Self> {
        let (signals, receiver) = mpsc::channel(2);
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
                let mut stream = signal(kind)?;
                let signals = signals.clone();
                tokio::spawn(async move {
                    while stream.recv().await.is_some() && signals.send(()).await.is_ok() {}
                });
            }
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && signals.send(()).await.is_ok() {}
        });
        Ok(Self(receiver))
    }

    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
