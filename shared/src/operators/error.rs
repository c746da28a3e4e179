//! What can go wrong with operators and keys.

use super::MAX_KEYS;
use crate::edge::{Problem, codes};
use crate::ids::{KeyId, OperatorId};
use crate::table;

/// What can go wrong with operators and keys.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No such operator.
    #[error("there is no operator {0}")]
    NotFound(OperatorId),
    /// No such key of that holder.
    #[error("there is no key {0}")]
    KeyNotFound(KeyId),
    /// The id exists already.
    #[error("it exists already")]
    Exists,
    /// It is no longer the version that the change is based on.
    #[error("it has another version by now")]
    Stale,
    /// The operator would take the scope `admin` from itself.
    #[error("an admin keeps the scope")]
    OwnAdmin,
    /// The holder has as many keys in force as it may.
    #[error("there are too many keys")]
    TooManyKeys,
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::NotFound(_) => Self::not_found("operator"),
            OperatorError::KeyNotFound(_) => Self::not_found("key"),
            OperatorError::Exists => Self::new(codes::EXISTS, codes::EXISTS.meaning),
            OperatorError::Stale => Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning),
            OperatorError::OwnAdmin => Self::field(
                codes::WRONG_STATE,
                "scopes",
                "you would lock yourself out; another admin has to take `admin` from you",
            ),
            OperatorError::TooManyKeys => Self::new(
                codes::LIMIT_REACHED,
                format!("at most {MAX_KEYS} keys are in force at once; revoke one"),
            ),
            OperatorError::Table(error) => error.into(),
        }
    }
}
