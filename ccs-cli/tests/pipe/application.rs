//! An application that has `ccs pipe` for its child.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Schema, Serve, documented, schema, without_settings};

/// No test waits that long; one that fails does not wait longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// An endpoint whose state folder is where the other commands look for it.
pub fn endpoint(args: &[&str]) -> (Serve, TempDir) {
    let home = TempDir::new().unwrap();
    (Serve::start_in(&home.path().join("ccs"), args), home)
}

/// The command, which finds sender, key and CA in the state folder.
pub fn command(serve: &Serve, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ccs"));
    without_settings(&mut command);
    command
        .arg("pipe")
        .args(args)
        .env("XDG_STATE_HOME", serve.folder.parent().unwrap())
        .env("CCS_PORT", serve.listening["port"].to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub struct Pipe {
    pub child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    schema: Schema,
}

impl Pipe {
    pub fn start(serve: &Serve, args: &[&str]) -> Self {
        let mut pipe = Self::unread(serve, args);
        let stdout = pipe.stdout();
        pipe.read(stdout);
        pipe
    }

    /// One whose stdout nobody reads yet.
    pub fn unread(serve: &Serve, args: &[&str]) -> Self {
        let mut child = command(serve, args).spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            child,
            lines: channel().1,
            schema: schema("### Events of `ccs pipe`"),
        }
    }

    /// Reads on from here, as fast as lines come.
    pub fn read(&mut self, stdout: impl BufRead + Send + 'static) {
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        self.lines = lines;
    }

    pub fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child.stdout.take().unwrap())
    }

    pub fn tell(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub fn ack(&mut self, handle: &Value) {
        self.tell(&format!(r#"{{"op":"ack","upstream":{handle}}}"#));
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.stdin.take().unwrap()
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The next line, which the documentation must know.
    pub fn next(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("no more lines");
        documented(&self.schema, &line)
    }

    /// The next line of an event; others are passed over.
    pub fn until(&mut self, event: &str) -> Value {
        loop {
            let value = self.next();
            if value["event"] == event {
                return value;
            }
        }
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// What is printed until the end, the exit code, and what stderr says.
    pub fn end(mut self) -> (Vec<Value>, Option<i32>, String) {
        let mut rest = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            rest.push(documented(&self.schema, &line));
        }
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        (rest, status.code(), said)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The events of lines, each with the values of some members.
pub fn words(lines: &[Value], members: &[&str]) -> Vec<String> {
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    lines
        .iter()
        .map(|line| {
            let named = members.iter().filter_map(|name| line.get(*name));
            let words = [&line["event"]].into_iter().chain(named).map(word);
            words.collect::<Vec<_>>().join(" ")
        })
        .collect()
}
