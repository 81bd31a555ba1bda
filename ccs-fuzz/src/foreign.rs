//! Other parsers, and what they make of a document, in the same form as what ours does.

use ccs_proto::internals::Ns;
use rxml::error::EndOrError;
use rxml::{Parse as _, WithOptions as _};

use crate::events::{ATTRIBUTES, Event, Start, namespace, push_run};

/// What rxml reads, a parser made for XMPP. `None` where `DIFFERENCES.md` says that it is wrong.
pub(crate) fn by_rxml(whole: &[u8]) -> Option<Result<Vec<Event>, String>> {
    // A byte order mark, and white space before a document without a declaration.
    let document = whole.strip_prefix("\u{feff}".as_bytes());
    let document = document.unwrap_or(whole).trim_ascii_start();
    // A carriage return that is no part of a line end.
    let bare = |pair: &[u8]| matches!(pair, [b'\r', after] if *after != b'\n');
    // A line end behind a bracket, which could have been the end of a CDATA section.
    let bracket = |pair: &[u8]| pair == b"]\r";
    if document.ends_with(b"\r") || document.windows(2).any(|pair| bare(pair) || bracket(pair)) {
        return None;
    }
    match read_by_rxml(document) {
        // A name from the last range of NameStartChar.
        Err(EndOrError::Error(rxml::Error::UnexpectedChar(_, '\u{fdf0}'..='\u{fffd}', _))) => None,
        // A character by a number with zeros before it.
        Err(EndOrError::Error(rxml::Error::UndeclaredEntity)) if has_zeros(document) => None,
        read => Some(read.map_err(|error| format!("{error:?}"))),
    }
}

fn has_zeros(document: &[u8]) -> bool {
    let by_number = |part: &[u8]| part.starts_with(b"&#0") || part.starts_with(b"&#x0");
    document.windows(4).any(by_number)
}

fn read_by_rxml(document: &[u8]) -> Result<Vec<Event>, EndOrError> {
    let options = rxml::Options {
        // Longer than any case: it is no limit that is compared.
        max_token_length: 1 << 24,
        ..rxml::Options::default()
    };
    let mut parser = rxml::Parser::with_options(options);
    let mut events = Vec::new();
    let mut rest = document;
    loop {
        match parser.parse(&mut rest, true) {
            Ok(Some(rxml::Event::XmlDeclaration(..))) => {}
            Ok(Some(rxml::Event::StartElement(_, (ns, name), attributes))) => {
                let value = |wanted: &str| {
                    let mut unprefixed = attributes.iter().filter(|((ns, _), _)| ns.is_empty());
                    unprefixed
                        .find_map(|((_, name), value)| (**name == *wanted).then(|| value.clone()))
                };
                events.push(start(namespace(&ns), &name, value));
            }
            Ok(Some(rxml::Event::Text(_, text))) => push_run(&mut events, &text),
            Ok(Some(rxml::Event::EndElement(_))) => events.push(Event::End),
            Ok(None) => return Ok(events),
            Err(error) => return Err(error),
        }
    }
}

/// What roxmltree reads, a parser of whole documents. `None` where `DIFFERENCES.md` says that it is wrong.
pub(crate) fn by_roxmltree(document: &str) -> Option<Result<Vec<Event>, String>> {
    // A carriage return beside a reference.
    if document.contains("\r&") || document.contains(";\r") {
        return None;
    }
    let read = read_by_roxmltree(document);
    // An element with the prefix `xml`.
    let known = "an unknown namespace prefix 'xml'";
    let wrong = matches!(&read, Err(error) if error.starts_with(known));
    (!wrong).then_some(read)
}

fn read_by_roxmltree(document: &str) -> Result<Vec<Event>, String> {
    let tree = roxmltree::Document::parse(document).map_err(|error| error.to_string())?;
    let mut events = Vec::new();
    let root = tree.root_element();
    let mut node = root;
    // Without recursion, as deep as it may be.
    loop {
        if node.is_element() {
            let value = |wanted: &str| {
                let mut unprefixed = node.attributes().filter(|one| one.namespace().is_none());
                let found = unprefixed.find(|one| one.name() == wanted)?;
                Some(found.value().to_owned())
            };
            let ns = node.tag_name().namespace().map_or(Ns::None, namespace);
            events.push(start(ns, node.tag_name().name(), value));
        } else if let Some(text) = node.text() {
            push_run(&mut events, text);
        }
        if let Some(child) = node.first_child() {
            node = child;
            continue;
        }
        loop {
            if node.is_element() {
                events.push(Event::End);
            }
            if node == root {
                return Ok(events);
            }
            if let Some(next) = node.next_sibling() {
                node = next;
                break;
            }
            match node.parent() {
                Some(parent) => node = parent,
                None => return Ok(events),
            }
        }
    }
}

/// Whether rxml takes a document, right or wrong.
#[must_use]
pub fn rxml_takes(document: &str) -> bool {
    read_by_rxml(document.as_bytes()).is_ok()
}

/// Whether roxmltree takes a document, right or wrong.
#[must_use]
pub fn roxmltree_takes(document: &str) -> bool {
    read_by_roxmltree(document).is_ok()
}

fn start(ns: Ns, name: &str, value: impl Fn(&str) -> Option<String>) -> Event {
    let attributes = ATTRIBUTES
        .into_iter()
        .filter_map(|name| Some((name, value(name)?)));
    Event::Start(Start {
        ns,
        name: name.to_owned(),
        attributes: attributes.collect(),
    })
}
