//! `ccs listen`, `send` and `broadcast` as a script sees them: the real binary against an endpoint of this process.

mod endpoint;
mod exits;
mod listen;
mod run;
mod schema;
mod secrets;
mod send;
mod signals;
