//! The `<message>` stanza around the CCS JSON (`docs/protocol.md` §3.1, §5.3).

use super::read_error;
use crate::text::Text;
use crate::xml::XmlError;
use crate::xml::{Cursor, Item, Ns, Tag};

#[derive(Debug)]
pub(crate) struct MessageStanza {
    /// The stanza's own id, which CCS only uses in a stanza error. An empty one is none.
    pub(crate) id: Option<Text>,
    pub(crate) gcm: Gcm,
    /// The error element of a stanza with `type="error"`. Rare, and apart: what each stanza carries is moved from layer to layer.
    pub(crate) error: Option<Box<ErrorElement>>,
}

/// The `<gcm>` children, found by namespace whatever the prefix.
#[derive(Debug)]
pub(crate) enum Gcm {
    Missing,
    One(Text),
    /// More than one: a stanza holds one message.
    Several,
}

#[derive(Debug)]
pub(crate) struct ErrorElement {
    pub(crate) code: Option<u16>,
    pub(crate) condition: String,
    pub(crate) text: Option<String>,
}

impl MessageStanza {
    pub(super) fn read(tag: &Tag<'_>, cursor: &mut Cursor<'_, '_>) -> Result<Self, XmlError> {
        let id = id_of(tag.attribute("id"));
        let is_error = tag.attribute("type") == Some("error");
        let mut gcm = Gcm::Missing;
        let mut error = None;
        while let Some(item) = cursor.next()? {
            match item {
                Item::Start(tag) if tag.is(Ns::Gcm, "gcm") => {
                    let body = cursor.text()?;
                    gcm = match gcm {
                        Gcm::Missing => Gcm::One(Text::from(&*body)),
                        Gcm::One(_) | Gcm::Several => Gcm::Several,
                    };
                }
                Item::Start(tag) if tag.is(Ns::Client, "error") => {
                    let code = tag.attribute("code").and_then(|code| code.parse().ok());
                    let (condition, text) = read_error(cursor, Ns::Stanzas)?;
                    error = Some(Box::new(ErrorElement {
                        code,
                        condition,
                        text,
                    }));
                }
                Item::Start(_) => cursor.skip()?,
                Item::End => break,
                Item::Text(_) => {}
            }
        }
        if is_error && error.is_none() {
            error = Some(Box::new(ErrorElement {
                code: None,
                condition: "undefined-condition".to_owned(),
                text: None,
            }));
        }
        Ok(Self {
            id,
            gcm,
            error: error.filter(|_| is_error),
        })
    }

    /// A stanza that is nothing but an id and a body.
    pub(super) fn plain(id: &str, body: &str) -> Self {
        Self {
            id: id_of(Some(id)),
            gcm: Gcm::One(Text::from(body)),
            error: None,
        }
    }

    /// Whether it is one of those, and all of its text the body.
    pub(super) fn is_plain(&self) -> bool {
        let has_body = matches!(&self.gcm, Gcm::One(body) if !body.is_empty());
        has_body && self.error.is_none()
    }
}

fn id_of(attribute: Option<&str>) -> Option<Text> {
    attribute.filter(|id| !id.is_empty()).map(Text::from)
}
