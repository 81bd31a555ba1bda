//! The flags of `ccs serve`.

use std::path::PathBuf;

use ccs_tokio::{RegistrationToken, SenderId};
use clap::Args;

/// Run an endpoint with simulated devices
///
/// What is not given is made and kept in the state folder, $XDG_STATE_HOME/ccs or else ~/.local/state/ccs: a CA, a
/// certificate, a sender id and an API key. The other commands find them there.
///
/// What happens is printed as JSON, one object a line. Lines of JSON on stdin say what the devices do:
/// {"op":"upstream","from":"phone-1","data":{"k":"v"}}, {"op":"online","device":"offline-1"}, offline, {"op":"drain"}
/// and {"op":"drop"}.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccs serve
  ccs serve --echo --topic news=phone-1,phone-2
  ccs serve --strict --trace
  ccs serve --scenario bad-day.toml --listen 127.0.0.1:0
  ccs serve --listen 127.0.0.1:0 --state-dir ./state")]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5235")]
    pub listen: String,
    /// Sender id that may log in
    #[arg(long, env = "CCS_SENDER", value_name = "ID")]
    pub sender: Option<SenderId>,
    /// File with the API key that may log in; only its owner may be able to read it. CCS_KEY holds the key itself
    #[arg(long, env = "CCS_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// TOML file of senders that may log in, each with a file for its key, instead of the one sender
    #[arg(long, value_name = "FILE")]
    pub senders: Option<PathBuf>,
    /// TOML file that says what goes wrong, and when
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Folder to keep things in
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Certificate chain in PEM, the endpoint's own first, instead of the one in the state folder
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    pub cert: Option<PathBuf>,
    /// Key of that certificate in PEM; only its owner may be able to read it
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub cert_key: Option<PathBuf>,
    /// Messages under way on a connection, each way
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub window: u32,
    /// Devices answer each message with one that carries the same data
    #[arg(long)]
    pub echo: bool,
    /// Refuse what the protocol forbids and known app servers do all the same, and name it in "fault" events
    #[arg(long)]
    pub strict: bool,
    /// Show every stanza both ways on stderr, secrets left out
    #[arg(long)]
    pub trace: bool,
    /// Devices of a topic; may be given several times
    #[arg(long, value_name = "NAME=TOKEN,TOKEN", value_parser = named)]
    pub topic: Vec<Named>,
    /// Devices of a group, behind its notification key; may be given several times
    #[arg(long, value_name = "KEY=TOKEN,TOKEN", value_parser = named)]
    pub group: Vec<Named>,
}

/// Several devices under one name.
#[derive(Debug, Clone)]
pub struct Named {
    pub name: String,
    pub devices: Vec<RegistrationToken>,
}

fn named(text: &str) -> Result<Named, String> {
    let (name, devices) = text.split_once('=').ok_or("NAME=TOKEN,TOKEN is expected")?;
    let devices: Vec<_> = devices.split(',').map(RegistrationToken::from).collect();
    if name.is_empty() || devices.iter().any(|token| token.as_str().is_empty()) {
        return Err("neither the name nor a token may be empty".to_owned());
    }
    let name = name.strip_prefix("/topics/").unwrap_or(name).to_owned();
    Ok(Named { name, devices })
}
