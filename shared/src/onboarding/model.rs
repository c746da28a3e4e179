//! Onboarding: what a partner does before it is all set in a program. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::ids::{OperatorId, PartnerId, ProgramId};

/// Steps of a checklist.
pub const MAX_STEPS: usize = 30;
/// Characters of a step's code.
pub const MAX_STEP_CODE: usize = 40;
/// Characters of a step's label.
pub const MAX_LABEL: usize = 200;

/// What completes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// The terms in force are accepted.
    AcceptTerms,
    /// Where the partner is paid is set.
    PayoutMethod,
    /// Who the partner is to the tax office is set.
    TaxProfile,
    /// A link is made.
    FirstLink,
    /// An operator says so, as of a training.
    Confirmed,
}

/// Kinds of steps by their names.
pub const STEP_KINDS: &[(&str, StepKind)] = &[
    ("accept_terms", StepKind::AcceptTerms),
    ("payout_method", StepKind::PayoutMethod),
    ("tax_profile", StepKind::TaxProfile),
    ("first_link", StepKind::FirstLink),
    ("confirmed", StepKind::Confirmed),
];

impl StepKind {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        STEP_KINDS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }
}

/// A step of a checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// By which it is named.
    pub code: String,
    /// What people read.
    pub label: String,
    /// What completes it.
    pub kind: StepKind,
    /// Whether one is all set only with it.
    pub required: bool,
}

/// The steps of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checklist {
    /// Whose.
    pub program: ProgramId,
    /// In their order.
    pub steps: Vec<Step>,
    /// Counts changes; 0 for a program that has none.
    pub version: u64,
}

/// What is there of a partner in a program, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Since when it has accepted the terms in force.
    pub accepted_at: Option<Timestamp>,
    /// Since when it has its payout method.
    pub payout_method_at: Option<Timestamp>,
    /// Since when it has its tax profile.
    pub tax_profile_at: Option<Timestamp>,
    /// Since when it has a link.
    pub link_at: Option<Timestamp>,
}

/// What operators confirmed, and what was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whose.
    pub partner: PartnerId,
    /// In which program.
    pub program: ProgramId,
    /// Steps that an operator confirmed, with when and who.
    pub confirmed: BTreeMap<String, (Timestamp, OperatorId)>,
    /// Steps whose completion was told.
    pub told: BTreeSet<String>,
    /// Whether it was told that the partner is all set.
    pub is_set: bool,
    /// Counts changes; 0 before the first.
    pub version: u64,
}

impl Progress {
    /// Of one of whom nothing is known yet.
    #[must_use]
    pub fn none(partner: PartnerId, program: ProgramId) -> Self {
        Self {
            partner,
            program,
            confirmed: BTreeMap::new(),
            told: BTreeSet::new(),
            is_set: false,
            version: 0,
        }
    }

    /// When a step was completed; `None` while it is not.
    #[must_use]
    pub fn done_at(&self, step: &Step, facts: &Facts) -> Option<Timestamp> {
        match step.kind {
            StepKind::AcceptTerms => facts.accepted_at,
            StepKind::PayoutMethod => facts.payout_method_at,
            StepKind::TaxProfile => facts.tax_profile_at,
            StepKind::FirstLink => facts.link_at,
            StepKind::Confirmed => self.confirmed.get(&step.code).map(|(at, _)| *at),
        }
    }

    /// Whether all required steps are completed.
    #[must_use]
    pub fn is_complete(&self, checklist: &Checklist, facts: &Facts) -> bool {
        let required = checklist.steps.iter().filter(|step| step.required);
        let mut required = required.peekable();
        required.peek().is_some() && required.all(|step| self.done_at(step, facts).is_some())
    }

    /// What there is to tell: steps completed since, and whether the partner is all set now. With it the
    /// progress once it is told.
    #[must_use]
    pub fn news(&self, checklist: &Checklist, facts: &Facts) -> Option<(Vec<String>, bool, Self)> {
        let new: Vec<String> = checklist
            .steps
            .iter()
            .filter(|step| !self.told.contains(&step.code) && self.done_at(step, facts).is_some())
            .map(|step| step.code.clone())
            .collect();
        let sets = !self.is_set && self.is_complete(checklist, facts);
        if new.is_empty() && !sets {
            return None;
        }
        let mut told = self.told.clone();
        told.extend(new.iter().cloned());
        let after = Self {
            told,
            is_set: self.is_set || sets,
            version: self.version + 1,
            ..self.clone()
        };
        Some((new, sets, after))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_told_once_and_so_is_the_end() {
        let at: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let (partner, program) = (
            PartnerId::from_bytes([1; 16]),
            ProgramId::from_bytes([2; 16]),
        );
        let step = |code: &str, kind, required| Step {
            code: code.to_owned(),
            label: code.to_owned(),
            kind,
            required,
        };
        let list = Checklist {
            program,
            steps: vec![
                step("pay", StepKind::PayoutMethod, true),
                step("course", StepKind::Confirmed, true),
                step("link", StepKind::FirstLink, false),
            ],
            version: 1,
        };
        let none = Progress::none(partner, program);
        assert_eq!(none.news(&list, &Facts::default()), None);
        let paid = Facts {
            payout_method_at: Some(at),
            ..Facts::default()
        };
        let (new, sets, after) = none.news(&list, &paid).unwrap();
        assert_eq!((new, sets), (vec!["pay".to_owned()], false));
        assert_eq!(after.news(&list, &paid), None);
        let mut trained = after;
        trained
            .confirmed
            .insert("course".to_owned(), (at, OperatorId::from_bytes([3; 16])));
        let (new, sets, after) = trained.news(&list, &paid).unwrap();
        assert_eq!((new, sets), (vec!["course".to_owned()], true));
        assert!(after.is_complete(&list, &paid));
        assert_eq!(after.news(&list, &paid), None);
        let empty = Checklist {
            steps: Vec::new(),
            ..list
        };
        assert!(
            !none.is_complete(&empty, &paid),
            "nothing asked, nothing told"
        );
    }
}
