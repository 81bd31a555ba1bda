//! stdout, which is written by a thread of its own: whoever does not read it holds up nothing but what is printed.

use std::io::{self, Write};
use std::thread;

use crate::terminal::note;
use tokio::sync::{mpsc, oneshot};

use super::event::Event;

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
                    note("Nobody reads stdout any more; the endpoint goes on.");
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
