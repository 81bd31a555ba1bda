//! Elements as a flat list that can be compared, whoever read them.

use ccs_proto::internals::{Cursor, Item, Ns, Reader, Tag, XmlError};

/// A stream header, for cases that bring none.
pub const HEADER: &[u8] = b"<s:s xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>";

/// A tag tells values by name only; these are asked for.
pub const ATTRIBUTES: [&str; 8] = ["id", "type", "to", "from", "code", "version", "a", "b"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Start(Start),
    Text(String),
    End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub ns: Ns,
    pub name: String,
    pub attributes: Vec<(&'static str, String)>,
}

impl Start {
    pub fn of(tag: &Tag<'_>) -> Self {
        let attributes = ATTRIBUTES.into_iter().filter_map(|name| {
            let value = tag.attribute(name)?;
            Some((name, value.to_owned()))
        });
        Self {
            ns: tag.ns,
            name: tag.name.to_owned(),
            attributes: attributes.collect(),
        }
    }

    pub fn check(&self) {
        let of_no_name = |character: char| {
            !is_legal(character)
                || character.is_ascii_whitespace()
                || "<>&\"'/=:".contains(character)
        };
        assert!(
            !self.name.is_empty() && !self.name.contains(of_no_name),
            "the name {:?}",
            self.name
        );
        for (name, value) in &self.attributes {
            assert!(value.chars().all(is_legal), "{name}={value:?}");
        }
    }
}

impl Event {
    pub fn check(&self) {
        match self {
            Self::Start(start) => start.check(),
            Self::Text(text) => assert!(text.chars().all(is_legal), "the text {text:?}"),
            Self::End => {}
        }
    }
}

/// The production `Char` of XML 1.0, put the other way round than `ccs-proto` does.
fn is_legal(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => other >= ' ',
    }
}

/// All of it by `next`; text that follows text is one.
pub fn walk(reader: &mut Reader, bytes: &[u8]) -> Result<Vec<Event>, XmlError> {
    let mut cursor = reader.element(bytes)?;
    let mut events = Vec::new();
    loop {
        match ended(&mut cursor)? {
            None => return Ok(events),
            Some(Item::Start(tag)) => events.push(Event::Start(Start::of(&tag))),
            Some(Item::End) => events.push(Event::End),
            Some(Item::Text(more)) => push_run(&mut events, &more),
        }
    }
}

/// `next`, after whose end or error comes the same again.
pub fn ended<'a>(cursor: &mut Cursor<'_, 'a>) -> Result<Option<Item<'a>>, XmlError> {
    let item = cursor.next();
    if matches!(item, Ok(None) | Err(_)) {
        assert_eq!(cursor.next(), item, "an end is final");
    }
    item
}

/// One more run of text; text that follows text is one, and none is no text.
pub fn push_run(events: &mut Vec<Event>, more: &str) {
    match events.last_mut() {
        Some(Event::Text(run)) => run.push_str(more),
        _ if more.is_empty() => {}
        _ => events.push(Event::Text(more.to_owned())),
    }
}

const NAMED: [Ns; 12] = [
    Ns::Client,
    Ns::Streams,
    Ns::Sasl,
    Ns::Tls,
    Ns::Bind,
    Ns::Session,
    Ns::Ping,
    Ns::Stanzas,
    Ns::StreamErrors,
    Ns::Gcm,
    Ns::Xml,
    Ns::None,
];

/// What a URI means here.
pub fn namespace(of: &str) -> Ns {
    let named = NAMED.into_iter().find(|ns| match uri(*ns) {
        Some(uri) => uri == of,
        None => of == "http://www.w3.org/XML/1998/namespace",
    });
    named.unwrap_or(Ns::Other)
}

/// The URI of a namespace, unless it cannot be declared.
pub const fn uri(ns: Ns) -> Option<&'static str> {
    Some(match ns {
        Ns::Client => "jabber:client",
        Ns::Streams => "http://etherx.jabber.org/streams",
        Ns::Sasl => "urn:ietf:params:xml:ns:xmpp-sasl",
        Ns::Tls => "urn:ietf:params:xml:ns:xmpp-tls",
        Ns::Bind => "urn:ietf:params:xml:ns:xmpp-bind",
        Ns::Session => "urn:ietf:params:xml:ns:xmpp-session",
        Ns::Ping => "urn:xmpp:ping",
        Ns::Stanzas => "urn:ietf:params:xml:ns:xmpp-stanzas",
        Ns::StreamErrors => "urn:ietf:params:xml:ns:xmpp-streams",
        Ns::Gcm => "google:mobile:data",
        Ns::None => "",
        Ns::Other => "urn:other",
        Ns::Xml => return None,
    })
}
