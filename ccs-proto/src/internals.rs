//! The inner layers, for this project's tests and fuzz targets. No stability whatever.

pub use crate::ledger::window::Full;
pub use crate::ledger::{Token, TokenError, Unsettled, Window};
pub use crate::xml::XmlError;
pub use crate::xml::framer::{Frame, Framer};
pub use crate::xml::work::bytes_looked_at;
pub use crate::xml::writer::{push_attribute, push_text};
pub use crate::xml::{Cursor, Item, Ns, Reader, Tag};
