//! What strangers and broken peers do to an endpoint or an app server, and what must come of it. The rows are those of
//! `docs/threats.md`; a test's name begins with its row.

mod admission;
mod attacked;
mod json;
mod limits;
mod login;
mod memory;
mod peer;
mod places;
mod supply;
mod table;
mod time;
mod xml;
