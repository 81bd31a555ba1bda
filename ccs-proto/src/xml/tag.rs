//! One start tag: its name, its namespace and its attributes.

use std::borrow::Cow;

use memchr::memchr;
use quick_xml::events::attributes::Attributes as RawAttributes;
use quick_xml::name::{
    Namespace, NamespaceError, NamespaceResolver, PrefixDeclaration, QName, ResolveResult,
};

use super::XmlError::{self, BadNamespacePrefix, NotWellFormed, TooLarge};
use super::chars::{is_letters, is_ncname, is_white_space};
use super::work::looked_at;
use super::{XmlLimits, unescape};

const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
const DOUBLED: XmlError = NotWellFormed("an attribute twice in one tag");

/// The namespaces that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ns {
    /// `jabber:client`
    Client,
    /// `http://etherx.jabber.org/streams`
    Streams,
    /// `urn:ietf:params:xml:ns:xmpp-sasl`
    Sasl,
    /// `urn:ietf:params:xml:ns:xmpp-tls`
    Tls,
    /// `urn:ietf:params:xml:ns:xmpp-bind`
    Bind,
    /// `urn:ietf:params:xml:ns:xmpp-session`
    Session,
    /// `urn:xmpp:ping`
    Ping,
    /// `urn:ietf:params:xml:ns:xmpp-stanzas`
    Stanzas,
    /// `urn:ietf:params:xml:ns:xmpp-streams`
    StreamErrors,
    /// `google:mobile:data`
    Gcm,
    /// `http://www.w3.org/XML/1998/namespace`, to which the prefix `xml` is always bound.
    Xml,
    /// No namespace at all.
    None,
    /// Any other.
    Other,
}

/// A start tag. Names are compared by namespace and local name; which prefix a peer chose is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The namespace of the element.
    pub ns: Ns,
    /// Its local name.
    pub name: &'a str,
    attributes: Attributes<'a>,
}

// A message has at most two attributes in practice, which are held without an allocation. More places would make every
// tag dearer to hand on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Attributes<'a> {
    first: [Option<Attribute<'a>>; 2],
    more: Vec<Attribute<'a>>,
}

type Attribute<'a> = (&'a str, Cow<'a, str>);

impl Tag<'_> {
    /// The value of an attribute that is in no namespace, as all of XMPP's own but `xml:lang` are.
    #[must_use]
    pub fn attribute(&self, local: &str) -> Option<&str> {
        self.attributes.get(local)
    }

    /// Whether this is the element of that name in that namespace.
    #[must_use]
    pub fn is(&self, ns: Ns, name: &str) -> bool {
        self.ns == ns && self.name == name
    }
}

impl Ns {
    fn of(uri: &str) -> Self {
        match uri {
            "jabber:client" => Self::Client,
            "google:mobile:data" => Self::Gcm,
            "http://etherx.jabber.org/streams" => Self::Streams,
            "urn:ietf:params:xml:ns:xmpp-sasl" => Self::Sasl,
            "urn:ietf:params:xml:ns:xmpp-tls" => Self::Tls,
            "urn:ietf:params:xml:ns:xmpp-bind" => Self::Bind,
            "urn:ietf:params:xml:ns:xmpp-session" => Self::Session,
            "urn:xmpp:ping" => Self::Ping,
            "urn:ietf:params:xml:ns:xmpp-stanzas" => Self::Stanzas,
            "urn:ietf:params:xml:ns:xmpp-streams" => Self::StreamErrors,
            XML => Self::Xml,
            _ => Self::Other,
        }
    }

    fn resolved(result: &ResolveResult<'_>) -> Result<Self, XmlError> {
        match result {
            ResolveResult::Bound(Namespace(XMLNS)) | ResolveResult::Unknown(_) => {
                Err(BadNamespacePrefix)
            }
            ResolveResult::Bound(Namespace(uri)) => Ok(Self::of(uri)),
            ResolveResult::Unbound => Ok(Self::None),
        }
    }
}

/// The namespace of an element without a prefix.
pub fn default_namespace(resolver: &NamespaceResolver) -> Ns {
    Ns::resolved(&resolver.resolve_prefix(None, true)).unwrap_or(Ns::Other)
}

/// Splits text that begins with a tag: what is in it, whether it closes itself, and what follows. `None` if it does not
/// begin with one or that has no end.
pub fn split(text: &str) -> Result<Option<(&str, bool, &str)>, XmlError> {
    let Some(tag) = text.strip_prefix('<') else {
        return Ok(None);
    };
    let mut rest = tag.as_bytes();
    let end = loop {
        let Some((&byte, after)) = rest.split_first() else {
            return Ok(None);
        };
        rest = match byte {
            b'>' => break tag.len().saturating_sub(rest.len()),
            b'<' => return Err(NotWellFormed("`<` inside a tag")),
            b'"' | b'\'' => match memchr(byte, after) {
                Some(at) => after.get(at.saturating_add(1)..).unwrap_or_default(),
                None => return Ok(None),
            },
            _ => after,
        };
    };
    looked_at(end);
    let Some((content, after)) = tag.split_at_checked(end) else {
        return Ok(None);
    };
    let after = after.get(1..).unwrap_or_default();
    Ok(Some(match content.strip_suffix('/') {
        Some(content) => (content, true, after),
        None => (content, false, after),
    }))
}

/// Reads what stands between `<` and `>` or `/>`: the tag, and its name as written. Opens a scope in the resolver.
pub fn read<'a>(
    content: &'a str,
    limits: &XmlLimits,
    resolver: &mut NamespaceResolver,
) -> Result<(Tag<'a>, &'a str), XmlError> {
    let name_end = content
        .bytes()
        .position(is_white_space)
        .unwrap_or(content.len());
    let written = content.get(..name_end).unwrap_or(content);
    let (prefix, name) = split_name(written, limits)?;

    resolver.set_level(resolver.level().saturating_add(1));
    let attributes = read_attributes(content, name_end, limits, resolver)?;
    let ns = if prefix.is_some() {
        Ns::resolved(&resolver.resolve_element(QName(written)).0)?
    } else {
        default_namespace(resolver)
    };
    let tag = Tag {
        ns,
        name,
        attributes,
    };
    Ok((tag, written))
}

fn read_attributes<'a>(
    content: &'a str,
    name_end: usize,
    limits: &XmlLimits,
    resolver: &mut NamespaceResolver,
) -> Result<Attributes<'a>, XmlError> {
    let mut found = Attributes::default();
    let mut scope = Scope::default();
    let mut count: usize = 0;
    let mut prefixed = false;
    for attribute in raw(content, name_end) {
        let (key, value) = attribute?;
        count = count.saturating_add(1);
        at_most(count, limits.attributes, "attributes of an element")?;
        at_most(
            value.len(),
            limits.attribute_value,
            "bytes of an attribute value",
        )?;
        let (prefix, local) = split_name(key.0, limits)?;
        if memchr(b'<', value.as_bytes()).is_some() {
            return Err(NotWellFormed("`<` in an attribute value"));
        }
        let value = unescape::attribute(value)?;
        if let Some(declared) = key.as_namespace_binding() {
            scope.declare(declared, &value, limits, resolver)?;
        } else if prefix.is_some() {
            prefixed = true;
        } else {
            found.push(local, value)?;
        }
    }
    if prefixed {
        check_prefixed(content, name_end, resolver)?;
    }
    Ok(found)
}

// Prefixes can be declared after their use, so these are looked at when the whole tag is known. No one asks for their
// values. There are few, by the limit, so comparing each with each is cheap.
fn check_prefixed(
    content: &str,
    name_end: usize,
    resolver: &NamespaceResolver,
) -> Result<(), XmlError> {
    let mut seen: Vec<(Namespace<'_>, &str)> = Vec::new();
    for attribute in raw(content, name_end) {
        let (key, _) = attribute?;
        if key.prefix().is_none() || key.as_namespace_binding().is_some() {
            continue;
        }
        let (ResolveResult::Bound(namespace), local) = resolver.resolve_attribute(key) else {
            return Err(BadNamespacePrefix);
        };
        let name = (namespace, local.into_inner());
        looked_at(seen.len());
        if seen.contains(&name) {
            return Err(DOUBLED);
        }
        seen.push(name);
    }
    Ok(())
}

// The attributes as written. quick-xml lets two of them touch, which XML does not, and keeps a list of the names to
// find doubled ones, which have to be found by namespace anyway.
fn raw<'a>(
    content: &'a str,
    name_end: usize,
) -> impl Iterator<Item = Result<(QName<'a>, &'a str), XmlError>> {
    looked_at(content.len());
    let mut attributes = RawAttributes::new(content, name_end);
    attributes.with_checks(false);
    attributes.map(move |attribute| {
        let Ok(attribute) = attribute else {
            return Err(NotWellFormed("an attribute without a quoted value"));
        };
        let Cow::Borrowed(value) = attribute.value else {
            return Err(NotWellFormed("an attribute without a quoted value"));
        };
        let start = (value.as_ptr() as usize).wrapping_sub(content.as_ptr() as usize);
        let after_quote = start.wrapping_add(value.len()).wrapping_add(1);
        match content.as_bytes().get(after_quote) {
            Some(&byte) if !is_white_space(byte) => {
                Err(NotWellFormed("no white space between attributes"))
            }
            _ => Ok((attribute.key, value)),
        }
    })
}

// What one tag has declared so far.
#[derive(Default)]
struct Scope {
    count: usize,
    // The resolver's list of a scope leaves these two out when they change nothing.
    default: bool,
    xml: bool,
}

impl Scope {
    fn declare(
        &mut self,
        prefix: PrefixDeclaration<'_>,
        uri: &str,
        limits: &XmlLimits,
        resolver: &mut NamespaceResolver,
    ) -> Result<(), XmlError> {
        self.count = self.count.saturating_add(1);
        at_most(
            self.count,
            limits.namespaces,
            "namespace declarations of an element",
        )?;
        let doubled = match prefix {
            PrefixDeclaration::Default if uri == XML || uri == XMLNS => {
                return Err(BadNamespacePrefix);
            }
            PrefixDeclaration::Default => std::mem::replace(&mut self.default, true),
            PrefixDeclaration::Named("xml") => std::mem::replace(&mut self.xml, true),
            PrefixDeclaration::Named("xmlns") => return Err(BadNamespacePrefix),
            PrefixDeclaration::Named(_) if uri.is_empty() => {
                return Err(NotWellFormed("a prefix for no namespace"));
            }
            PrefixDeclaration::Named(_) => resolver
                .bindings_of(resolver.level())
                .any(|(other, _)| other == prefix),
        };
        if doubled {
            return Err(DOUBLED);
        }
        resolver
            .add(prefix, Namespace(uri))
            .map_err(|error| match error {
                NamespaceError::TooManyBindings(limit) => TooLarge {
                    what: "namespace declarations in force",
                    limit,
                },
                _ => BadNamespacePrefix,
            })
    }
}

impl<'a> Attributes<'a> {
    fn get(&self, name: &str) -> Option<&str> {
        self.first
            .iter()
            .flatten()
            .chain(&self.more)
            .find(|(other, _)| *other == name)
            .map(|(_, value)| &**value)
    }

    fn push(&mut self, name: &'a str, value: Cow<'a, str>) -> Result<(), XmlError> {
        looked_at(self.more.len());
        if self.get(name).is_some() {
            return Err(DOUBLED);
        }
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some((name, value)),
            None => self.more.push((name, value)),
        }
        Ok(())
    }
}

fn split_name<'n>(
    name: &'n str,
    limits: &XmlLimits,
) -> Result<(Option<&'n str>, &'n str), XmlError> {
    at_most(name.len(), limits.name, "bytes of a name")?;
    if is_letters(name) {
        return Ok((None, name));
    }
    // Names are short, and a search that is made for long text costs more than this loop.
    let colon = name.bytes().position(|byte| byte == b':');
    let (prefix, local) = match colon.and_then(|at| name.split_at_checked(at)) {
        Some((prefix, rest)) => (Some(prefix), rest.get(1..).unwrap_or_default()),
        None => (None, name),
    };
    if is_ncname(local) && prefix.is_none_or(is_ncname) {
        Ok((prefix, local))
    } else {
        Err(NotWellFormed("a name with a character that it cannot hold"))
    }
}

/// Refuses a count or a length over its limit.
pub const fn at_most(amount: usize, limit: usize, what: &'static str) -> Result<(), XmlError> {
    if amount > limit {
        return Err(TooLarge { what, limit });
    }
    Ok(())
}
