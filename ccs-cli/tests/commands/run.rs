//! Running the command.

use std::process::{Output, Stdio};

use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::endpoint::Running;

/// The command, with nothing of this process' environment that matters to it.
pub fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ccs"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The command with what `ccs serve` keeps, and the endpoint's port.
pub fn ccs(endpoint: &Running, arguments: &[&str]) -> Command {
    let mut command = bare(arguments);
    command
        .env("XDG_STATE_HOME", &endpoint.state_home)
        .env("CCS_PORT", endpoint.port.to_string());
    command
}

/// What came out.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub lines: Vec<Map<String, Value>>,
    pub stderr: String,
    pub all: String,
}

impl Ran {
    /// The events in order, each with the values of some fields.
    pub fn events(&self, fields: &[&str]) -> Vec<String> {
        self.lines
            .iter()
            .map(|line| {
                let mut words = vec![line["event"].as_str().unwrap().to_owned()];
                for field in fields {
                    if let Some(value) = line.get(*field) {
                        words.push(match value {
                            Value::String(text) => text.clone(),
                            other => other.to_string(),
                        });
                    }
                }
                words.join(" ")
            })
            .collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stdout.is_empty() || stdout.ends_with('\n'),
            "a line without its end: {stdout}"
        );
        let lines = stdout.lines().map(|line| {
            assert!(line.starts_with(r#"{"event":""#), "{line}");
            serde_json::from_str(line).unwrap()
        });
        Self {
            code: output.status.code().expect("no signal ended it"),
            lines: lines.collect(),
            all: format!("{stdout}{stderr}"),
            stderr,
        }
    }
}

/// Sends a signal to a command that runs: INT, TERM.
pub async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    let mut kill = Command::new("kill");
    let sent = kill.args([&format!("-{name}"), &pid]).status().await;
    assert!(sent.unwrap().success());
}

pub async fn run(mut command: Command) -> Ran {
    command.output().await.unwrap().into()
}

pub async fn run_with_stdin(mut command: Command, stdin: &str) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // A command whose connection ended need not read on.
    let _ = pipe.write_all(stdin.as_bytes()).await;
    drop(pipe);
    child.wait_with_output().await.unwrap().into()
}
