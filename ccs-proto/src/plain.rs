//! Text that is its own JSON string and its own XML, as ids and tokens nearly always are.

/// Whether a text can be written as it is: inside a JSON string, as character data and as an attribute value.
///
/// False of a few texts that could be, since 0xef begins U+FFFE and U+FFFF, which XML forbids, and much that is harmless.
pub(crate) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    // A loop over a fixed number of bytes becomes vector code and leaves none over to be looked at one by one: of a token's
    // 152 bytes that would be half of the time, of an id's all.
    any_special::<32>(bytes)
        .or_else(|| any_special::<16>(bytes))
        .or_else(|| any_special::<8>(bytes))
        .map_or_else(|| !are_special(bytes), |special| !special)
}

/// Whether any of the bytes is special, looked at `N` by `N`; the last ones once more with some before them. `None` of fewer.
fn any_special<const N: usize>(bytes: &[u8]) -> Option<bool> {
    let last = bytes.last_chunk::<N>()?;
    let (chunks, _) = bytes.as_chunks::<N>();
    Some(are_special(last) || chunks.iter().any(|chunk| are_special(chunk)))
}

// No early exit, so that it becomes vector code.
#[inline(always)]
fn are_special(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .fold(false, |any, &byte| any | is_special(byte))
}

// No branch either. `<` and `>` differ in one bit, `"` and `&` in another.
#[inline(always)]
fn is_special(byte: u8) -> bool {
    (byte < 0x20)
        | (byte == 0xef)
        | (byte == b'\\')
        | (byte | 0b10 == b'>')
        | (byte | 0b100 == b'&')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_special_character_is_seen_wherever_it_stands() {
        for length in 0..100 {
            let plain = "x\u{e9}".repeat(length);
            assert!(is_plain(&plain), "{length}");
            for at in 0..=length {
                for special in ["\"", "&", "<", ">", "\\", "\0", "\n", "\u{1f}", "\u{fffe}"] {
                    let (before, after) = plain.split_at(3 * at);
                    let text = format!("{before}{special}{after}");
                    assert!(!is_plain(&text), "{special:?} at {at} of {length}");
                }
            }
        }
    }
}
