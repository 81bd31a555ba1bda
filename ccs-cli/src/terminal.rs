//! stderr: words for people.

use std::borrow::Cow;
use std::fmt::Display;

/// Says something on stderr.
pub fn say(what: impl Display) {
    eprintln!("ccs: {}", visible(&what.to_string()));
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
