//! What can go wrong with merges.

use crate::commissions::error::CommissionError;
use crate::deals::error::DealError;
use crate::edge::{Problem, codes};
use crate::ids::PartnerId;
use crate::leads::error::LeadError;
use crate::ledger::error::LedgerError;
use crate::money::MoneyError;
use crate::partners::error::PartnerError;
use crate::programs::error::ProgramError;
use crate::table;

/// What can go wrong with merges.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// No such partner.
    #[error("there is no partner {0}")]
    NotFound(PartnerId),
    /// Whom it is to be merged into does not exist.
    #[error("there is no partner {0} to merge into")]
    IntoUnknown(PartnerId),
    /// A partner is not merged into itself.
    #[error("a partner is not merged into itself")]
    Itself,
    /// The partner is in more programs than can change hands at once.
    #[error("the partner is in too many programs")]
    TooManyPlaces,
    /// The partner was not merged.
    #[error("the partner was not merged")]
    None,
    /// It changed between reading and writing.
    #[error("it changed at the same moment")]
    Moved,
    /// The partners.
    #[error(transparent)]
    Partner(#[from] PartnerError),
    /// A link or coupon.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A deal.
    #[error(transparent)]
    Deal(#[from] DealError),
    /// A lead.
    #[error(transparent)]
    Lead(#[from] LeadError),
    /// The balance.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// An adjustment.
    #[error(transparent)]
    Commission(#[from] CommissionError),
    /// Amounts that come to more than one can be.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<MergeError> for Problem {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::NotFound(_) => Self::not_found("partner"),
            MergeError::IntoUnknown(_) => {
                Self::field(codes::REFERENCE_UNKNOWN, "into", "there is no such partner")
            }
            MergeError::Itself => Self::field(
                codes::INVALID,
                "into",
                "is the partner itself; name another",
            ),
            MergeError::TooManyPlaces => Self::new(
                codes::LIMIT_REACHED,
                "the partner is in more than 40 programs; no more change hands at once",
            ),
            MergeError::None => Self::not_found("merge"),
            MergeError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            MergeError::Partner(error) => error.into(),
            MergeError::Program(error) => error.into(),
            MergeError::Deal(error) => error.into(),
            MergeError::Lead(error) => error.into(),
            MergeError::Ledger(error) => error.into(),
            MergeError::Commission(error) => error.into(),
            MergeError::Money(_) => Self::new(codes::LIMIT_REACHED, codes::LIMIT_REACHED.meaning),
            MergeError::Table(error) => error.into(),
        }
    }
}
