//! A look at every stanza, both ways, for people who search for a fault.

use std::fmt;
use std::sync::Arc;

use crate::ledger::ConnectionId;

/// Which way a stanza went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}

type Look = dyn Fn(ConnectionId, Direction, &str) + Send + Sync;

/// A function that is shown every stanza as it is on the wire, but for SASL bodies, of which it is told the length only.
///
/// It is called while the connection is at work and, in the driver, locked: it should be quick, write a line or hand it
/// on, and must not use the connection's handles.
///
/// ```
/// use ccs_proto::{ClientConfig, Direction, Tap};
///
/// let mut config = ClientConfig::new("123456789012".parse()?, "KEY".into());
/// config.tap = Some(Tap::new(|connection, direction, stanza| {
///     let arrow = if direction == Direction::In { "<" } else { ">" };
///     eprintln!("{connection} {arrow} {stanza}");
/// }));
/// # Ok::<(), ccs_proto::message::InvalidSenderId>(())
/// ```
#[derive(Clone)]
pub struct Tap(Arc<Look>);

impl Tap {
    /// Shows stanzas to `look`.
    #[must_use]
    pub fn new(look: impl Fn(ConnectionId, Direction, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    pub(crate) fn show(&self, connection: ConnectionId, direction: Direction, stanza: &[u8]) {
        (self.0)(connection, direction, &String::from_utf8_lossy(stanza));
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap(..)")
    }
}
