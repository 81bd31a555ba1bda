//! What a run has really met: a simulator that tests nothing must not pass.

use std::fmt;

macro_rules! sights {
    ($($(#[$doc:meta])* $name:ident = $words:literal,)*) => {
        /// Something that is to happen in some run or other.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the words say it")]
        pub enum Sight { $($(#[$doc])* $name,)* }

        impl Sight {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it is, in words.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

sights! {
    Acked = "a message acked",
    AckedTwice = "one ack twice",
    NackedAfterAck = "a nack for what was acked",
    NackedNeverSent = "a nack for what was never sent",
    Replayed = "a session again with its bytes in other pieces",
    Canonical = "an ack with another token",
    Refused = "a message refused",
    Expired = "a message expired",
    DeadOfAttempts = "a message dead of attempts",
    DeadOfAge = "a message dead of age",
    DeadOfStreams = "a message dead because it ends streams",
    DeadOfLosses = "a message dead because it loses connections",
    DeadByHandler = "a delivery dead by its handler",
    DeadOfTries = "a delivery dead of tries",
    Cancelled = "a message cancelled",
    KnownAlready = "a repeated id of a message of unknown outcome",
    SentAgain = "a message sent again after a lost connection",
    SameIdOfTwoSenders = "one id of two senders",
    Full = "a full queue",
    Room = "room again",
    NotStored = "a message that could not be stored",
    WindowFull = "a full window",
    WindowOf100 = "a full window of 100",
    BacklogOfWindows = "a backlog of more than a window without faults",
    SecondConnection = "two connections that take messages",
    Drained = "a drained connection",
    DrainedFull = "a drain with the whole window in flight",
    Drained100 = "a drain with 100 in flight",
    DrainOfDrain = "a drain of the connection after a drain",
    DrainRefused = "a drain with a refused dial",
    AckedWhileDraining = "an ack on a draining connection",
    SentToDraining = "a device's message on a draining connection",
    NackDraining = "CONNECTION_DRAINING",
    Cut = "a cut connection",
    CutInFlight = "a cut connection with messages in flight",
    CutMidStanza = "a cut within a stanza",
    HalfClosedUp = "an end of file at the endpoint alone",
    HalfClosedDown = "an end of file at the app server alone",
    Stalled = "a stalled connection",
    BlackHole = "a black hole",
    Rechunked = "writes in other pieces",
    StreamError = "a stream error",
    SystemShutdown = "system-shutdown",
    EndpointCrash = "a crash of the endpoint",
    EndpointCrashAtStore = "a crash of the endpoint between what was stored and its ack",
    EndpointCrashAtAck = "a crash of the endpoint with an ack not written",
    EndpointRestart = "a restart of the endpoint with everything draining",
    EndpointRestored = "a record restored by the endpoint",
    EndpointStoreSlow = "a slow store of the endpoint",
    EndpointStoreRefused = "a store of the endpoint that refuses",
    TooManyConnections = "one connection too many",
    AckInDoubt = "a message sent again whose ack was in doubt",
    Kept = "a message kept for a device",
    Collapsed = "a message collapsed",
    TooManyKeys = "a message of a collapse key too many",
    TooManyKept = "a message discarded since too many waited",
    ExpiredAtHub = "a message expired at the endpoint",
    GivenBack = "a delivery that its device did not take",
    DeliveredAgain = "a message that its device got again",
    UpstreamExpired = "a device's message expired",
    SentAgainInTime = "a device's message sent again as no ack came",
    AppCrash = "a crash of the app server",
    AppRestart = "a restart of the app server in order",
    AppRestartEarly = "a shutdown that met its deadline",
    Restored = "a message restored",
    RestoredHandled = "a handled delivery restored",
    CrashBetweenStoreAndAck = "a crash between what was stored and its ack",
    CrashBetweenHandlerAndStore = "a crash between a handler's word and the store",
    CrashAfterAck = "a crash with an ack on its way",
    ForgetLost = "a record that came back after it was done with",
    DialRefused = "a refused dial",
    DialTls = "a failed handshake",
    DialHung = "a dial without an answer",
    LoginRefused = "a refused login",
    StoreSlow = "a slow store",
    StoreRefused = "a store that refuses",
    HandlerSlow = "a slow handler",
    HandlerRetry = "a handler that asks for another try",
    HandlerPanic = "a handler that panics",
    HandlerHung = "a handler that hangs",
    HandlersAll = "all places for handlers taken",
    DeviceWaits = "a device's message that waits for one before it",
    JoinedCopy = "a copy that joins one in hand",
    KnownCopy = "a copy of what was handled",
    UpstreamFull = "all places for deliveries taken",
    ForgottenCopy = "a handled delivery forgotten for want of room",
    ReceiptAcked = "an acked receipt",
    Silence = "an endpoint that answers nothing",
    AnswerTimeout = "a message without an answer in time",
    Poison = "a message that no handler can handle",
    PoisonHoldsPlace = "a poison message that takes the only place there is",
    KillerAmongOthers = "a message that ends its stream in a backlog without faults",
    Killer = "a message that ends its stream",
    SlowTarget = "a target that is slowed down",
    InvalidJson = "INVALID_JSON",
    BadRegistration = "BAD_REGISTRATION",
    DeviceUnregistered = "DEVICE_UNREGISTERED",
    SenderIdMismatch = "SENDER_ID_MISMATCH",
    BadAck = "BAD_ACK",
    AuthenticationFailed = "AUTHENTICATION_FAILED",
    ServiceUnavailable = "SERVICE_UNAVAILABLE",
    InternalServerError = "INTERNAL_SERVER_ERROR",
    DeviceRate = "DEVICE_MESSAGE_RATE_EXCEEDED",
    TopicsRate = "TOPICS_MESSAGE_RATE_EXCEEDED",
    Apns = "INVALID_APNS_CREDENTIAL",
    Quota = "QUOTA_EXCEEDED",
    InvalidTtl = "INVALID_TTL",
    JsonTypeError = "JSON_TYPE_ERROR",
    UnknownCode = "a code without a name",
}

/// How often each was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen(Vec<u64>);

impl Default for Seen {
    fn default() -> Self {
        Self(vec![0; Sight::ALL.len()])
    }
}

impl Seen {
    pub(super) fn see(&mut self, sight: Sight) {
        self.0[sight as usize] += 1;
    }

    /// How often this was met.
    #[must_use]
    pub fn count(&self, sight: Sight) -> u64 {
        self.0[sight as usize]
    }

    /// Adds what another run met.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// What was never met.
    pub fn missing(&self) -> impl Iterator<Item = Sight> {
        let all = Sight::ALL.iter().copied();
        all.filter(|sight| self.count(*sight) == 0)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sight in Sight::ALL {
            writeln!(f, "{:>10}  {}", self.count(*sight), sight.words())?;
        }
        Ok(())
    }
}
