//! The other commands, beside an endpoint.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::support::{Serve, without_settings};

/// The other commands, which find sender, key and CA in the state folder by themselves.
pub fn ccs(serve: &Serve, args: &[&str]) -> Command {
    let state_home = serve.folder.parent().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ccs"));
    without_settings(&mut command);
    command
        .args(args)
        .env("XDG_STATE_HOME", state_home)
        .env("CCS_PORT", serve.listening["port"].to_string())
        .stdin(Stdio::null());
    command
}

/// A state folder where the other commands look for it.
pub fn serve(args: &[&str]) -> (Serve, tempfile::TempDir) {
    let home = tempfile::TempDir::new().unwrap();
    (Serve::start_in(&home.path().join("ccs"), args), home)
}

pub fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
