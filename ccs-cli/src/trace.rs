//! `--trace`: every stanza both ways, on stderr.

use std::io::Write;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use ccs_tokio::Tap;
use ccs_tokio::proto::Direction;

use crate::terminal::visible;

/// A tap that writes each stanza with the seconds since now and its direction: `>` to the peer, `<` from it.
pub fn tap() -> Tap {
    let start = Instant::now();
    Tap::new(move |connection, direction, stanza| {
        let (arrow, color) = match direction {
            Direction::Out => ('>', AnsiColor::Cyan),
            Direction::In => ('<', AnsiColor::Green),
        };
        let style = Style::new().fg_color(Some(color.into()));
        let at = start.elapsed().as_secs_f64();
        let stanza = visible(stanza);
        // A trace that cannot be written is no reason to fail.
        let _ = writeln!(
            anstream::stderr().lock(),
            "{at:9.4} {connection} {style}{arrow} {stanza}{style:#}"
        );
    })
}
