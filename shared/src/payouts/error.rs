//! What can go wrong with funding accounts, batches and payouts.

use super::files::FileError;
use super::files::returns::ReturnFileError;
use super::model::{NoApproval, PayoutState, Rail};
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
    /// No such program.
    #[error("there is no program {0}")]
    ProgramNotFound(ProgramId),
    /// The program has no schedule.
    #[error("program {0} has no payout schedule")]
    ScheduleNotFound(ProgramId),
    /// A change of something that exists without its version.
    #[error("it exists; a change names its version")]
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
    /// A batch of the same program, cutoff and paying account.
    #[error(
        "batch {0} pays the program's partners up to that cutoff from that account; ask for a later cutoff"
    )]
    PeriodTaken(BatchId),
    /// Not a time zone.
    #[error("is not a time zone of the IANA database, such as Europe/Berlin")]
    TimeZoneUnknown,
    /// The amount above which a second person is asked, changed by somebody who makes batches.
    #[error("approval_above is changed by operators with the scope admin")]
    ApprovalGuarded,
    /// An approval that is none.
    #[error("{}", no_approval(.0))]
    NoApproval(NoApproval),
    /// The file of a batch that waits for a second person.
    #[error("the batch pays more than is paid without a second person's approval")]
    ApprovalMissing,
    /// The file of a batch that was called off.
    #[error("the batch is cancelled")]
    CalledOff,
    /// A batch whose file was downloaded cannot be called off.
    #[error("the batch is submitted: each of its payouts is settled or returned")]
    Submitted,
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
    /// A return file that cannot be read as a whole.
    #[error(transparent)]
    ReturnFile(#[from] ReturnFileError),
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
    /// The bytes of a part are not those that were downloaded first.
    #[error(
        "part {0} would not be byte for byte what was downloaded first; use that file, or the version that wrote it"
    )]
    FileDiffers(u64),
    /// The file's writer.
    #[error("the file cannot be written: {0}")]
    File(#[from] FileError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

fn no_approval(why: &NoApproval) -> String {
    match why {
        NoApproval::Maker => codes::APPROVAL_BY_MAKER.meaning.to_owned(),
        NoApproval::NotReady => codes::BATCH_NOT_READY.meaning.to_owned(),
        NoApproval::NotNeeded(stage) => {
            format!("the batch is {} and waits for no approval", stage.name())
        }
    }
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
            PayoutError::ProgramNotFound(_) => Self::not_found("program"),
            PayoutError::ScheduleNotFound(_) => Self::not_found("payout schedule"),
            PayoutError::PeriodTaken(_) => Self::new(codes::PERIOD_TAKEN, said),
            PayoutError::TimeZoneUnknown => {
                Self::field(codes::TIME_ZONE_UNKNOWN, "time_zone", said)
            }
            PayoutError::ApprovalGuarded => Self::new(codes::FORBIDDEN, said),
            PayoutError::NoApproval(NoApproval::Maker) => Self::new(codes::APPROVAL_BY_MAKER, said),
            PayoutError::NoApproval(NoApproval::NotReady) => {
                Self::new(codes::BATCH_NOT_READY, said)
            }
            PayoutError::ApprovalMissing => Self::new(codes::APPROVAL_MISSING, said),
            PayoutError::ReturnFile(ReturnFileError::TooMany) => Self::new(codes::TOO_LONG, said),
            PayoutError::ReturnFile(ReturnFileError::NotThatFormat(_)) => {
                Self::new(codes::RETURN_FILE_UNREADABLE, said)
            }
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
            | PayoutError::NoApproval(NoApproval::NotNeeded(_))
            | PayoutError::CalledOff
            | PayoutError::Submitted
            | PayoutError::FundingChanged
            | PayoutError::Empty
            | PayoutError::NotSubmitted
            | PayoutError::WrongState(_) => Self::new(codes::WRONG_STATE, said),
            PayoutError::FileDiffers(_) => Self::new(codes::FILE_DIFFERS, said),
            PayoutError::Raced => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            PayoutError::Keyring(_) | PayoutError::Money(_) | PayoutError::File(_) => {
                Self::internal(&said)
            }
            PayoutError::Partner(error) => error.into(),
            PayoutError::Table(error) => error.into(),
        }
    }
}
