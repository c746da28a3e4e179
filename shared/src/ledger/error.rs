//! What can go wrong in reading the ledger.

use crate::edge::{Problem, codes};
use crate::money::MoneyError;
use crate::table;

/// Why the ledger does not answer.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The period holds more transfers than one answer can.
    #[error("the period holds more than {most} transfers")]
    PeriodTooLong {
        /// The most there may be.
        most: usize,
    },
    /// Transfers are being posted, or an index is behind, so that the figures do not add up just now.
    #[error("the list of transfers is behind the accounts")]
    Behind,
    /// A sum is beyond what can be held.
    #[error("a balance {0}")]
    Money(#[from] MoneyError),
    /// The table did not answer.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::PeriodTooLong { .. } => Self::field(
                codes::OUT_OF_RANGE,
                "from",
                format!("{error}; ask for a shorter one"),
            ),
            LedgerError::Behind => Self::new(codes::BUSY, codes::BUSY.meaning),
            LedgerError::Money(error) => Self::internal(&error),
            LedgerError::Table(error) => error.into(),
        }
    }
}
