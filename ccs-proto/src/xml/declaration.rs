//! The XML declaration: nothing in it can change anything here, so it is checked and dropped.

use super::XmlError::{self, NotWellFormed, Restricted, UnsupportedEncoding};
use super::chars::is_white_space;

const MALFORMED: XmlError = NotWellFormed("the XML declaration");

/// Checks a whole declaration, from `<?xml` to `?>`.
pub fn check(declaration: &[u8]) -> Result<(), XmlError> {
    let mut rest = declaration
        .strip_prefix(b"<?xml")
        .and_then(|rest| rest.strip_suffix(b"?>"))
        .ok_or(MALFORMED)?;

    let Some(version) = take(&mut rest, b"version")? else {
        return Err(MALFORMED);
    };
    if version != b"1.0" {
        return Err(NotWellFormed("an XML version other than 1.0"));
    }
    if let Some(encoding) = take(&mut rest, b"encoding")? {
        match encoding {
            [first, ..] if first.is_ascii_alphabetic() => {}
            _ => return Err(MALFORMED),
        }
        if !encoding.eq_ignore_ascii_case(b"utf-8") {
            return Err(UnsupportedEncoding);
        }
    }
    match take(&mut rest, b"standalone")? {
        None | Some(b"yes") => {}
        Some(b"no") => return Err(Restricted("a document that is not standalone")),
        Some(_) => return Err(MALFORMED),
    }
    if rest.trim_ascii().is_empty() {
        Ok(())
    } else {
        Err(MALFORMED)
    }
}

// The value of `name = "…"` if that comes next; the three can only come in one order.
fn take<'d>(rest: &mut &'d [u8], name: &[u8]) -> Result<Option<&'d [u8]>, XmlError> {
    let start = skip_space(rest);
    let Some(after) = start.strip_prefix(name) else {
        return Ok(None);
    };
    if start.len() == rest.len() {
        return Err(MALFORMED);
    }
    let after = skip_space(after).strip_prefix(b"=").ok_or(MALFORMED)?;
    let (&quote, after) = skip_space(after).split_first().ok_or(MALFORMED)?;
    if quote != b'"' && quote != b'\'' {
        return Err(MALFORMED);
    }
    let end = after
        .iter()
        .position(|&byte| byte == quote)
        .ok_or(MALFORMED)?;
    let (value, after) = after.split_at(end);
    *rest = after.get(1..).unwrap_or_default();
    Ok(Some(value))
}

fn skip_space(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| !is_white_space(byte));
    bytes.get(end.unwrap_or(bytes.len())..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        let standalone = Err(Restricted("a document that is not standalone"));
        let version = Err(NotWellFormed("an XML version other than 1.0"));
        for (inner, result) in [
            (" version='1.0'", Ok(())),
            (" version='1.0' ", Ok(())),
            (" version = \"1.0\" encoding='utf-8'", Ok(())),
            (
                "\tversion='1.0'\nencoding=\"UTF-8\" standalone='yes' ",
                Ok(()),
            ),
            (" version='1.0' standalone='no'", standalone),
            (" version='1.0' encoding='UTF-16'", Err(UnsupportedEncoding)),
            (" version='1.0' encoding='latin1'", Err(UnsupportedEncoding)),
            (" version='1.1'", version.clone()),
            (" version='2'", version),
            ("", Err(MALFORMED)),
            (" ", Err(MALFORMED)),
            (" encoding='utf-8'", Err(MALFORMED)),
            (" version='1.0'encoding='utf-8'", Err(MALFORMED)),
            (" version='1.0' encoding=''", Err(MALFORMED)),
            (" version='1.0\"", Err(MALFORMED)),
            (" version=1.0", Err(MALFORMED)),
            (" version='1.0' standalone='maybe'", Err(MALFORMED)),
            (
                " version='1.0' standalone='yes' encoding='utf-8'",
                Err(MALFORMED),
            ),
            (" version='1.0' version='1.0'", Err(MALFORMED)),
            (" version='1.0' other='x'", Err(MALFORMED)),
        ] {
            assert_eq!(
                check(format!("<?xml{inner}?>").as_bytes()),
                result,
                "{inner:?}"
            );
        }
    }
}
