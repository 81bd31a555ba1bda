//! Every example of every `--help`, run as a reader would type it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::support::{Serve, without_settings};

/// The scenario that the documentation shows.
const BAD_DAY: &str = include_str!("../../../docs/examples/bad-day.toml");

/// The lines below `Examples:`.
fn examples(command: &str) -> Vec<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_ccs"))
        .args([command, "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, examples) = help.split_once("\nExamples:\n").unwrap();
    let lines = examples.lines().take_while(|line| line.starts_with("  "));
    let lines: Vec<_> = lines.map(|line| line.trim().to_owned()).collect();
    assert!(!lines.is_empty(), "{command}");
    lines
}

/// A shell in a folder of its own, with `ccs` on its path and the endpoint's state folder for its own.
fn shell(home: &Path, port: &str, line: &str) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_ccs")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    without_settings(&mut shell);
    shell
        .args(["-c", line])
        .current_dir(home)
        .env("PATH", path)
        .env("HOME", home)
        .env("XDG_STATE_HOME", home)
        .env("CCS_PORT", port)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    shell
}

/// An endpoint, and a folder that has what the examples name.
fn endpoint() -> (Serve, TempDir, String) {
    let home = TempDir::new().unwrap();
    let serve = Serve::start_in(&home.path().join("ccs"), &["--topic", "news=phone-1"]);
    let port = serve.listening["port"].to_string();
    fs::write(home.path().join("tokens.txt"), "phone-1\nphone-2\n").unwrap();
    let op = r#"{"op":"send","to":"phone-1"}"#;
    fs::write(home.path().join("ops.ndjson"), op).unwrap();
    let handler = home.path().join("handle-message");
    fs::write(&handler, "#!/bin/sh\ncat > handled\n").unwrap();
    let status = Command::new("chmod").arg("+x").arg(&handler).status();
    assert!(status.unwrap().success());
    for folder in [
        ".local/share/bash-completion/completions",
        ".zfunc",
        ".config/fish/completions",
    ] {
        fs::create_dir_all(home.path().join(folder)).unwrap();
    }
    (serve, home, port)
}

#[test]
fn what_ends_by_itself_ends_as_it_should() {
    let (_serve, home, port) = endpoint();
    for command in ["send", "broadcast", "pipe", "bench", "completions", "demo"] {
        for line in examples(command) {
            let code = if line.contains("bad-") { 7 } else { 0 };
            let output = shell(home.path(), &port, &line).output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
            let told = !output.stdout.is_empty() || line.contains('>');
            assert!(told, "{line}");
        }
    }
}

#[test]
fn a_listener_prints_what_devices_send() {
    let (mut serve, home, port) = endpoint();
    for line in examples("listen") {
        // `exec`, so that the signal reaches the command and not the shell.
        let line = format!("exec {line}");
        let mut listen = shell(home.path(), &port, &line)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        serve.until("login");
        serve.tell(r#"{"op":"upstream","from":"phone-1","data":{"hello":"world"}}"#);
        let mut printed = String::new();
        let mut stdout = BufReader::new(listen.stdout.take().unwrap());
        stdout.read_line(&mut printed).unwrap();
        assert!(printed.contains(r#""hello":"world""#), "{line}: {printed}");
        serve.until("upstream_acked");
        let id = listen.id().to_string();
        // One has ended by itself.
        let _ = Command::new("kill")
            .args(["-INT", &id])
            .stderr(Stdio::null())
            .status();
        assert!(listen.wait().unwrap().success(), "{line}");
        serve.until("closed");
    }
    assert!(home.path().join("handled").exists(), "by ./handle-message");
}

#[test]
fn an_endpoint_says_where_it_listens() {
    for line in examples("serve") {
        let home = TempDir::new().unwrap();
        fs::write(home.path().join("bad-day.toml"), BAD_DAY).unwrap();
        // The usual port may be taken on this machine.
        let port = if line.contains("--listen") {
            ""
        } else {
            " --listen 127.0.0.1:0"
        };
        let mut serve = shell(home.path(), "0", &format!("exec {line}{port}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::new(serve.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        assert!(
            first.starts_with("{\"event\":\"listening\""),
            "{line}: {first}"
        );
        let id = serve.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(status.success());
        assert!(serve.wait().unwrap().success(), "{line}");
    }
}
