//! Where to connect and how to log in: flags over environment over what `ccs serve` keeps.

use std::env::{self, VarError};
use std::fs;
use std::path::{Path, PathBuf};

use ccs_tokio::{ApiKey, Config, SenderId, Trust};
use clap::Args;

use crate::exit::Failure;
use crate::state::{self, StateError};
use crate::trace;

/// Options of every command that connects to an endpoint.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct LoginArgs {
    /// Host to connect to
    #[arg(
        long,
        env = "CCS_HOST",
        default_value = "127.0.0.1",
        hide_env_values = true
    )]
    host: String,
    /// Port to connect to
    #[arg(long, env = "CCS_PORT", default_value_t = 5235, hide_env_values = true, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// PEM file with the CA that signed the endpoint's certificate; no other is believed then
    #[arg(long, env = "CCS_CA", value_name = "FILE", hide_env_values = true)]
    ca: Option<PathBuf>,
    /// Name in the endpoint's certificate, if it is not the host
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Sender id to log in as
    #[arg(long, env = "CCS_SENDER", value_name = "ID", hide_env_values = true)]
    sender: Option<String>,
    /// File with the API key, readable by its owner only. The key itself may be in CCS_KEY
    #[arg(
        long,
        env = "CCS_KEY_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    key_file: Option<PathBuf>,
    /// Show every stanza both ways on stderr, secrets left out
    #[arg(long)]
    trace: bool,
}

/// A setting, and in words where it is from.
struct Setting<T> {
    value: T,
    place: String,
}

impl LoginArgs {
    /// The settings of a connection, and a hint for when the login is refused: where they are from.
    pub fn config(&self) -> Result<(Config, String), Failure> {
        let folder = state::default_dir();
        let folder = folder.as_deref();
        let sender = self.sender(folder)?;
        let key = self.key(folder)?;
        let mut config = Config::new(&self.host, sender.value, key.value);
        config.port = self.port;
        config.server_name.clone_from(&self.server_name);
        config.trust = self.trust(folder)?;
        let name = self.server_name.as_ref().unwrap_or(&self.host);
        config
            .trust
            .connect(name)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        config.client.tap = self.trace.then(trace::tap);
        let hint = format!(
            "hint: the sender id is from {}, the key from {}; flags go before the environment, and that before what \
             `ccs serve` keeps",
            sender.place, key.place
        );
        Ok((config, hint))
    }

    fn sender(&self, folder: Option<&Path>) -> Result<Setting<SenderId>, Failure> {
        let (given, place) = match &self.sender {
            Some(sender) => (sender.clone(), "--sender or CCS_SENDER".to_owned()),
            None => kept(folder, state::SENDER)?
                .ok_or_else(|| missing("no sender id", "give it with --sender or CCS_SENDER"))?,
        };
        match given.trim().parse() {
            Ok(value) => Ok(Setting { value, place }),
            Err(error) => Err(Failure::Usage(format!("{place}: {error}"))),
        }
    }

    fn key(&self, folder: Option<&Path>) -> Result<Setting<ApiKey>, Failure> {
        let file = match &self.key_file {
            Some(file) => file.clone(),
            None => match env::var("CCS_KEY") {
                Ok(key) if !key.is_empty() => {
                    return Ok(Setting {
                        value: ApiKey::from(key),
                        place: "CCS_KEY".to_owned(),
                    });
                }
                Err(VarError::NotUnicode(_)) => {
                    return Err(Failure::Usage("CCS_KEY is not text".to_owned()));
                }
                _ => folder
                    .map(|folder| folder.join(state::KEY))
                    .filter(|file| file.exists())
                    .ok_or_else(|| {
                        missing(
                            "no API key",
                            "put it into a file that only you can read and name that with --key-file or \
                             CCS_KEY_FILE, or put the key into CCS_KEY",
                        )
                    })?,
            },
        };
        Ok(Setting {
            value: state::read_secret(&file)?,
            place: file.display().to_string(),
        })
    }

    /// A CA that is named replaces the public ones. The one of the state folder stands beside them: it can sign for no
    /// other names than this machine's own and those of Google's retired service.
    fn trust(&self, folder: Option<&Path>) -> Result<Trust, Failure> {
        let (trust, place) = match &self.ca {
            Some(file) => {
                let place = file.display().to_string();
                let pem =
                    fs::read(file).map_err(|error| Failure::Usage(format!("{place}: {error}")))?;
                (Trust::only(&pem), place)
            }
            None => match kept(folder, state::CA)? {
                Some((pem, place)) => (Trust::public().and(pem.as_bytes()), place),
                None => return Ok(Trust::public()),
            },
        };
        trust.map_err(|error| Failure::Usage(format!("{place}: {error}")))
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// The text and name of a file of the state folder, if it is there.
fn kept(folder: Option<&Path>, name: &str) -> Result<Option<(String, String)>, Failure> {
    let Some(file) = folder.map(|folder| folder.join(name)) else {
        return Ok(None);
    };
    let text = state::read(&file)?;
    Ok(text.map(|text| (text, file.display().to_string())))
}

fn missing(what: &str, how: &str) -> Failure {
    Failure::Usage(format!(
        "{what}, and `ccs serve` has not left one on this machine\nhint: {how}"
    ))
}
