//! What can go wrong with commissions.

use crate::edge::{Problem, codes};
use crate::ids::{ConversionId, PartnerId};
use crate::money::MoneyError;
use crate::table;

/// What can go wrong with commissions.
#[derive(Debug, thiserror::Error)]
pub enum CommissionError {
    /// No such commission, or not one that the caller may see.
    #[error("there is no commission {0}")]
    NotFound(ConversionId),
    /// What a request names as a program does not exist.
    #[error("there is no such program")]
    ProgramUnknown,
    /// The partner is not in the program.
    #[error("the partner {0} is not in the program")]
    NotEnrolled(PartnerId),
    /// The adjustment's id stands for another one.
    #[error("the adjustment was made before with other facts")]
    Mismatch,
    /// Its hold has passed, or there is nothing to hold.
    #[error("it is not held")]
    NotHeld,
    /// It changed between reading and writing.
    #[error("it changed meanwhile")]
    Moved,
    /// A sum beyond what can be held.
    #[error("an amount {0}")]
    Money(#[from] MoneyError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<CommissionError> for Problem {
    fn from(error: CommissionError) -> Self {
        match error {
            CommissionError::NotFound(_) => Self::not_found("commission"),
            CommissionError::ProgramUnknown => Self::field(
                codes::REFERENCE_UNKNOWN,
                "program",
                codes::REFERENCE_UNKNOWN.meaning,
            ),
            CommissionError::NotEnrolled(_) => {
                Self::field(codes::NOT_ENROLLED, "partner", codes::NOT_ENROLLED.meaning)
            }
            CommissionError::Mismatch => Self::field(
                codes::ADJUSTMENT_MISMATCH,
                "adjustment_id",
                codes::ADJUSTMENT_MISMATCH.meaning,
            ),
            CommissionError::NotHeld => Self::new(
                codes::WRONG_STATE,
                "a payout has it or had it while it was corrected, or nothing of it is left, or it is payable already",
            ),
            CommissionError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            CommissionError::Money(error) => Self::internal(&error),
            CommissionError::Table(error) => error.into(),
        }
    }
}
