//! What can go wrong with agreements.

use crate::clock::Timestamp;
use crate::edge::{Problem, codes};
use crate::partners::error::PartnerError;
use crate::table;

/// What can go wrong with agreements.
#[derive(Debug, thiserror::Error)]
pub enum AgreementError {
    /// No such program, or the partner is not in it.
    #[error("there is no such program")]
    ProgramNotFound,
    /// The program has no such version.
    #[error("there is no such version")]
    NotFound,
    /// It would hold before another that was published earlier, or in the past.
    #[error("it would hold before {0}")]
    TooEarly(Timestamp),
    /// As many versions as there may be.
    #[error("no more versions")]
    TooMany,
    /// What is accepted is another text.
    #[error("the hash is of another text")]
    HashDiffers,
    /// It changed between reading and writing.
    #[error("it changed at the same moment")]
    Moved,
    /// The partner.
    #[error(transparent)]
    Partner(#[from] PartnerError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<AgreementError> for Problem {
    fn from(error: AgreementError) -> Self {
        match error {
            AgreementError::ProgramNotFound => Self::not_found("program"),
            AgreementError::NotFound => Self::not_found("agreement"),
            AgreementError::TooEarly(at) => Self::field(
                codes::TIME_IN_PAST,
                "effective_at",
                format!("is not before {at}: the present, or when the version before takes effect"),
            ),
            AgreementError::TooMany => {
                Self::new(codes::LIMIT_REACHED, codes::LIMIT_REACHED.meaning)
            }
            AgreementError::HashDiffers => {
                Self::field(codes::HASH_MISMATCH, "hash", codes::HASH_MISMATCH.meaning)
            }
            AgreementError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            AgreementError::Partner(error) => error.into(),
            AgreementError::Table(error) => error.into(),
        }
    }
}
