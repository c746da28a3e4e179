//! What can go wrong with invoices.

use crate::edge::{KeyringError, Problem, codes};
use crate::ids::{InvoiceId, ProgramId};
use crate::money::MoneyError;
use crate::partners::error::PartnerError;
use crate::table::{self, TransactError};

/// What can go wrong with invoices.
#[derive(Debug, thiserror::Error)]
pub enum InvoiceError {
    /// No such program.
    #[error("there is no program {0}")]
    ProgramNotFound(ProgramId),
    /// The program has no settings for invoices.
    #[error("the program has no settings for invoices")]
    NoSettings,
    /// No such invoice.
    #[error("there is no invoice {0}")]
    NotFound(InvoiceId),
    /// A change of settings without their version.
    #[error("the settings exist; a change names their version")]
    VersionMissing,
    /// A change based on a version that is not the current one.
    #[error("the version is stale")]
    Stale,
    /// It changed between reading and writing.
    #[error("it changed at the same moment")]
    Raced,
    /// A partner cannot be read.
    #[error(transparent)]
    Partner(#[from] PartnerError),
    /// What is sealed cannot be sealed or opened.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A sum over the limit.
    #[error("an amount {0}")]
    Money(#[from] MoneyError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<TransactError> for InvoiceError {
    fn from(error: TransactError) -> Self {
        match error {
            TransactError::Refused(_) => Self::Raced,
            TransactError::Table(error) => Self::Table(error),
        }
    }
}

impl From<InvoiceError> for Problem {
    fn from(error: InvoiceError) -> Self {
        match error {
            InvoiceError::ProgramNotFound(_) => Self::not_found("program"),
            InvoiceError::NoSettings => Self::not_found("invoicing"),
            InvoiceError::NotFound(_) => Self::not_found("invoice"),
            InvoiceError::VersionMissing => {
                Self::new(codes::IF_MATCH_MISSING, codes::IF_MATCH_MISSING.meaning)
            }
            InvoiceError::Stale => Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning),
            InvoiceError::Raced => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            InvoiceError::Partner(error) => error.into(),
            InvoiceError::Keyring(error) => Self::internal(&error),
            InvoiceError::Money(error) => Self::internal(&error),
            InvoiceError::Table(error) => error.into(),
        }
    }
}
