//! What stands between the elements of a stream.

use super::XmlError::{self, NotWellFormed, Restricted};
use super::chars::{is_control, is_white_space};
use super::work::looked_at;

/// The number of bytes at the start of the input that are of one kind, which are taken from it.
pub fn take_run(input: &mut &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    let end = input.iter().position(|&byte| !belongs(byte));
    let (run, rest) = input.split_at(end.unwrap_or(input.len()));
    *input = rest;
    looked_at(run.len());
    run.len()
}

/// Text between elements is nobody's data, so it is held to a simple rule that needs no memory: ASCII without
/// references. This refuses a byte order mark and broken UTF-8 here as well (`docs/protocol.md` §12 #49).
///
/// What is good before an offence is a frame of its own, as it would be if it had come alone.
pub fn take_stray(input: &mut &[u8], brackets: &mut u8) -> Result<usize, XmlError> {
    let mut length: usize = 0;
    while let Some((&byte, rest)) = input.split_first() {
        let offence = match byte {
            b'<' => return Ok(length),
            b']' => {
                *brackets = brackets.saturating_add(1).min(2);
                None
            }
            b'>' if *brackets == 2 => Some(NotWellFormed("`]]>` in text")),
            b'&' => Some(Restricted("a reference between elements")),
            byte if is_white_space(byte) => return Ok(length),
            byte if is_control(byte) => Some(NotWellFormed("a control character")),
            byte if !byte.is_ascii() => {
                Some(NotWellFormed("text between elements that is not ASCII"))
            }
            _ => {
                *brackets = 0;
                None
            }
        };
        match offence {
            Some(error) if length == 0 => return Err(error),
            Some(_) => return Ok(length),
            None => {}
        }
        length = length.saturating_add(1);
        *input = rest;
    }
    Ok(length)
}
