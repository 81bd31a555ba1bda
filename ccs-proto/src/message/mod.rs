//! The JSON that CCS carries: messages both ways, their answers, receipts and control (`docs/protocol.md` §3–§8).

mod answer;
mod body;
mod data;
mod downstream;
mod encode;
pub(crate) mod envelope;
mod ids;
mod json;
pub mod limits;
mod nack_code;
mod notification;
mod options;
mod parse;
mod receipt;
mod request;
mod stanza_error;
mod target;
mod upstream;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod round_trip_tests;

pub use answer::{Ack, Nack};
pub use body::{BodyError, MAX_DEPTH};
pub use data::{Data, InvalidData};
pub use downstream::Downstream;
pub use encode::EncodedDownstream;
pub use ids::{InvalidSenderId, MessageId, RegistrationToken, SenderId};
pub use limits::InvalidMessage;
pub use nack_code::{NackCode, Retry};
pub use notification::{InvalidNotification, Notification};
pub use options::Priority;
pub use parse::{Control, FromEndpoint};
pub use receipt::Receipt;
pub use request::{FromAppServer, Refusal};
pub use stanza_error::StanzaError;
pub(crate) use stanza_error::message_id_of;
pub use target::{Condition, InvalidTarget, Target, Topic};
pub use upstream::Upstream;
