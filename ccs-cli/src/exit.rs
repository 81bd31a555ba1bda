//! Exit codes: why the command ended, for scripts.

use std::fmt;
use std::io::ErrorKind;

use ccs_tokio::proto::StreamCondition;
use ccs_tokio::{ConnectError, ConnectionError};

use crate::serve::ServeError;

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
    /// 5: the endpoint cannot be reached, or went away.
    Lost(String),
    /// 6: not done in time.
    TimedOut(String),
    /// 7: some messages were refused.
    Refused(String),
    /// 8: the peer does not speak the protocol.
    Protocol(String),
    /// 130: a signal came before all was done.
    Interrupted(String),
    /// `ccs serve` says by itself which code it is.
    Serve(ServeError),
}

/// What shells say of a command that SIGINT ended.
const INTERRUPTED: u8 = 130;

impl Failure {
    /// A signal came.
    pub fn interrupted() -> Self {
        Self::Interrupted("ended by a signal".to_owned())
    }

    /// Ends the process: a second signal waits for nothing.
    pub fn interrupted_again() -> ! {
        std::process::exit(INTERRUPTED.into())
    }

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
            Self::Interrupted(_) => INTERRUPTED,
            Self::Serve(error) => error.exit_code(),
        }
    }

    /// TLS failed.
    pub fn tls(what: &str) -> Self {
        Self::Tls(format!(
            "{what}\n\
             hint: name the CA of the endpoint with --ca, and the name in its certificate with --server-name; \
             the first line of `ccs serve` says where its CA is"
        ))
    }

    /// Nobody is there.
    pub fn unreachable(what: &str) -> Self {
        Self::Lost(format!(
            "{what}\nhint: is an endpoint running there? `ccs serve` starts one"
        ))
    }

    /// The same failure, with more to say.
    pub fn and(self, more: &str) -> Self {
        let add = |what: String| format!("{what}\n{more}");
        match self {
            Self::Other(error) => Self::Other(anyhow::anyhow!("{error:#}\n{more}")),
            Self::Usage(what) => Self::Usage(add(what)),
            Self::Login(what) => Self::Login(add(what)),
            Self::Tls(what) => Self::Tls(add(what)),
            Self::Lost(what) => Self::Lost(add(what)),
            Self::TimedOut(what) => Self::TimedOut(add(what)),
            Self::Refused(what) => Self::Refused(add(what)),
            Self::Protocol(what) => Self::Protocol(add(what)),
            Self::Interrupted(what) => Self::Interrupted(add(what)),
            Self::Serve(error) => Self::Serve(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(error) => write!(f, "{error:#}"),
            Self::Serve(error) => write!(f, "{error}"),
            Self::Usage(what)
            | Self::Login(what)
            | Self::Tls(what)
            | Self::Lost(what)
            | Self::TimedOut(what)
            | Self::Refused(what)
            | Self::Protocol(what)
            | Self::Interrupted(what) => f.write_str(what),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::Serve(error)
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
            // Who hangs up or says nothing shows no certificate that could be to blame.
            ConnectError::Tls { error: ref why, .. } if why.kind() != ErrorKind::InvalidData => {
                Self::unreachable(&error.to_string())
            }
            ConnectError::Tls { .. } => Self::tls(&error.to_string()),
            ConnectError::Unreachable { .. } => Self::unreachable(&error.to_string()),
            ConnectError::InvalidServerName(_) => Self::Usage(error.to_string()),
            other => Self::Other(other.into()),
        }
    }
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        let what = error.to_string();
        match error {
            ConnectionError::LoginRefused { .. } => Self::Login(what),
            ConnectionError::AnswerTimeout { .. } => {
                Self::TimedOut(format!("{what}\nhint: raise --timeout, or see --trace"))
            }
            // The peer goes away, for reasons of its own.
            ConnectionError::StreamError {
                condition:
                    StreamCondition::ConnectionTimeout
                    | StreamCondition::Conflict
                    | StreamCondition::InternalServerError
                    | StreamCondition::ResourceConstraint
                    | StreamCondition::SystemShutdown,
                ..
            } => Self::Lost(what),
            ConnectionError::NoPlain { .. }
            | ConnectionError::Protocol { .. }
            | ConnectionError::StreamError { .. }
            | ConnectionError::BindRefused { .. }
            | ConnectionError::HandshakeTimeout { .. } => {
                Self::Protocol(format!("{what}\nhint: --trace shows what was said"))
            }
            _ => Self::Lost(what),
        }
    }
}
