//! The folder in which `ccs serve` keeps what it made, and from which the other commands read it.

use std::env;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ccs_tokio::ApiKey;
use thiserror::Error;
use zeroize::Zeroizing;

/// The CA's certificate. Its key is never written.
pub const CA: &str = "ca.pem";
/// The endpoint's certificate.
pub const CERT: &str = "cert.pem";
/// The key of the endpoint's certificate.
pub const CERT_KEY: &str = "cert-key.pem";
/// The sender id.
pub const SENDER: &str = "sender";
/// The API key.
pub const KEY: &str = "key";

/// Why the state folder or a key file cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    #[error(
        "neither XDG_STATE_HOME nor HOME says where the state folder is; set one of them or give --state-dir"
    )]
    NoHome,
    #[error("{}: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} can be read by others (mode {mode:04o}), so the key in it is not used; run: chmod 600 {}", .path.display(), .path.display())]
    Readable { path: PathBuf, mode: u32 },
    #[error("{} is no file; the key is expected in one", .0.display())]
    NoFile(PathBuf),
    #[error("{} holds no key: one line of text is expected", .0.display())]
    NoKey(PathBuf),
}

impl StateError {
    pub fn io(path: &Path, error: io::Error) -> Self {
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

/// Makes the folder, for its owner alone, and holds it: two commands that start at once make one set of files, not a
/// mixture of two.
pub fn hold(dir: &Path) -> Result<File, StateError> {
    let made = (|| {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        let held = File::open(dir)?;
        held.lock()?;
        Ok(held)
    })();
    made.map_err(|error| StateError::io(dir, error))
}

/// Writes a file for its owner alone. Who reads it meanwhile finds the old one or the new one, whole.
pub fn write(path: &Path, content: &str) -> Result<(), StateError> {
    let next = path.with_extension(format!("{}.new", std::process::id()));
    let written = (|| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&next)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&next, path)
    })();
    written.map_err(|error| {
        let _ = std::fs::remove_file(&next);
        StateError::io(path, error)
    })
}

/// A file's text, or `None` where there is no such file.
pub fn read(path: &Path) -> Result<Option<String>, StateError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::io(path, error)),
    }
}

/// The text of a file that holds a secret, if nobody but its owner can read it.
pub fn read_private(path: &Path) -> Result<Zeroizing<String>, StateError> {
    let mut file = File::open(path).map_err(|error| StateError::io(path, error))?;
    // Asked of the open file, so that what is read is what was looked at.
    let metadata = file
        .metadata()
        .map_err(|error| StateError::io(path, error))?;
    if metadata.is_dir() {
        return Err(StateError::NoFile(path.to_owned()));
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
        if mode & 0o077 != 0 {
            return Err(StateError::Readable {
                path: path.to_owned(),
                mode,
            });
        }
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text)
        .map_err(|error| StateError::io(path, error))?;
    Ok(text)
}

/// The API key in a file that nobody but its owner can read: its text without the line's end.
pub fn read_secret(path: &Path) -> Result<ApiKey, StateError> {
    let text = read_private(path)?;
    let key = text.trim_end_matches(['\r', '\n']);
    if key.is_empty() || key.contains(['\r', '\n', '\0']) {
        return Err(StateError::NoKey(path.to_owned()));
    }
    Ok(ApiKey::from(key))
}
