//! Names of messages, devices and senders.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::text::Text;

macro_rules! text_newtype {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl<T: Into<Text>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

text_newtype! {
    /// The id of a message: chosen by who sends it, and unique among the sender's (`docs/protocol.md` §3.2, §9). One to
    /// 256 bytes, which is checked when a message is sent.
    MessageId
}

text_newtype! {
    /// What a device is addressed by: a registration token, or the notification key of a device group.
    RegistrationToken
}

impl MessageId {
    /// See [`Text::compact`].
    pub(crate) fn compact(&self) -> Self {
        Self(self.0.compact())
    }

    /// See [`Text::compact_waiting`].
    pub(crate) fn compact_waiting(&self) -> Self {
        Self(self.0.compact_waiting())
    }

    pub(crate) fn text(&self) -> &Text {
        &self.0
    }
}

impl RegistrationToken {
    pub(crate) fn text(&self) -> &Text {
        &self.0
    }
}

/// The numeric id of an app server's project, with which it logs in: 1 to 32 decimal digits.
///
/// ```
/// use ccs_proto::SenderId;
///
/// let sender: SenderId = "123456789012".parse()?;
/// assert_eq!(sender.as_str(), "123456789012");
/// assert!("me@example.com".parse::<SenderId>().is_err());
/// # Ok::<(), ccs_proto::message::InvalidSenderId>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SenderId(Text);

/// A sender id is 1 to 32 decimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no sender id: 1 to 32 decimal digits are")]
pub struct InvalidSenderId(String);

impl SenderId {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for SenderId {
    type Err = InvalidSenderId;

    fn from_str(text: &str) -> Result<Self, InvalidSenderId> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (1..=32).contains(&text.len()) {
            Ok(Self(Text::from(text)))
        } else {
            Err(InvalidSenderId(text.to_owned()))
        }
    }
}

impl fmt::Display for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
