//! Customers: the companies that partners sell to, recognised by what identifies them.

pub mod mail_domains;
pub mod model;
pub mod names;
pub mod store;
pub mod wire;

use model::{IDENTIFIER_KINDS, Identifier};

use crate::edge::Keyring;

/// The keyed hash by which an identifier is looked up: what was hashed cannot be read back from it.
#[must_use]
pub fn hashed(keyring: &Keyring, identifier: &Identifier) -> String {
    let kind = IDENTIFIER_KINDS
        .iter()
        .find(|(_, kind)| *kind == identifier.kind())
        .map_or("", |(name, _)| *name);
    keyring.reference(&format!("identifier:{kind}"), identifier.value())
}
