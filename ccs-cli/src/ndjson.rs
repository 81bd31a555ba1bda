//! stdout: one JSON object a line, `event` first, and nothing else.

use std::io::{ErrorKind, Write};

use serde_json::{Map, Value};

use crate::terminal::say;

/// One line of output.
#[derive(Debug)]
pub struct Line(Map<String, Value>);

impl Line {
    /// A line that tells of `event`.
    pub fn new(event: &str) -> Self {
        let mut members = Map::new();
        members.insert("event".to_owned(), event.into());
        Self(members)
    }

    /// One more member.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// One more member, if there is a value; absent means omitted.
    pub fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// One more member that is JSON already.
    pub fn json(self, name: &str, json: Option<&str>) -> Self {
        self.maybe(
            name,
            json.and_then(|json| serde_json::from_str::<Value>(json).ok()),
        )
    }

    /// The line as text, with its end.
    pub fn text(&self) -> String {
        let mut line = serde_json::to_string(&self.0).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Writes the line and flushes it. When nobody reads any more there is nothing left to do: the process ends, as
    /// well behaved filters do.
    pub fn print(self) {
        let line = self.text();
        let mut stdout = std::io::stdout().lock();
        let written = stdout
            .write_all(line.as_bytes())
            .and_then(|()| stdout.flush());
        if let Err(error) = written {
            let quiet = error.kind() == ErrorKind::BrokenPipe;
            if !quiet {
                say(format!("stdout cannot be written: {error}"));
            }
            std::process::exit(i32::from(!quiet));
        }
    }
}
