//! What can go wrong with signing in.

use super::model::Unfit;
use crate::edge::{KeyringError, MailError, Problem, codes};
use crate::operators::error::OperatorError;
use crate::partners::error::PartnerError;
use crate::table;

/// What can go wrong with signing in and with sessions.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Too many links were asked for with that address, or from that network, within an hour.
    #[error("too many links were asked for")]
    TooMany,
    /// The link signs nobody in.
    #[error("the link is not good: {0:?}")]
    Link(Unfit),
    /// The address is none of that person's, or the person may not enter.
    #[error("the address is nobody's who may enter")]
    Nobody,
    /// No such session of that person.
    #[error("there is no such session")]
    NotFound,
    /// The keyring does not open what it sealed.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The mail service.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// Operators.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// Partners.
    #[error(transparent)]
    Partner(#[from] PartnerError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::TooMany => Self::new(codes::RATE_LIMITED, codes::RATE_LIMITED.meaning),
            SessionError::Link(_) | SessionError::Nobody => {
                Self::new(codes::TOKEN_UNUSABLE, codes::TOKEN_UNUSABLE.meaning)
            }
            SessionError::NotFound => Self::not_found("session"),
            SessionError::Keyring(error) => Self::internal(&error),
            SessionError::Mail(error) => Self::internal(&error),
            SessionError::Operator(error) => error.into(),
            SessionError::Partner(error) => error.into(),
            SessionError::Table(error) => error.into(),
        }
    }
}
