//! stderr: words for people. Nobody may read them any more, which is no reason to leave what is under way, so what cannot be
//! written is left out.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr};

/// Says something on stderr.
pub fn say(what: impl Display) {
    let _ = writeln!(stderr(), "ccs: {}", visible(&what.to_string()));
}

/// Says something of what goes on, in colours of its own.
pub fn note(what: impl Display) {
    let _ = writeln!(anstream::stderr(), "{what}");
}

/// How far something is: rewritten in place in a terminal, a line each time elsewhere.
pub struct Progress {
    in_place: bool,
    shown: bool,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            in_place: stderr().is_terminal(),
            shown: false,
        }
    }

    /// Whether it may be told often, since it takes no more room.
    pub fn is_in_place(&self) -> bool {
        self.in_place
    }

    pub fn show(&mut self, what: &str) {
        self.shown = true;
        if self.in_place {
            let mut stderr = stderr();
            let _ = write!(stderr, "\r{what}").and_then(|()| stderr.flush());
        } else {
            say(what);
        }
    }

    /// What is told next begins a line.
    pub fn end(self) {
        if self.in_place && self.shown {
            let _ = writeln!(stderr());
        }
    }
}

/// Text that a peer may have written, with nothing in it that moves a terminal's cursor or colours. Line feeds stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let moves = |c: char| c.is_control() && c != '\n';
    if !text.contains(moves) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if moves(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}
