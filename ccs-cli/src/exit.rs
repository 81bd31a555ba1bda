//! Exit codes: why the command ended, for scripts.

use std::fmt;

use ccs_tokio::{ConnectError, ConnectionError};

/// Why the command ended other than well. Each has its own code; clap itself ends with 2 on wrong usage.
#[derive(Debug)]
pub enum Failure {
    /// 1: something on this side, such as a file that cannot be written.
    Other(anyhow::Error),
    /// 2: the arguments, environment or input are wrong.
    Usage(String),
    /// 3: the endpoint refused the login.
    Login(String),
    /// 4: TLS failed, in most cases since the certificate is not believed.
    Tls(String),
    /// 5: the endpoint cannot be reached, or went away with messages unanswered.
    Lost(String),
    /// 6: not done in time.
    TimedOut(String),
    /// 7: some messages were refused.
    Refused(String),
    /// 8: the peer does not speak the protocol.
    Protocol(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Other(_) => 1,
            Self::Usage(_) => 2,
            Self::Login(_) => 3,
            Self::Tls(_) => 4,
            Self::Lost(_) => 5,
            Self::TimedOut(_) => 6,
            Self::Refused(_) => 7,
            Self::Protocol(_) => 8,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(error) => write!(f, "{error:#}"),
            Self::Usage(what)
            | Self::Login(what)
            | Self::Tls(what)
            | Self::Lost(what)
            | Self::TimedOut(what)
            | Self::Refused(what)
            | Self::Protocol(what) => f.write_str(what),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.into())
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Connection(error) => error.into(),
            ConnectError::Tls { .. } => Self::Tls(format!(
                "{error}\n\
                 hint: name the CA of the endpoint with --ca, and the name in its certificate with --server-name; \
                 `ccs serve` prints both in its first line"
            )),
            ConnectError::Unreachable { .. } => Self::Lost(format!(
                "{error}\nhint: is an endpoint running there? `ccs serve` starts one"
            )),
            other => Self::Usage(other.to_string()),
        }
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        let what = error.to_string();
        match error {
            ConnectionError::LoginRefused { .. } => Self::Login(format!(
                "{what}\n\
                 hint: the key is taken from --key-file, CCS_KEY_FILE, CCS_KEY or the state folder of `ccs serve`, \
                 in this order; the sender from --sender, CCS_SENDER or the state folder"
            )),
            ConnectionError::NoPlain { .. }
            | ConnectionError::Protocol { .. }
            | ConnectionError::StreamError { .. }
            | ConnectionError::BindRefused { .. }
            | ConnectionError::HandshakeTimeout { .. } => Self::Protocol(what),
            _ => Self::Lost(what),
        }
    }
}
