//! Persons: who may act in a browser. Pure.

use std::fmt;
use std::str::FromStr;

use crate::ids::{MemberId, NotAnId, OperatorId, PartnerId};

/// A person, as whom somebody may sign in. One mailbox may be several: an operator, and people of partners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Person {
    /// A person of the vendor.
    Operator(OperatorId),
    /// The contact of a partner itself.
    Partner(PartnerId),
    /// Another person of a partner.
    Member(PartnerId, MemberId),
}

impl Person {
    /// The partner that the person acts for.
    #[must_use]
    pub fn partner(self) -> Option<PartnerId> {
        match self {
            Self::Operator(_) => None,
            Self::Partner(partner) | Self::Member(partner, _) => Some(partner),
        }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(id) => write!(f, "{id}"),
            Self::Partner(id) => write!(f, "{id}"),
            Self::Member(partner, id) => write!(f, "{partner}.{id}"),
        }
    }
}

impl FromStr for Person {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if let Some((partner, member)) = text.split_once('.') {
            return Ok(Self::Member(partner.parse()?, member.parse()?));
        }
        let partner = text.parse().map(Self::Partner);
        text.parse().map(Self::Operator).or(partner)
    }
}

/// An address as it is compared: case does not tell mailboxes apart.
#[must_use]
pub fn compared(email: &str) -> String {
    email.trim().to_lowercase()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_back_as_the_same() {
        let partner = PartnerId::from_bytes([3; 16]);
        for person in [
            Person::Operator(OperatorId::from_bytes([1; 16])),
            Person::Partner(partner),
            Person::Member(partner, MemberId::from_bytes([2; 16])),
        ] {
            assert_eq!(person.to_string().parse::<Person>().unwrap(), person);
        }
        for wrong in ["", "key_00000000000000000000000000", "ptr_x.mbr_y", "."] {
            assert!(wrong.parse::<Person>().is_err(), "{wrong}");
        }
    }
}
