//! stdout, which the application may be slow to read.

use std::io::{self, Write};
use std::thread;

use ccs_tokio::Handling;
use tokio::sync::{mpsc, oneshot};

use crate::ndjson::Line;

/// Lines that wait to be written, at most. Each tells of one stanza, of 64 KiB at most.
const WAITING: usize = 2048;
/// Of these, before nothing more is told that the application did not ask for. The rest is for what its own lines bring
/// about: one that answers each line before it reads the next must not come to stand in a write.
const UNASKED: usize = 256;

/// A line, and what is acked once it is written.
type Printed = (String, Option<Handling>);

/// Writes lines in a thread of its own, so that a reader who is slow holds up nothing but what is to be written.
pub struct Output {
    lines: mpsc::Sender<Printed>,
    /// One that found no room.
    waiting: Option<Printed>,
    written: oneshot::Receiver<io::Result<()>>,
}

impl Output {
    pub fn new() -> Self {
        let (lines, receiver) = mpsc::channel(WAITING);
        let (done, written) = oneshot::channel();
        thread::spawn(move || done.send(write(receiver)));
        Self {
            lines,
            waiting: None,
            written,
        }
    }

    /// Whether the reader keeps up, so that more may be told of what happens.
    pub fn has_room(&self) -> bool {
        let keeps_up = self.lines.capacity() > WAITING - UNASKED || self.lines.is_closed();
        keeps_up && self.waiting.is_none()
    }

    /// Whether what a line of the application brings about may be printed, if only to wait.
    pub fn takes_answers(&self) -> bool {
        self.waiting.is_none()
    }

    /// Prints a line, or has it wait for room.
    pub fn print(&mut self, line: &Line) {
        self.put((line.text(), None));
    }

    /// The same, and acks what it tells of when it is written: what was not written is not acked.
    pub fn print_and_ack(&mut self, line: &Line, message: Handling) {
        self.put((line.text(), Some(message)));
    }

    fn put(&mut self, printed: Printed) {
        debug_assert!(self.waiting.is_none(), "one waits");
        if let Err(mpsc::error::TrySendError::Full(printed)) = self.lines.try_send(printed) {
            self.waiting = Some(printed);
        }
    }

    /// Waits for the reader, until there is room for the line that waits, which gets it by [`settle`](Self::settle), or
    /// else for more to be told.
    pub async fn room(&self) {
        let wanted = match self.waiting {
            Some(_) => 1,
            None => WAITING - UNASKED + 1,
        };
        // Closed: nobody reads any more, and everything has room.
        let _ = self.lines.reserve_many(wanted).await;
    }

    /// Gives the line that waits the room there is.
    pub fn settle(&mut self) {
        if let Some(printed) = self.waiting.take() {
            self.put(printed);
        }
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&self) {
        self.lines.closed().await;
    }

    /// Prints the last lines, and waits until everything is written. What went wrong with that, and was not only that
    /// nobody reads any more.
    pub async fn finish(self, last: Vec<Line>) -> io::Result<()> {
        let last = last.iter().map(|line| (line.text(), None));
        for printed in self.waiting.into_iter().chain(last) {
            let _ = self.lines.send(printed).await;
        }
        drop(self.lines);
        match self.written.await {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

fn write(mut lines: mpsc::Receiver<Printed>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    while let Some((line, message)) = lines.blocking_recv() {
        stdout.write_all(line.as_bytes())?;
        stdout.flush()?;
        if let Some(message) = message {
            message.ack();
        }
    }
    Ok(())
}
