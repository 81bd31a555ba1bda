//! What can go wrong.

use std::time::Duration;

use ccs_proto::StreamCondition;
use ccs_proto::message::NackCode;

use super::dice::Dice;
use super::seen::Sight;

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Cut,
    HalfCloseUp,
    HalfCloseDown,
    BlackHole,
    Stall,
    Drain,
    DrainChain,
    DrainRefused,
    StreamError,
    EndpointCrash,
    EndpointCrashAtStore,
    EndpointCrashAtAck,
    EndpointRestart,
    EndpointStoreFails,
    EndpointStoreSlow,
    FewConnections,
    AppCrash,
    AppRestart,
    CrashAtStore,
    CrashAtVerdict,
    CrashAtAck,
    Refuse,
    BadTls,
    BadLogin,
    DialHangs,
    Silence,
    Storm,
    StoreFails,
    StoreSlow,
    HandlersFail,
    HandlersHang,
    Redeliver,
}

impl Kind {
    pub(super) const ALL: [Self; 32] = [
        Self::Cut,
        Self::HalfCloseUp,
        Self::HalfCloseDown,
        Self::BlackHole,
        Self::Stall,
        Self::Drain,
        Self::DrainChain,
        Self::DrainRefused,
        Self::StreamError,
        Self::EndpointCrash,
        Self::EndpointCrashAtStore,
        Self::EndpointCrashAtAck,
        Self::EndpointRestart,
        Self::EndpointStoreFails,
        Self::EndpointStoreSlow,
        Self::FewConnections,
        Self::AppCrash,
        Self::AppRestart,
        Self::CrashAtStore,
        Self::CrashAtVerdict,
        Self::CrashAtAck,
        Self::Refuse,
        Self::BadTls,
        Self::BadLogin,
        Self::DialHangs,
        Self::Silence,
        Self::Storm,
        Self::StoreFails,
        Self::StoreSlow,
        Self::HandlersFail,
        Self::HandlersHang,
        Self::Redeliver,
    ];
}

/// One fault. Which connection it strikes is drawn when it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A connection breaks, within a stanza or not.
    Cut,
    /// The endpoint sees the end of the file, the app server does not.
    HalfCloseUp,
    /// The other way round.
    HalfCloseDown,
    /// Nothing arrives any more, and nobody is told.
    BlackHole,
    /// Nothing arrives for a while.
    Stall(Duration),
    /// The endpoint drains a connection.
    Drain,
    /// The endpoint ends a stream with an error.
    StreamError(StreamCondition),
    /// The endpoint loses all its connections, and is away for a while.
    EndpointCrash(Duration),
    /// The same, the next time that it comes to this point.
    EndpointCrashAt(Point),
    /// The endpoint drains everything, so long, and starts anew.
    EndpointRestart(Duration),
    /// The endpoint lets a sender have one connection only, for a while.
    FewConnections(Duration),
    /// The app server loses everything but its store.
    AppCrash,
    /// The app server is shut down, with so long to do it, and comes back.
    AppRestart(Duration),
    /// The app server loses everything but its store, the next time that it comes to this point.
    CrashAt(Point),
    /// Something is not as it should be for a while.
    Mood(Mood, Duration),
    /// The endpoint drains a connection while it refuses dials.
    DrainRefused(Duration),
    /// A device sends again what was acked.
    Redeliver,
}

/// Where a crash hurts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Something is stored, and nobody was told.
    Stored,
    /// A handler has said what it has to say, and that is not stored.
    Said,
    /// An ack was written, and is on its way.
    Acked,
}

/// What can be wrong for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mood {
    /// The endpoint refuses dials.
    Refuse,
    /// Its certificate is not what it should be.
    BadTls,
    /// It does not know the sender.
    BadLogin,
    /// Dials are not answered.
    DialHangs,
    /// Messages are not answered.
    Silence,
    /// Every message is refused so.
    Storm(NackCode),
    /// Every connection is drained once it is bound.
    DrainNew,
    /// The store keeps nothing.
    StoreFails,
    /// The store takes its time.
    StoreSlow,
    /// The endpoint's store keeps nothing.
    EndpointStoreFails,
    /// The endpoint's store takes its time.
    EndpointStoreSlow,
    /// No handler can do anything.
    HandlersFail,
    /// No handler comes to an end.
    HandlersHang,
}

impl Fault {
    pub(super) fn of(kind: Kind, dice: &mut Dice) -> Self {
        let span = match dice.below(4) {
            0 => dice.millis(0, 500),
            1 | 2 => dice.seconds(1, 30),
            _ => dice.seconds(30, 600),
        };
        match kind {
            Kind::Cut => Self::Cut,
            Kind::HalfCloseUp => Self::HalfCloseUp,
            Kind::HalfCloseDown => Self::HalfCloseDown,
            Kind::BlackHole => Self::BlackHole,
            Kind::Stall => Self::Stall(span),
            Kind::Drain => Self::Drain,
            Kind::DrainChain => Self::Mood(Mood::DrainNew, span),
            Kind::DrainRefused => Self::DrainRefused(span),
            Kind::StreamError => Self::StreamError(
                dice.pick(&[
                    StreamCondition::SystemShutdown,
                    StreamCondition::PolicyViolation,
                    StreamCondition::InvalidXml,
                    StreamCondition::Conflict,
                    StreamCondition::InternalServerError,
                ])
                .clone(),
            ),
            Kind::EndpointCrash => Self::EndpointCrash(span),
            Kind::EndpointCrashAtStore => Self::EndpointCrashAt(Point::Stored),
            Kind::EndpointCrashAtAck => Self::EndpointCrashAt(Point::Acked),
            Kind::EndpointRestart => Self::EndpointRestart(span),
            Kind::EndpointStoreFails => Self::Mood(Mood::EndpointStoreFails, span),
            Kind::EndpointStoreSlow => Self::Mood(Mood::EndpointStoreSlow, span),
            Kind::FewConnections => Self::FewConnections(span),
            Kind::AppCrash => Self::AppCrash,
            Kind::AppRestart => Self::AppRestart(span),
            Kind::CrashAtStore => Self::CrashAt(Point::Stored),
            Kind::CrashAtVerdict => Self::CrashAt(Point::Said),
            Kind::CrashAtAck => Self::CrashAt(Point::Acked),
            Kind::Refuse => Self::Mood(Mood::Refuse, span),
            Kind::BadTls => Self::Mood(Mood::BadTls, span),
            Kind::BadLogin => Self::Mood(Mood::BadLogin, span),
            Kind::DialHangs => Self::Mood(Mood::DialHangs, span),
            Kind::Silence => Self::Mood(Mood::Silence, span),
            Kind::Storm => Self::Mood(Mood::Storm(code(dice)), span),
            Kind::StoreFails => Self::Mood(Mood::StoreFails, span),
            Kind::StoreSlow => Self::Mood(Mood::StoreSlow, span),
            Kind::HandlersFail => Self::Mood(Mood::HandlersFail, span),
            Kind::HandlersHang => Self::Mood(Mood::HandlersHang, span),
            Kind::Redeliver => Self::Redeliver,
        }
    }
}

/// Some code or other, those more often after which a message goes out again.
pub(super) fn code(dice: &mut Dice) -> NackCode {
    if dice.percent(60) {
        let codes = [
            NackCode::ServiceUnavailable,
            NackCode::InternalServerError,
            NackCode::DeviceMessageRateExceeded,
            NackCode::TopicsMessageRateExceeded,
            NackCode::QuotaExceeded,
            NackCode::Other("SOMETHING_NEW".into()),
        ];
        return dice.pick(&codes).clone();
    }
    let codes = [
        NackCode::InvalidJson,
        NackCode::BadRegistration,
        NackCode::DeviceUnregistered,
        NackCode::SenderIdMismatch,
        NackCode::BadAck,
        NackCode::AuthenticationFailed,
        NackCode::ConnectionDraining,
        NackCode::InvalidApnsCredential,
        NackCode::InvalidTtl,
        NackCode::JsonTypeError,
    ];
    dice.pick(&codes).clone()
}

pub(super) fn sight(code: &NackCode) -> Sight {
    match code {
        NackCode::InvalidJson => Sight::InvalidJson,
        NackCode::BadRegistration => Sight::BadRegistration,
        NackCode::DeviceUnregistered => Sight::DeviceUnregistered,
        NackCode::SenderIdMismatch => Sight::SenderIdMismatch,
        NackCode::BadAck => Sight::BadAck,
        NackCode::AuthenticationFailed => Sight::AuthenticationFailed,
        NackCode::ServiceUnavailable => Sight::ServiceUnavailable,
        NackCode::InternalServerError => Sight::InternalServerError,
        NackCode::DeviceMessageRateExceeded => Sight::DeviceRate,
        NackCode::TopicsMessageRateExceeded => Sight::TopicsRate,
        NackCode::ConnectionDraining => Sight::NackDraining,
        NackCode::InvalidApnsCredential => Sight::Apns,
        NackCode::QuotaExceeded => Sight::Quota,
        NackCode::InvalidTtl => Sight::InvalidTtl,
        NackCode::JsonTypeError => Sight::JsonTypeError,
        _ => Sight::UnknownCode,
    }
}
