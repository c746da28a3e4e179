//! What can go wrong with registered claims.

use crate::edge::{Problem, codes};
use crate::ids::{ClaimId, ProgramId};
use crate::table;

/// What can go wrong with registered claims.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// No such program.
    #[error("there is no program {0}")]
    ProgramNotFound(ProgramId),
    /// No such claim, or another's.
    #[error("there is no claim {0}")]
    NotFound(ClaimId),
    /// The partner is not in the program.
    #[error("the partner is not enrolled in the program")]
    NotEnrolled,
    /// The partner is suspended.
    #[error("the partner is suspended")]
    PartnerSuspended,
    /// A product line that the program does not have.
    #[error("the program has no product line {1}, named at {0}")]
    ProductLineUnknown(usize, String),
    /// It would end before it begins.
    #[error("it would end before it begins")]
    Backwards,
    /// It has ended already.
    #[error("it has ended already")]
    Ended,
    /// The customer has as many accounts and opportunities as it may have.
    #[error("the customer has too many open opportunities")]
    TooMany,
    /// The partner named as many customers as it may name in a day.
    #[error("the partner named too many customers today")]
    DailyLimit,
    /// Somebody else registered the same customer at the same moment, again and again.
    #[error("it changed at the same moment")]
    Moved,
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<ClaimError> for Problem {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::ProgramNotFound(_) => Self::not_found("program"),
            ClaimError::NotFound(_) => Self::not_found("claim"),
            ClaimError::NotEnrolled => {
                Self::field(codes::NOT_ENROLLED, "partner", codes::NOT_ENROLLED.meaning)
            }
            ClaimError::PartnerSuspended => Self::field(
                codes::PARTNER_SUSPENDED,
                "partner",
                codes::PARTNER_SUSPENDED.meaning,
            ),
            ClaimError::ProductLineUnknown(position, name) => Self::field(
                codes::REFERENCE_UNKNOWN,
                format!("product_lines[{position}]"),
                format!("the program's channel has no {name}"),
            ),
            ClaimError::Backwards => {
                Self::field(codes::RANGE_EMPTY, "until", "is not after `from`")
            }
            ClaimError::Ended => Self::new(codes::WRONG_STATE, "the claim has ended already"),
            ClaimError::TooMany => Self::new(
                codes::LIMIT_REACHED,
                "the customer has as many open opportunities as one may have; end some",
            ),
            ClaimError::DailyLimit => Self::new(codes::DAILY_LIMIT, codes::DAILY_LIMIT.meaning),
            ClaimError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            ClaimError::Table(error) => error.into(),
        }
    }
}
