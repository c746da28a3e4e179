//! What can go wrong with mails.

use crate::edge::{MailError, Problem, codes};
use crate::partners::error::PartnerError;
use crate::table;

/// Why not all were told of an event; it comes again.
#[derive(Debug, thiserror::Error)]
pub enum MailFailure {
    /// Somebody else is sending it right now, or died over it.
    #[error("another delivery holds the mail")]
    Held,
    /// The message that goes on was not taken.
    #[error("the queue did not take what goes on")]
    Queue,
    /// The mail service.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The partner.
    #[error(transparent)]
    Partner(#[from] PartnerError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

/// What can go wrong with whom a program tells.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// No such program.
    #[error("there is no such program")]
    NotFound,
    /// The operator at that position does not exist.
    #[error("there is no operator {0}")]
    OperatorUnknown(usize),
    /// A list stands there, and the change does not say which version it replaces.
    #[error("the version is not named")]
    VersionMissing,
    /// It is no longer the version that the change is based on.
    #[error("it has another version by now")]
    Stale,
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<NotifyError> for Problem {
    fn from(error: NotifyError) -> Self {
        match error {
            NotifyError::NotFound => Self::not_found("program"),
            NotifyError::OperatorUnknown(position) => Self::field(
                codes::REFERENCE_UNKNOWN,
                format!("operators[{position}]"),
                "there is no such operator",
            ),
            NotifyError::VersionMissing => {
                Self::new(codes::IF_MATCH_MISSING, codes::IF_MATCH_MISSING.meaning)
            }
            NotifyError::Stale => Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning),
            NotifyError::Table(error) => error.into(),
        }
    }
}
