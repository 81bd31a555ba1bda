//! What becomes of a message that the endpoint refused.

use crate::error::ConnectionError;
use crate::message::{Nack, NackCode, Retry};
use crate::xmpp::StreamCondition;

/// What to do with a refused message. Every code of `docs/protocol.md` §6 has one, and so has every unknown one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The endpoint has it: this is the copy of a message whose ack was lost.
    Acked,
    /// It is refused for good.
    GiveUp,
    /// On the same connection, after a back-off.
    SameConnection,
    /// At once, on another connection; not the message's fault.
    OtherConnection,
    /// Later, because its target gets too much; others go on.
    SlowDown,
    /// Once the sender is let in again.
    LogInAgain,
}

/// `unknown`: the message was in flight on a connection that ended before the answer.
pub(super) fn next(nack: &Nack, unknown: bool) -> Next {
    if unknown && is_duplicate(nack) {
        return Next::Acked;
    }
    match (&nack.code, nack.code.retry()) {
        (NackCode::AuthenticationFailed, _) => Next::LogInAgain,
        (_, Retry::Never) => Next::GiveUp,
        (_, Retry::SameConnection { .. }) => Next::SameConnection,
        (_, Retry::NewConnection { .. }) => Next::OtherConnection,
        (_, Retry::SlowDown { .. }) => Next::SlowDown,
    }
}

/// Google's words for a message whose id it knows (`docs/protocol.md` §9, §12 #48). In `error_description`, or in
/// `error` itself where the endpoint writes sentences there.
fn is_duplicate(nack: &Nack) -> bool {
    const WORDS: &str = "same id has been received before";
    let said = |text: &str| text.contains(WORDS);
    nack.code == NackCode::InvalidJson
        && (nack.description.as_deref().is_some_and(said) || said(&nack.error))
}

/// Whether a stream may have ended because of a stanza of ours: the peer says that it could not bear what it read. What
/// it says of itself, or of who we are, is no stanza's fault; and neither is a cut, of which nobody says anything.
pub(super) fn blames_a_stanza(end: &Result<(), ConnectionError>) -> bool {
    let Err(ConnectionError::StreamError { condition, .. }) = end else {
        return false;
    };
    !matches!(
        condition,
        StreamCondition::Conflict
            | StreamCondition::ConnectionTimeout
            | StreamCondition::HostUnknown
            | StreamCondition::NotAuthorized
            | StreamCondition::ResourceConstraint
            | StreamCondition::SystemShutdown
            | StreamCondition::UnsupportedVersion
    ) && condition.as_str() != "reset"
        && condition.as_str() != "see-other-host"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    fn nack(error: &str, description: &str) -> Nack {
        let body = format!(
            r#"{{"message_type":"nack","message_id":"m","from":"T","error":"{error}","error_description":"{description}"}}"#
        );
        match crate::message::FromEndpoint::parse(&Text::from(body)) {
            Ok(crate::message::FromEndpoint::Nack(nack)) => nack,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_code_has_its_next_step() {
        let table = [
            ("INVALID_JSON", Next::GiveUp),
            ("BAD_REGISTRATION", Next::GiveUp),
            ("DEVICE_UNREGISTERED", Next::GiveUp),
            ("SENDER_ID_MISMATCH", Next::GiveUp),
            ("BAD_ACK", Next::GiveUp),
            ("INVALID_APNS_CREDENTIAL", Next::GiveUp),
            ("INVALID_TTL", Next::GiveUp),
            ("JSON_TYPE_ERROR", Next::GiveUp),
            ("InvalidJson : INVALID_TTL : Invalid value", Next::GiveUp),
            ("SERVICE_UNAVAILABLE", Next::SameConnection),
            ("INTERNAL_SERVER_ERROR", Next::SameConnection),
            ("SOMETHING_NEW", Next::SameConnection),
            ("DEVICE_MESSAGE_RATE_EXCEEDED", Next::SlowDown),
            ("TOPICS_MESSAGE_RATE_EXCEEDED", Next::SlowDown),
            ("QUOTA_EXCEEDED", Next::SlowDown),
            ("CONNECTION_DRAINING", Next::OtherConnection),
            ("AUTHENTICATION_FAILED", Next::LogInAgain),
        ];
        for (code, expected) in table {
            for unknown in [false, true] {
                assert_eq!(next(&nack(code, ""), unknown), expected, "{code}");
            }
        }
    }

    #[test]
    fn a_repeated_id_means_acked_only_where_the_outcome_was_unknown() {
        let words = "Message with the same id has been received before";
        assert_eq!(next(&nack("INVALID_JSON", words), true), Next::Acked);
        assert_eq!(next(&nack("INVALID_JSON", words), false), Next::GiveUp);
        assert_eq!(next(&nack("INVALID_JSON", "too big"), true), Next::GiveUp);
        let sentence = format!("InvalidJson : INVALID_JSON : {words}");
        assert_eq!(next(&nack(&sentence, ""), true), Next::Acked);
    }

    #[test]
    fn only_a_stream_error_about_what_was_read_blames_a_stanza() {
        let ended = |condition| {
            Err(ConnectionError::StreamError {
                condition,
                text: None,
            })
        };
        assert!(blames_a_stanza(&ended(StreamCondition::InvalidXml)));
        assert!(blames_a_stanza(&ended(StreamCondition::PolicyViolation)));
        assert!(blames_a_stanza(&ended(
            StreamCondition::InternalServerError
        )));
        assert!(!blames_a_stanza(&ended(StreamCondition::SystemShutdown)));
        assert!(!blames_a_stanza(&ended(StreamCondition::Conflict)));
        assert!(!blames_a_stanza(&Err(ConnectionError::UnexpectedEof)));
        assert!(!blames_a_stanza(&Ok(())));
    }
}
