//! The secret of a login.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What SASL PLAIN can carry of a key (RFC 4616 §2).
const MAX_BYTES: usize = 255;

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
    /// Whether both are the same key. Takes the same time for all keys that can log in, of 255 bytes at most, so that an
    /// endpoint that compares keys tells nobody how much of a guess was right, nor how long a right one is.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let (mine, others) = (self.0.as_bytes(), other.0.as_bytes());
        let width = MAX_BYTES.max(mine.len()).max(others.len());
        let byte = |key: &[u8], at| key.get(at).copied().unwrap_or_default();
        let mut same = mine.len().ct_eq(&others.len());
        for at in 0..width {
            same &= byte(mine, at).ct_eq(&byte(others, at));
        }
        same.into()
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
