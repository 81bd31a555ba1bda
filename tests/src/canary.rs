//! A key that is searched for where it must not be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The key in clear, and what of it shows in base64 whatever stands before and after it.
#[must_use]
pub fn forms(key: &str) -> Vec<String> {
    let mut forms = vec![key.to_owned()];
    for before in 0..3_usize {
        let text = [vec![0; before], key.as_bytes().to_vec()].concat();
        let encoded = STANDARD_NO_PAD.encode(&text);
        // Only the characters that hold nothing but the key's own bits.
        let start = (before * 8).div_ceil(6);
        let end = text.len() * 8 / 6;
        forms.push(encoded[start..end].to_owned());
    }
    forms
}

/// Which form of the key is in a text.
#[must_use]
pub fn found(key: &str, text: &str) -> Option<String> {
    forms(key)
        .into_iter()
        .find(|form| text.contains(form.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_a_key_in_base64_whatever_stands_around_it() {
        for before in ["", "x", "xy", "\0user\0"] {
            for after in ["", "z", "zz"] {
                let encoded = STANDARD_NO_PAD.encode(format!("{before}CANARY-0123456789{after}"));
                assert!(found("CANARY-0123456789", &encoded).is_some());
            }
        }
    }
}
