//! What is measured: this project, what one would write in an afternoon, the xmpp-rs stack, the JSON alone, and the limits.

pub mod ccs;
pub mod json;
pub mod limits;
pub mod naive;
pub mod xmpp_rs;
