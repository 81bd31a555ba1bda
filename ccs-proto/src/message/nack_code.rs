//! Why the endpoint refused a message, and what to do about it (`docs/protocol.md` §6).

use std::fmt;
use std::time::Duration;

use crate::text::Text;

/// Whether and where to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// The same would happen again: correct what is wrong, or give up.
    Never,
    /// On the same connection after a while, which doubles from here, with jitter.
    SameConnection {
        /// The first delay.
        after: Duration,
    },
    /// On another connection after a while.
    NewConnection {
        /// The first delay; zero is at once.
        after: Duration,
    },
    /// To this target only after a good while, and slower from then on; other targets are not concerned.
    SlowDown {
        /// The first delay.
        after: Duration,
    },
}

/// The code of a nack. Every code of the last list, and the older forms.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NackCode {
    /// The message breaks a rule: a field, its size, a repeated id. Correct it.
    InvalidJson,
    /// The token is malformed. Drop it.
    BadRegistration,
    /// The app was removed from the device, or the token expired. Delete the token.
    DeviceUnregistered,
    /// The token belongs to another sender.
    SenderIdMismatch,
    /// An ack of ours was malformed.
    BadAck,
    /// The login is not valid any more.
    AuthenticationFailed,
    /// The service is busy.
    ServiceUnavailable,
    /// The service failed.
    InternalServerError,
    /// Too many messages to one device.
    DeviceMessageRateExceeded,
    /// Too many messages to one topic.
    TopicsMessageRateExceeded,
    /// The connection is being closed.
    ConnectionDraining,
    /// The service's credentials for Apple are missing or expired.
    InvalidApnsCredential,
    /// Until October 2014: what became `DEVICE_MESSAGE_RATE_EXCEEDED`.
    QuotaExceeded,
    /// 2013: the time to live is out of range; on the wire within a sentence.
    InvalidTtl,
    /// 2013: a field has the wrong type; on the wire within a sentence.
    JsonTypeError,
    /// A code that has no name here. Treated as an internal error, as the documentation asks.
    Other(Text),
}

/// Codes by their names on the wire.
const NAMES: [(&str, NackCode); 15] = [
    ("INVALID_JSON", NackCode::InvalidJson),
    ("BAD_REGISTRATION", NackCode::BadRegistration),
    ("DEVICE_UNREGISTERED", NackCode::DeviceUnregistered),
    ("SENDER_ID_MISMATCH", NackCode::SenderIdMismatch),
    ("BAD_ACK", NackCode::BadAck),
    ("AUTHENTICATION_FAILED", NackCode::AuthenticationFailed),
    ("SERVICE_UNAVAILABLE", NackCode::ServiceUnavailable),
    ("INTERNAL_SERVER_ERROR", NackCode::InternalServerError),
    (
        "DEVICE_MESSAGE_RATE_EXCEEDED",
        NackCode::DeviceMessageRateExceeded,
    ),
    (
        "TOPICS_MESSAGE_RATE_EXCEEDED",
        NackCode::TopicsMessageRateExceeded,
    ),
    ("CONNECTION_DRAINING", NackCode::ConnectionDraining),
    ("INVALID_APNS_CREDENTIAL", NackCode::InvalidApnsCredential),
    ("QUOTA_EXCEEDED", NackCode::QuotaExceeded),
    ("INVALID_TTL", NackCode::InvalidTtl),
    ("JSON_TYPE_ERROR", NackCode::JsonTypeError),
];

/// Names of the HTTP interface, which some endpoints use here as well (`docs/protocol.md` §6.2).
const HTTP_NAMES: [(&str, NackCode); 11] = [
    ("Unavailable", NackCode::ServiceUnavailable),
    ("InternalServerError", NackCode::InternalServerError),
    ("InvalidRegistration", NackCode::BadRegistration),
    ("NotRegistered", NackCode::DeviceUnregistered),
    ("MismatchSenderId", NackCode::SenderIdMismatch),
    (
        "DeviceMessageRateExceeded",
        NackCode::DeviceMessageRateExceeded,
    ),
    (
        "TopicsMessageRateExceeded",
        NackCode::TopicsMessageRateExceeded,
    ),
    ("MissingRegistration", NackCode::InvalidJson),
    ("MessageTooBig", NackCode::InvalidJson),
    ("InvalidDataKey", NackCode::InvalidJson),
    ("InvalidTtl", NackCode::InvalidJson),
];

impl NackCode {
    /// Reads `error`, which is a code or, in 2013, a sentence such as
    /// `InvalidJson : INVALID_TTL : Invalid value (-1) …` (fixtures E28, E29).
    pub(super) fn read(error: &Text) -> Self {
        let by_name = |name: &str| {
            let names = NAMES.iter().chain(&HTTP_NAMES);
            names
                .clone()
                .find(|(known, _)| *known == name)
                .map(|(_, code)| code.clone())
        };
        if let Some(code) = by_name(error.as_str()) {
            return code;
        }
        let mut parts = error.split(':').map(str::trim);
        match (parts.next(), parts.next()) {
            (Some("InvalidJson"), Some(code)) => by_name(code).unwrap_or(Self::InvalidJson),
            _ => Self::Other(error.clone()),
        }
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if let Self::Other(name) = self {
            return name;
        }
        NAMES
            .iter()
            .find(|(_, code)| code == self)
            .map_or("INTERNAL_SERVER_ERROR", |(name, _)| name)
    }

    /// What the app server does about it.
    #[must_use]
    pub fn retry(&self) -> Retry {
        let second = Duration::from_secs(1);
        let minute = Duration::from_secs(60);
        match self {
            Self::InvalidJson
            | Self::BadRegistration
            | Self::DeviceUnregistered
            | Self::SenderIdMismatch
            | Self::BadAck
            | Self::InvalidApnsCredential
            | Self::InvalidTtl
            | Self::JsonTypeError => Retry::Never,
            Self::ServiceUnavailable | Self::InternalServerError | Self::Other(_) => {
                Retry::SameConnection { after: second }
            }
            Self::DeviceMessageRateExceeded
            | Self::TopicsMessageRateExceeded
            | Self::QuotaExceeded => Retry::SlowDown { after: minute },
            Self::ConnectionDraining => Retry::NewConnection {
                after: Duration::ZERO,
            },
            Self::AuthenticationFailed => Retry::NewConnection { after: minute * 5 },
        }
    }

    /// Whether the token should be deleted: no message will ever reach it.
    #[must_use]
    pub fn is_token_dead(&self) -> bool {
        matches!(self, Self::BadRegistration | Self::DeviceUnregistered)
    }
}

/// The code of this name; one without a meaning here is [`Other`](NackCode::Other).
impl<T: Into<Text>> From<T> for NackCode {
    fn from(name: T) -> Self {
        Self::read(&name.into())
    }
}

impl fmt::Display for NackCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_and_writes_and_has_its_advice() {
        for (name, code) in NAMES {
            assert_eq!(NackCode::read(&Text::from(name)), code);
            assert_eq!(code.as_str(), name);
        }
        let advice = |name: &str| NackCode::read(&Text::from(name)).retry();
        let never = [
            "INVALID_JSON",
            "BAD_REGISTRATION",
            "DEVICE_UNREGISTERED",
            "SENDER_ID_MISMATCH",
            "BAD_ACK",
            "INVALID_APNS_CREDENTIAL",
            "INVALID_TTL",
            "JSON_TYPE_ERROR",
        ];
        for name in never {
            assert_eq!(advice(name), Retry::Never, "{name}");
        }
        let after = Duration::from_secs(1);
        for name in [
            "SERVICE_UNAVAILABLE",
            "INTERNAL_SERVER_ERROR",
            "SOMETHING_NEW",
            "Unavailable",
        ] {
            assert_eq!(advice(name), Retry::SameConnection { after }, "{name}");
        }
        for name in [
            "DEVICE_MESSAGE_RATE_EXCEEDED",
            "TOPICS_MESSAGE_RATE_EXCEEDED",
            "QUOTA_EXCEEDED",
        ] {
            assert!(matches!(advice(name), Retry::SlowDown { .. }), "{name}");
        }
        let after = Duration::ZERO;
        assert_eq!(
            advice("CONNECTION_DRAINING"),
            Retry::NewConnection { after }
        );
    }

    #[test]
    fn sentences_of_2013_hold_their_code() {
        let read = |error: &str| NackCode::read(&Text::from(error));
        assert_eq!(
            read("InvalidJson : INVALID_TTL : Invalid value (-1)\n"),
            NackCode::InvalidTtl
        );
        assert_eq!(
            read("InvalidJson: JSON_TYPE_ERROR : Field \"x\"\n"),
            NackCode::JsonTypeError
        );
        assert_eq!(read("InvalidJson : something else"), NackCode::InvalidJson);
        assert_eq!(read("a b c"), NackCode::Other(Text::from("a b c")));
    }
}
