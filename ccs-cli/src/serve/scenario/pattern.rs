//! Patterns of tokens.

use serde::Deserialize;

/// A token with `*` for any part of it, as `phone-*`.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "String")]
pub struct Pattern(Vec<String>);

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self(text.split('*').map(str::to_owned).collect())
    }
}

impl Default for Pattern {
    fn default() -> Self {
        Self::from("*".to_owned())
    }
}

impl Pattern {
    pub fn matches(&self, token: &str) -> bool {
        let [first, between @ .., last] = &self.0[..] else {
            // Without a `*` there is one part, which is all of it.
            return self.0.iter().any(|only| only == token);
        };
        let inner = token
            .strip_prefix(first.as_str())
            .and_then(|rest| rest.strip_suffix(last.as_str()));
        let Some(mut rest) = inner else {
            return false;
        };
        // The earliest place for each part leaves the most for the others.
        between.iter().all(|part| match rest.find(part.as_str()) {
            Some(at) => {
                rest = rest.get(at + part.len()..).unwrap_or_default();
                true
            }
            None => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part() {
        for (pattern, yes, no) in [
            ("phone-1", &["phone-1"][..], &["phone-11", "phone", ""][..]),
            ("*", &["", "x"], &[]),
            ("phone-*", &["phone-", "phone-1"], &["phone", "a-phone-1"]),
            ("*-1", &["a-1", "-1"], &["-12"]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("a*b*c", &["abc", "a1b2c", "abbc"], &["acb", "ab"]),
        ] {
            let pattern = Pattern::from(pattern.to_owned());
            for token in yes {
                assert!(pattern.matches(token), "{pattern:?} {token}");
            }
            for token in no {
                assert!(!pattern.matches(token), "{pattern:?} {token}");
            }
        }
    }
}
