//! Where to connect and how to log in: flags over environment over what `ccs serve` keeps.

use std::fs;
use std::path::{Path, PathBuf};

use ccs_tokio::{ApiKey, Client, Config, Incoming, SenderId, Trust, connect};
use clap::Args;

use crate::exit::Failure;
use crate::state;
use crate::trace;

/// Options of every command that connects to an endpoint.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct LoginArgs {
    /// Host to connect to
    #[arg(long, env = "CCS_HOST", default_value = "127.0.0.1", hide_env_values = true)]
    host: String,
    /// Port to connect to
    #[arg(long, env = "CCS_PORT", default_value_t = 5235, hide_env_values = true)]
    port: u16,
    /// PEM file with the CA that signed the endpoint's certificate, instead of the public ones
    #[arg(long, env = "CCS_CA", value_name = "FILE", hide_env_values = true)]
    ca: Option<PathBuf>,
    /// Name in the endpoint's certificate, if it is not the host
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Sender id to log in as
    #[arg(long, env = "CCS_SENDER", value_name = "ID", hide_env_values = true)]
    sender: Option<String>,
    /// File with the API key, readable by its owner only. The key itself may be in CCS_KEY
    #[arg(long, env = "CCS_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    key_file: Option<PathBuf>,
    /// Show every stanza both ways on stderr, secrets left out
    #[arg(long)]
    trace: bool,
}

impl LoginArgs {
    /// Connects and logs in.
    pub async fn connect(&self) -> Result<(Client, Incoming), Failure> {
        let config = self.config()?;
        Ok(connect(config).await?)
    }

    fn config(&self) -> Result<Config, Failure> {
        let folder = state::default_dir();
        let folder = folder.as_deref();
        let mut config = Config::new(&self.host, self.sender(folder)?, self.key(folder)?);
        config.port = self.port;
        config.server_name.clone_from(&self.server_name);
        config.trust = self.trust(folder)?;
        config.client.tap = self.trace.then(trace::tap);
        Ok(config)
    }

    fn sender(&self, folder: Option<&Path>) -> Result<SenderId, Failure> {
        let given = match &self.sender {
            Some(sender) => sender.clone(),
            None => kept(folder, "sender")?.ok_or_else(|| {
                missing("no sender id", "give it with --sender or CCS_SENDER")
            })?,
        };
        given
            .trim()
            .parse()
            .map_err(|error| Failure::Usage(format!("{error}")))
    }

    fn key(&self, folder: Option<&Path>) -> Result<ApiKey, Failure> {
        if let Some(file) = &self.key_file {
            return state::read_secret(file).map_err(|error| Failure::Usage(error.to_string()));
        }
        if let Ok(key) = std::env::var("CCS_KEY") {
            return Ok(ApiKey::from(key));
        }
        let file = folder.map(|folder| folder.join("key")).filter(|file| file.exists());
        match file {
            Some(file) => {
                state::read_secret(&file).map_err(|error| Failure::Usage(error.to_string()))
            }
            None => Err(missing(
                "no API key",
                "put it into a file that only you can read and name that with --key-file or CCS_KEY_FILE, \
                 or put the key into CCS_KEY",
            )),
        }
    }

    /// A CA that is named replaces the public ones. The one of the state folder stands beside them: it can sign for no
    /// other names than this machine's own and those of Google's retired service.
    fn trust(&self, folder: Option<&Path>) -> Result<Trust, Failure> {
        let trust = match (&self.ca, kept(folder, "ca.pem")?) {
            (Some(file), _) => {
                let pem = fs::read(file)
                    .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
                Trust::only(&pem)
            }
            (None, Some(pem)) => Trust::public().and(pem.as_bytes()),
            (None, None) => Ok(Trust::public()),
        };
        trust.map_err(|error| Failure::Usage(error.to_string()))
    }
}

/// A file of the state folder, if it is there.
fn kept(folder: Option<&Path>, name: &str) -> Result<Option<String>, Failure> {
    let Some(file) = folder.map(|folder| folder.join(name)) else {
        return Ok(None);
    };
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Usage(format!("{}: {error}", file.display()))),
    }
}

fn missing(what: &str, how: &str) -> Failure {
    Failure::Usage(format!(
        "{what}, and `ccs serve` has not left one on this machine\nhint: {how}"
    ))
}
