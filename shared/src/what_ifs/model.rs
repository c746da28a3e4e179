//! Questions what another plan would have paid. Pure.

use crate::clock::Timestamp;
use crate::commissions::model::Figures;
use crate::ids::{OperatorId, ProgramId, WhatIfId};
use crate::money::Currency;
use crate::plans::model::{PlanVersion, Terms};

/// Days that an answer is kept.
pub const KEPT_DAYS: u32 = 30;
/// Questions at work at the same time, in the whole installation: they share the workers of the payouts.
pub const MAX_AT_WORK: usize = 3;
/// Conversions that can be looked at together: of one partner, or of all where the plan binds them together.
pub const MAX_TOGETHER: usize = 100_000;

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// More than [`MAX_TOGETHER`] conversions, or more than can be read in one step, would have to be looked at
    /// together.
    TooMany,
    /// A sum is beyond what can be held.
    OverLimit,
    /// A line of history cannot be read.
    Unreadable,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::TooMany, Self::OverLimit, Self::Unreadable];

    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooMany => "too_many_conversions",
            Self::OverLimit => "over_limit",
            Self::Unreadable => "unreadable",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::TooMany => {
                "more conversions than 100,000, or than are read in one step, would have to be looked at together; ask of a shorter time, or run `tributary-local what-if` over an export"
            }
            Self::OverLimit => "a sum would be beyond what can be held",
            Self::Unreadable => "a line of history cannot be read; the log of payout-run names it",
        }
    }
}

/// How far a question has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its first step, or is at work.
    Running,
    /// It is answered.
    Done,
    /// It has no answer.
    Failed(Failure),
}

impl Stage {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed(_) => "failed",
        }
    }
}

/// What another plan would have paid in a span of time, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhatIf {
    /// Which question.
    pub id: WhatIfId,
    /// Of which program.
    pub program: ProgramId,
    /// Its currency.
    pub currency: Currency,
    /// What the other plan pays.
    pub terms: Terms,
    /// From when on it is asked; the plan begins there.
    pub from: Timestamp,
    /// Until when, the instant not included.
    pub to: Timestamp,
    /// The plan in whose place it would have paid; all plans' unless told.
    pub replaces: Option<String>,
    /// Who asked.
    pub by: OperatorId,
    /// When.
    pub at: Timestamp,
    /// How far it has come.
    pub stage: Stage,
    /// When it came so far.
    pub moved_at: Timestamp,
    /// The position of the last partner that was looked at.
    pub after: String,
    /// Partners that were looked at.
    pub partners: u64,
    /// Lines of history that were read.
    pub lines: u64,
    /// What all partners come to until now.
    pub total: Figures,
    /// Counts changes.
    pub version: u64,
}

impl WhatIf {
    /// The plan that is asked, as a version that begins where the span begins.
    #[must_use]
    pub fn plan(&self) -> PlanVersion {
        PlanVersion {
            program: self.program,
            code: "what-if".to_owned(),
            version: 1,
            effective_from: self.from,
            hold_days: 0,
            terms: self.terms.clone(),
            created_at: self.at,
        }
    }
}
