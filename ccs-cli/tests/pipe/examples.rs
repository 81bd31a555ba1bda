//! The worked examples in other languages hold their conversation.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::application::endpoint;
use crate::support::{Serve, without_settings};

/// Whether there is what the example needs. CI has it all.
fn there_is(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found || !in_ci, "CI has to have {program}");
    if !found {
        eprintln!("left out: there is no {program}");
    }
    found
}

/// The example, with `ccs` on its path, in a process group of its own: a terminal gives Ctrl-C to all of it.
struct Example(Child);

impl Example {
    fn start(serve: &Serve, name: &str) -> Self {
        let bin = Path::new(env!("CARGO_BIN_EXE_ccs")).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipe");
        let mut command = Command::new(example.join(name));
        without_settings(&mut command);
        let child = command
            .env("PATH", path)
            .env("XDG_STATE_HOME", serve.folder.parent().unwrap())
            .env("CCS_PORT", serve.listening["port"].to_string())
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, name: &str) {
        let group = format!("-{}", self.0.id());
        let status = Command::new("kill").args([name, "--", &group]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.signal("-KILL");
            let _ = self.0.wait();
        }
    }
}

fn holds_its_conversation(name: &str) {
    let (mut serve, _home) = endpoint(&[]);
    let mut example = Example::start(&serve, name);
    serve.until("login");
    for n in 0..5 {
        let data = format!(r#"{{"n":"{n}","text":"a \"b\" \\ ü 'c' $d"}}"#);
        serve.tell(&format!(
            r#"{{"op":"upstream","from":"phone-{n}","message_id":"u-{n}","data":{data}}}"#
        ));
        let answer = serve.until("downstream");
        assert_eq!(answer["to"], format!("phone-{n}"));
        assert_eq!(
            answer["data"],
            serde_json::from_str::<serde_json::Value>(&data).unwrap()
        );
        // First the answer, then the ack.
        assert_eq!(serve.until("delivered")["device"], format!("phone-{n}"));
        assert_eq!(
            serve.until("upstream_acked")["message_id"],
            format!("u-{n}")
        );
    }
    // One whose answer is refused is rejected, and so done with.
    serve.tell(r#"{"op":"upstream","from":"bad-1","message_id":"u-bad"}"#);
    assert_eq!(serve.until("nack")["to"], "bad-1");
    assert_eq!(serve.until("upstream_acked")["message_id"], "u-bad");
    // A connection that is lost in between is none of its business.
    serve.tell(r#"{"op":"upstream","from":"drop-1","message_id":"u-drop"}"#);
    serve.until("login");
    assert_eq!(serve.until("delivered")["device"], "drop-1");
    assert_eq!(serve.until("upstream_acked")["message_id"], "u-drop");
    example.signal("-INT");
    assert_eq!(example.0.wait().unwrap().code(), Some(0), "{name}");
    assert_eq!(serve.until("closed")["unacked"], 0);
}

#[test]
fn in_python() {
    if there_is("python3") {
        holds_its_conversation("echo.py");
    }
}

#[test]
fn in_shell() {
    if there_is("jq") {
        holds_its_conversation("echo.sh");
    }
}

#[test]
fn in_node() {
    if there_is("node") {
        holds_its_conversation("echo.js");
    }
}
