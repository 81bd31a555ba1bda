//! The XML of a stream: bytes to whole elements (`framer`), elements to tags and text (`reader`, `cursor`), text to bytes
//! (`writer`).
//!
//! XMPP allows a part of XML only (RFC 6120 §11), and a stream is never whole, so an ordinary XML parser fits neither
//! way. There is one path for every stanza and no tree. What it made of the tags of one is remembered for the next that has
//! the same (`wrapping`).
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod chars;
mod cursor;
mod declaration;
pub mod framer;
mod held;
pub mod reader;
mod scanner;
mod stray;
mod tag;
mod unescape;
pub mod work;
mod wrapping;
pub mod writer;

#[cfg(test)]
mod framer_tests;
#[cfg(test)]
mod reader_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod wrapping_tests;

pub use cursor::{Cursor, Item};
pub use framer::{Frame, Framer};
pub use reader::Reader;
pub use tag::{Ns, Tag};
pub use wrapping::Known;

/// What a peer may ask this side to hold or to count, so that no input costs more than a known amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XmlLimits {
    /// Bytes of one element or of the stream header.
    pub stanza: usize,
    /// Elements inside one another; the stanza itself is 1.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Namespace declarations of one element.
    pub namespaces: usize,
    /// Bytes of one name with its prefix.
    pub name: usize,
    /// Bytes of one attribute value as it is written.
    pub attribute_value: usize,
    /// Bytes of one run of text or CDATA section as it is written.
    pub text: usize,
    /// Bytes of white space before the stream header, and between two elements within a minute.
    pub white_space: usize,
}

impl Default for XmlLimits {
    fn default() -> Self {
        Self {
            stanza: 65_536,
            depth: 16,
            attributes: 32,
            namespaces: 8,
            name: 256,
            attribute_value: 8192,
            text: 65_536,
            white_space: 1024,
        }
    }
}

/// Why a stream cannot be read any further. Each kind is one stream error condition of RFC 6120 §4.9.3.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// A rule of XML or of Namespaces in XML was broken: `not-well-formed`.
    #[error("the XML is not well-formed: {0}")]
    NotWellFormed(&'static str),
    /// XML that is legal elsewhere and that XMPP forbids: `restricted-xml`.
    #[error("XMPP forbids this XML: {0}")]
    Restricted(&'static str),
    /// The declaration names another encoding, or the bytes are not UTF-8: `unsupported-encoding`.
    #[error("the stream is not in UTF-8")]
    UnsupportedEncoding,
    /// A prefix that is not declared, or a reserved one that is misused: `bad-namespace-prefix`.
    #[error("a namespace prefix is undeclared or reserved")]
    BadNamespacePrefix,
    /// More than this side is willing to hold or to count: `policy-violation`.
    #[error("{what} over the limit of {limit}")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// The limit that it went over.
        limit: usize,
    },
}
