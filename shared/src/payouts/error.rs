//! What can go wrong with funding accounts, batches and payouts.

use super::files::FileError;
use super::model::{PayoutState, Rail};
use crate::clock::Timestamp;
use crate::edge::{KeyringError, Problem, codes};
use crate::ids::{BatchId, PayoutId, ProgramId};
use crate::money::{Currency, MoneyError};
use crate::partners::error::PartnerError;
use crate::table::{self, TransactError};

/// What can go wrong with funding accounts, batches and payouts.
#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    /// No such funding account.
    #[error("there is no funding account {0}")]
    FundingNotFound(String),
    /// No such batch.
    #[error("there is no batch {0}")]
    BatchNotFound(BatchId),
    /// No such payout.
    #[error("there is no payout {0}")]
    PayoutNotFound(PayoutId),
    /// A change of an existing funding account without its version.
    #[error("the funding account exists; a change names its version")]
    VersionMissing,
    /// A change based on a version that is not the current one.
    #[error("the version is stale")]
    VersionStale,
    /// The named program does not exist.
    #[error("there is no program {0}")]
    ProgramUnknown(ProgramId),
    /// The named funding account does not exist.
    #[error("there is no funding account {0}")]
    FundingUnknown(String),
    /// The batch's currency is not that of its program.
    #[error("the program pays in {0}")]
    NotProgramCurrency(Currency),
    /// The funding account pays in another currency.
    #[error("the funding account pays in {0}")]
    NotFundingCurrency(Currency),
    /// A cutoff that lies ahead.
    #[error("the cutoff lies after {0}")]
    CutoffAhead(Timestamp),
    /// PayPal does not pay out in that currency.
    #[error("PayPal does not pay out in {0}")]
    CurrencyUnsupported(Currency),
    /// The funding account is no longer what the batch was made for.
    #[error(
        "the batch's funding account pays in another way by now; change it back to download the file"
    )]
    FundingChanged,
    /// The file was asked for in another format than the batch has.
    #[error("the batch's file is {}", .0.name())]
    NotItsFormat(Rail),
    /// Another batch of the program is being planned.
    #[error("batch {0} of the program is still being planned")]
    AnotherPlanning(BatchId),
    /// The file was asked for before every payout was reserved.
    #[error("the batch is still being made")]
    NotReady,
    /// The file of a batch that pays nobody.
    #[error("nobody is paid by this batch")]
    Empty,
    /// A part beyond the file's last.
    #[error("the file has {0} part(s)")]
    NoSuchPart(u64),
    /// A payout whose batch was not submitted cannot have arrived or come back.
    #[error("the payout's batch is not submitted: nothing was paid yet")]
    NotSubmitted,
    /// The payout's state does not allow that.
    #[error("the payout is {}", .0.name())]
    WrongState(PayoutState),
    /// It changed between reading and writing.
    #[error("it changed at the same moment")]
    Raced,
    /// A payee cannot be read.
    #[error(transparent)]
    Partner(#[from] PartnerError),
    /// A sealed account cannot be opened.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A sum over the limit.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The file cannot be written.
    #[error("the file cannot be written: {0}")]
    File(#[from] FileError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<TransactError> for PayoutError {
    fn from(error: TransactError) -> Self {
        match error {
            TransactError::Refused(_) => Self::Raced,
            TransactError::Table(error) => Self::Table(error),
        }
    }
}

impl From<PayoutError> for Problem {
    fn from(error: PayoutError) -> Self {
        let said = error.to_string();
        match error {
            PayoutError::FundingNotFound(_) => Self::not_found("funding account"),
            PayoutError::BatchNotFound(_) => Self::not_found("batch"),
            PayoutError::PayoutNotFound(_) => Self::not_found("payout"),
            PayoutError::NoSuchPart(_) => Self::new(codes::NOT_FOUND, said),
            PayoutError::VersionMissing => Self::new(codes::IF_MATCH_MISSING, said),
            PayoutError::VersionStale => {
                Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning)
            }
            PayoutError::ProgramUnknown(_) => {
                Self::field(codes::REFERENCE_UNKNOWN, "program", said)
            }
            PayoutError::FundingUnknown(_) => {
                Self::field(codes::REFERENCE_UNKNOWN, "funding_account", said)
            }
            PayoutError::NotProgramCurrency(_) => {
                Self::field(codes::CURRENCY_MISMATCH, "currency", said)
            }
            PayoutError::NotFundingCurrency(_) => {
                Self::field(codes::CURRENCY_MISMATCH, "funding_account", said)
            }
            PayoutError::CutoffAhead(_) => Self::field(codes::TIME_IN_FUTURE, "cutoff", said),
            PayoutError::NotItsFormat(_) => Self::field(codes::NOT_ONE_OF, "format", said),
            PayoutError::CurrencyUnsupported(_) => {
                Self::field(codes::CURRENCY_UNSUPPORTED, "currency", said)
            }
            PayoutError::NotReady => {
                Self::new(codes::BATCH_NOT_READY, codes::BATCH_NOT_READY.meaning)
            }
            PayoutError::AnotherPlanning(_)
            | PayoutError::FundingChanged
            | PayoutError::Empty
            | PayoutError::NotSubmitted
            | PayoutError::WrongState(_) => Self::new(codes::WRONG_STATE, said),
            PayoutError::Raced => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            PayoutError::Keyring(_) | PayoutError::Money(_) | PayoutError::File(_) => {
                Self::internal(&said)
            }
            PayoutError::Partner(error) => error.into(),
            PayoutError::Table(error) => error.into(),
        }
    }
}
