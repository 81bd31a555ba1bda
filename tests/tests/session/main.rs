//! A session over many connections, seen from outside: what the endpoint gets, and what the application is told.

mod connecting;
mod downstream;
mod draining;
mod ending;
mod peer_defects;
mod pieces;
mod storing;
mod suspects;
mod upstream;
mod world;
