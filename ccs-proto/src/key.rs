//! The secret of a login.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The API key (server key) with which an app server logs in.
///
/// It has no `Display`, its `Debug` shows nothing of it, and its memory is cleared when it is dropped.
///
/// ```
/// use ccs_proto::ApiKey;
///
/// let key = ApiKey::from("AIzaSy-secret");
/// assert_eq!(format!("{key:?}"), "ApiKey(..)");
/// assert!(key.matches(&ApiKey::from("AIzaSy-secret")));
/// ```
#[derive(Clone)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// Whether both are the same key. Takes a time that depends on the lengths only, so that an endpoint that compares
    /// keys tells nobody how much of a guess was right.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }

    /// The key in clear, for the one place that has to send or to store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self(Zeroizing::new(key))
    }
}

impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        Self::from(key.to_owned())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}
