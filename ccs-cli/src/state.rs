//! The folder in which `ccs serve` keeps what it made, and from which the other commands read it.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ccs_tokio::ApiKey;
use thiserror::Error;

/// The CA's certificate.
pub const CA: &str = "ca.pem";
/// The sender id.
pub const SENDER: &str = "sender";
/// The API key.
pub const KEY: &str = "key";

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    #[error("{}: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} can be read by others (mode {mode:04o}), so the key in it is not used; run: chmod 600 {}", .path.display(), .path.display())]
    Readable { path: PathBuf, mode: u32 },
    #[error("{} holds no key: one line of text is expected", .0.display())]
    NoKey(PathBuf),
}

impl StateError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            error,
        }
    }
}

/// `$XDG_STATE_HOME/ccs`, or else `~/.local/state/ccs`. A relative XDG_STATE_HOME counts for nothing, as its
/// specification asks.
pub fn default_dir() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("ccs"))
}

/// A file's text, or `None` where there is no such file.
pub fn read(path: &Path) -> Result<Option<String>, StateError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::io(path, error)),
    }
}

/// The API key in a file that nobody but its owner can read: its text without the line's end.
pub fn read_secret(path: &Path) -> Result<ApiKey, StateError> {
    let mut file = File::open(path).map_err(|error| StateError::io(path, error))?;
    // Asked of the open file, so that what is read is what was looked at.
    #[cfg(unix)]
    {
        let metadata = file
            .metadata()
            .map_err(|error| StateError::io(path, error))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
        if mode & 0o077 != 0 {
            return Err(StateError::Readable {
                path: path.to_owned(),
                mode,
            });
        }
    }
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| StateError::io(path, error))?;
    let key = text.trim_end_matches(['\r', '\n']);
    if key.is_empty() || key.contains(['\r', '\n', '\0']) {
        return Err(StateError::NoKey(path.to_owned()));
    }
    Ok(ApiKey::from(key))
}
