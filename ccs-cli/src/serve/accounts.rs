//! Who may log in: one sender, or those of a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ccs_tokio::proto::hub::SenderLimits;
use ccs_tokio::{ApiKey, AuthRequest, SenderId};
use serde::Deserialize;
use thiserror::Error;

use crate::state::{self, StateError};

/// The senders with their keys, and what each of them may have.
#[derive(Debug)]
pub struct Accounts(BTreeMap<SenderId, Account>);

#[derive(Debug)]
struct Account {
    key: ApiKey,
    limits: SenderLimits,
}

/// Why a file of senders cannot be used.
#[derive(Debug, Error)]
pub enum AccountsError {
    #[error(transparent)]
    State(#[from] StateError),
    /// Not with the line itself: somebody may have put a key into it.
    #[error("{}: {}", .path.display(), .error.message())]
    Toml {
        path: PathBuf,
        error: Box<toml::de::Error>,
    },
    #[error("{}: {what}", .path.display())]
    Sender { path: PathBuf, what: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sender: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    key_file: PathBuf,
    connections: Option<usize>,
    window: Option<usize>,
}

impl Accounts {
    pub fn one(sender: SenderId, key: ApiKey, limits: SenderLimits) -> Self {
        Self(BTreeMap::from([(sender, Account { key, limits })]))
    }

    /// Reads a file of senders; what it does not say of one is as in `limits`. Key files are looked for from its folder.
    pub fn read(path: &Path, limits: SenderLimits) -> Result<Self, AccountsError> {
        let text = std::fs::read_to_string(path).map_err(|error| StateError::io(path, error))?;
        let file: File = toml::from_str(&text).map_err(|error| AccountsError::Toml {
            path: path.to_owned(),
            error: Box::new(error),
        })?;
        let wrong = |what: String| AccountsError::Sender {
            path: path.to_owned(),
            what,
        };
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let mut accounts = BTreeMap::new();
        for line in file.sender {
            let sender: SenderId = line.id.parse().map_err(|why| wrong(format!("{why}")))?;
            let limits = SenderLimits {
                connections: line.connections.unwrap_or(limits.connections),
                window: line.window.unwrap_or(limits.window),
                upstream_window: line.window.unwrap_or(limits.upstream_window),
            };
            if limits.connections == 0 || limits.window == 0 {
                return Err(wrong(format!("sender {sender} may have nothing")));
            }
            let key = state::read_secret(&folder.join(line.key_file))?;
            let account = Account { key, limits };
            if accounts.insert(sender.clone(), account).is_some() {
                return Err(wrong(format!("sender {sender} stands there twice")));
            }
        }
        if accounts.is_empty() {
            return Err(wrong("there is no [[sender]]".to_owned()));
        }
        Ok(Self(accounts))
    }

    /// Why a login is refused, if it is. A key is looked at, whoever asks: how long it takes tells nothing.
    pub fn refuses(&self, request: &AuthRequest) -> Option<&'static str> {
        let account = self.0.get(request.sender());
        let key = account.or_else(|| self.0.values().next());
        let matches = key.is_some_and(|account| request.key().matches(&account.key));
        match (account.is_some(), matches) {
            (true, true) => None,
            (true, false) => Some("the key is wrong"),
            (false, _) => Some("the sender is not known"),
        }
    }

    pub fn senders(&self) -> impl Iterator<Item = &SenderId> {
        self.0.keys()
    }

    pub fn limits(&self) -> impl Iterator<Item = (&SenderId, SenderLimits)> {
        self.0.iter().map(|(id, account)| (id, account.limits))
    }

    /// Who is meant by this name; by none, if there is just one.
    pub fn named(&self, sender: Option<SenderId>) -> Result<SenderId, String> {
        match sender {
            Some(sender) if self.0.contains_key(&sender) => Ok(sender),
            Some(sender) => Err(format!("sender {sender} is not known")),
            None => {
                let mut all = self.0.keys();
                match (all.next(), all.next()) {
                    (Some(only), None) => Ok(only.clone()),
                    _ => Err("\"sender\" is missing: there are several".to_owned()),
                }
            }
        }
    }
}
