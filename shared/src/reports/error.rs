//! What can go wrong with reports and closings.

use super::model::{NotClosable, Period};
use super::paper::PaperError;
use crate::clock::Timestamp;
use crate::edge::{Problem, codes};
use crate::ids::ProgramId;
use crate::ledger::error::LedgerError;
use crate::money::MoneyError;
use crate::table;

/// What can go wrong with reports and closings.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// No such program.
    #[error("there is no program {0}")]
    ProgramNotFound(ProgramId),
    /// The period lies before the program was made.
    #[error("the program's first period is {0}")]
    BeforeProgram(Period),
    /// The period has not ended, or only now.
    #[error("the period can be closed from {0} on")]
    NotOver(Timestamp),
    /// An earlier period is open.
    #[error("{0} has to be closed before")]
    EarlierOpen(Period),
    /// Someone else closed a period at the same moment.
    #[error("another period is being closed at the same moment")]
    Raced,
    /// A place that none of these walks wrote.
    #[error("the cursor does not belong here")]
    NoPlace,
    /// Transfers are being posted, or an index is behind.
    #[error("the list of transfers is behind the accounts")]
    Behind,
    /// A sum is beyond what can be held.
    #[error("a sum {0}")]
    Money(#[from] MoneyError),
    /// A paper cannot be written.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The table did not answer.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<NotClosable> for ReportError {
    fn from(reason: NotClosable) -> Self {
        match reason {
            NotClosable::BeforeProgram(first) => Self::BeforeProgram(first),
            NotClosable::NotOver(from) => Self::NotOver(from),
            NotClosable::EarlierOpen(period) => Self::EarlierOpen(period),
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        let told = error.to_string();
        match error {
            ReportError::ProgramNotFound(_) => Self::not_found("program"),
            ReportError::BeforeProgram(_) => Self::field(codes::OUT_OF_RANGE, "period", told),
            ReportError::NotOver(_) => Self::new(codes::PERIOD_NOT_OVER, told),
            ReportError::EarlierOpen(_) => Self::new(codes::EARLIER_PERIOD_OPEN, told),
            ReportError::Raced => Self::new(codes::CONFLICT, told),
            ReportError::NoPlace => Self::field(
                codes::CURSOR_INVALID,
                "cursor",
                codes::CURSOR_INVALID.meaning,
            ),
            ReportError::Behind => Self::new(codes::BUSY, codes::BUSY.meaning),
            ReportError::Money(error) => Self::internal(&error),
            ReportError::Paper(error) => Self::internal(&error),
            ReportError::Ledger(error) => error.into(),
            ReportError::Table(error) => error.into(),
        }
    }
}
