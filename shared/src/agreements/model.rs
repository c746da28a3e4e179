//! Agreements: the versioned terms of a program, and who accepted which. Pure.

use crate::clock::{Timestamp, days_before};
use crate::ids::{OperatorId, PartnerId, ProgramId};

/// Characters of a title.
pub const MAX_TITLE: usize = 200;
/// Characters of the text: what fits a request and an item.
pub const MAX_TEXT: usize = 40_000;
/// Versions that a program may publish.
pub const MAX_VERSIONS: u32 = 500;
/// Days before a version takes effect that partners are reminded who have not accepted it.
pub const REMIND_DAYS: u32 = 7;

/// What a partner cannot do until it has accepted the terms in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blocked {
    /// Submit deals.
    Deals,
    /// Be offered and accept leads.
    Leads,
    /// Make links.
    Links,
}

/// What may be blocked, by its names.
pub const BLOCKABLE: &[(&str, Blocked)] = &[
    ("deals", Blocked::Deals),
    ("leads", Blocked::Leads),
    ("links", Blocked::Links),
];

impl Blocked {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deals => "deals",
            Self::Leads => "leads",
            Self::Links => "links",
        }
    }
}

/// A version of a program's terms. Once published it never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Whose.
    pub program: ProgramId,
    /// Its number, from 1.
    pub version: u32,
    /// What it is called.
    pub title: String,
    /// The whole text.
    pub text: String,
    /// SHA-256 of the text, hex.
    pub hash: String,
    /// From when on it holds, until the next does.
    pub effective_at: Timestamp,
    /// What those cannot do who have not accepted it.
    pub blocks: Vec<Blocked>,
    /// Since when it can be read and accepted.
    pub published_at: Timestamp,
    /// Who published it.
    pub published_by: OperatorId,
}

impl Agreement {
    /// When those are reminded who have not accepted it; `None` where it takes effect too soon for that.
    #[must_use]
    pub fn reminds_at(&self) -> Option<Timestamp> {
        let at = days_before(self.effective_at, REMIND_DAYS);
        (at > self.published_at).then_some(at)
    }

    /// When there is something to do about it first: to remind, or else, where it takes effect later, to look whose
    /// acceptance counts from then on.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        let takes_effect = (self.effective_at > self.published_at).then_some(self.effective_at);
        self.reminds_at().or(takes_effect)
    }
}

/// What an agreement means for what partners may do: all but its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Its number.
    pub version: u32,
    /// From when on it holds.
    pub effective_at: Timestamp,
    /// What those cannot do who have not accepted it.
    pub blocks: Vec<Blocked>,
}

/// The terms that hold at a moment, of all versions in their order.
#[must_use]
pub fn in_force(terms: &[Term], now: Timestamp) -> Option<&Term> {
    terms.iter().rev().find(|term| term.effective_at <= now)
}

/// Whether one who has accepted up to a version cannot do something. A later version that does not hold yet
/// is accepted for the one that does as well.
#[must_use]
pub fn blocks(terms: &[Term], accepted: u32, what: Blocked, now: Timestamp) -> bool {
    in_force(terms, now).is_some_and(|term| term.version > accepted && term.blocks.contains(&what))
}

/// That a partner accepted a version. From which address and by which person stands apart, erasable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Who.
    pub partner: PartnerId,
    /// Whose terms.
    pub program: ProgramId,
    /// Which version.
    pub version: u32,
    /// SHA-256 of the text that was accepted, hex.
    pub hash: String,
    /// When.
    pub at: Timestamp,
    /// By which key.
    pub key: String,
}

/// From where and by whom terms were accepted. Erasable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signer {
    /// The network address.
    pub address: Option<String>,
    /// The member whose key it was.
    pub member: Option<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn term(version: u32, day: u32, blocks: &[Blocked]) -> Term {
        Term {
            version,
            effective_at: format!("2026-03-{day:02}T00:00:00Z").parse().unwrap(),
            blocks: blocks.to_vec(),
        }
    }

    #[test]
    fn the_terms_in_force_block_who_has_not_accepted_them_or_later_ones() {
        let terms = [
            term(1, 1, &[Blocked::Deals]),
            term(2, 10, &[Blocked::Deals, Blocked::Leads]),
        ];
        let on = |day: u32| {
            format!("2026-03-{day:02}T12:00:00Z")
                .parse::<Timestamp>()
                .unwrap()
        };
        assert!(!blocks(
            &terms,
            0,
            Blocked::Deals,
            "2026-02-01T00:00:00Z".parse().unwrap()
        ));
        assert!(blocks(&terms, 0, Blocked::Deals, on(5)));
        assert!(!blocks(&terms, 0, Blocked::Leads, on(5)));
        assert!(!blocks(&terms, 1, Blocked::Deals, on(5)));
        assert!(blocks(&terms, 1, Blocked::Leads, on(10)));
        assert!(!blocks(&terms, 1, Blocked::Links, on(10)));
        assert!(!blocks(&terms, 2, Blocked::Leads, on(5)));
        assert!(!blocks(&terms, 2, Blocked::Leads, on(10)));
    }

    #[test]
    fn every_blockable_thing_has_its_name() {
        for (name, what) in BLOCKABLE {
            assert_eq!(what.name(), *name);
        }
    }
}
