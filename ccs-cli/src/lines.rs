//! stdin, line by line.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Bytes of a line, at most. A message that the protocol allows is far smaller.
const LONGEST: usize = 64 * 1024;

/// Lines, numbered from 1. Reads no more than it is asked for, but for a small buffer.
#[derive(Debug)]
pub struct Lines<R> {
    input: BufReader<R>,
    number: u64,
    /// What there is of the next one.
    line: Vec<u8>,
    is_too_long: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub fn new(input: R) -> Self {
        Self {
            input: BufReader::new(input),
            number: 0,
            line: Vec::new(),
            is_too_long: false,
        }
    }

    /// The next line that is not blank, with its number, or what is wrong with it; `None` at the end. Nothing is lost when
    /// the future is dropped.
    pub async fn next(&mut self) -> io::Result<Option<(u64, Result<String, String>)>> {
        loop {
            let read = self.input.fill_buf().await?;
            let is_end = read.is_empty();
            if is_end && self.line.is_empty() && !self.is_too_long {
                return Ok(None);
            }
            let feed = read.iter().position(|byte| *byte == b'\n');
            let part = read.get(..feed.unwrap_or(read.len())).unwrap_or_default();
            if self.line.len() + part.len() > LONGEST {
                self.is_too_long = true;
                self.line.clear();
            }
            if !self.is_too_long {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(feed.is_some());
            self.input.consume(used);
            if (feed.is_some() || is_end)
                && let Some(line) = self.take()
            {
                return Ok(Some((self.number, line)));
            }
        }
    }

    fn take(&mut self) -> Option<Result<String, String>> {
        self.number += 1;
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_too_long) {
            return Some(Err(format!("the line is longer than {LONGEST} bytes")));
        }
        match String::from_utf8(line) {
            Ok(line) if line.trim().is_empty() => None,
            Ok(line) => Some(Ok(line)),
            Err(error) => Some(Err(error.utf8_error().to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_numbered_and_bounded_and_blank_ones_passed_over() {
        let long = "x".repeat(LONGEST);
        let text = format!("a\n\n \r\n{long}\n{long}x\n");
        let mut input = text.into_bytes();
        input.extend_from_slice(b"\xff\nlast");
        let mut lines = Lines::new(&*input);
        let mut seen = Vec::new();
        while let Some((number, line)) = lines.next().await.unwrap() {
            seen.push((number, line.map(|line| line.len())));
        }
        let told: Vec<_> = seen
            .iter()
            .map(|(n, line)| (*n, line.as_ref().ok()))
            .collect();
        assert_eq!(
            told,
            [
                (1, Some(&1)),
                (4, Some(&LONGEST)),
                (5, None),
                (6, None),
                (7, Some(&4))
            ]
        );
        assert!(lines.next().await.unwrap().is_none());
    }
}
