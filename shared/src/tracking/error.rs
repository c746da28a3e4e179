//! What can go wrong with conversions.

use crate::edge::{Problem, codes};
use crate::ids::ConversionId;
use crate::table;
use crate::tracking::model::MAX_REVERSALS;

/// What can go wrong with conversions.
#[derive(Debug, thiserror::Error)]
pub enum TrackingError {
    /// No such conversion, or not one that the caller may see.
    #[error("there is no conversion {0}")]
    NotFound(ConversionId),
    /// The transaction was reported before with other facts, in these fields.
    #[error("the transaction was reported before with other facts: {0:?}")]
    Mismatch(Vec<&'static str>),
    /// The conversion has as many reversals as are kept.
    #[error("the conversion has {MAX_REVERSALS} reversals already")]
    TooManyReversals,
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl TrackingError {
    /// The same, naming fields as the sender did: pairs of our name and its.
    #[must_use]
    pub fn in_names_of(self, renamed: &[(&'static str, &'static str)]) -> Self {
        let theirs = |ours: &'static str| {
            let pair = renamed.iter().find(|(name, _)| *name == ours);
            pair.map_or(ours, |(_, theirs)| *theirs)
        };
        match self {
            Self::Mismatch(fields) => Self::Mismatch(fields.into_iter().map(theirs).collect()),
            other => other,
        }
    }
}

impl From<TrackingError> for Problem {
    fn from(error: TrackingError) -> Self {
        match error {
            TrackingError::NotFound(_) => Self::not_found("conversion"),
            // Which fields, but not what they were: answers to postbacks reveal no amounts.
            TrackingError::Mismatch(fields) => Self::fields(
                fields
                    .into_iter()
                    .map(|field| {
                        (
                            codes::TRANSACTION_MISMATCH,
                            field.to_owned(),
                            "differs from what was reported before".to_owned(),
                        )
                    })
                    .collect(),
            ),
            TrackingError::TooManyReversals => Self::new(
                codes::WRONG_STATE,
                format!(
                    "the conversion was taken back already; at most {MAX_REVERSALS} reversals of it are kept"
                ),
            ),
            TrackingError::Table(error) => error.into(),
        }
    }
}
