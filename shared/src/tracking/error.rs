//! What can go wrong with conversions.

use crate::edge::{Problem, codes};
use crate::ids::ConversionId;
use crate::table;
use crate::tracking::model::{ChangeFault, MAX_AMENDMENTS, MAX_REVERSALS};

/// Which change of a conversion was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A reversal.
    Reversal,
    /// An amendment.
    Amendment,
}

/// What can go wrong with conversions.
#[derive(Debug, thiserror::Error)]
pub enum TrackingError {
    /// No such conversion, or not one that the caller may see.
    #[error("there is no conversion {0}")]
    NotFound(ConversionId),
    /// The transaction was reported before with other facts, in these fields.
    #[error("the transaction was reported before with other facts: {0:?}")]
    Mismatch(Vec<&'static str>),
    /// A change that does not fit what stands there.
    #[error("the {0:?} does not fit: {1:?}")]
    Change(ChangeKind, ChangeFault),
    /// Others changed the conversion all the time.
    #[error("others change the conversion all the time")]
    Contended,
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

    /// The same without saying what is left: answers to postbacks reveal no amounts.
    #[must_use]
    pub fn without_amounts(self) -> Self {
        match self {
            Self::Change(kind, ChangeFault::Over { .. }) => {
                Self::Change(kind, ChangeFault::Over { left: None })
            }
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
            TrackingError::Change(kind, fault) => refused(kind, fault),
            TrackingError::Contended => Self::new(codes::BUSY, codes::BUSY.meaning),
            TrackingError::Table(error) => error.into(),
        }
    }
}

fn refused(kind: ChangeKind, fault: ChangeFault) -> Problem {
    let (mismatch, id, most, several) = match kind {
        ChangeKind::Reversal => (
            codes::REVERSAL_MISMATCH,
            "reversal_id",
            MAX_REVERSALS,
            "reversals",
        ),
        ChangeKind::Amendment => (
            codes::AMENDMENT_MISMATCH,
            "amendment_id",
            MAX_AMENDMENTS,
            "amendments",
        ),
    };
    match fault {
        ChangeFault::Mismatch => Problem::field(mismatch, id, mismatch.meaning),
        ChangeFault::Currency => Problem::field(
            codes::CURRENCY_MISMATCH,
            "currency",
            "is not the conversion's",
        ),
        ChangeFault::Nothing => {
            let reason = "is more than zero; without it all that is left is taken back";
            Problem::field(codes::OUT_OF_RANGE, "amount", reason)
        }
        ChangeFault::Over { left } => {
            let reason = left.map_or_else(
                || "is more than what is left of the conversion's amount".to_owned(),
                |left| format!("is more than what is left: {left} {}", left.currency()),
            );
            Problem::field(codes::REVERSAL_OVER_ORIGINAL, "amount", reason)
        }
        ChangeFault::NoAmount => Problem::field(
            codes::REVERSAL_OVER_ORIGINAL,
            "amount",
            "the conversion has no amount that a part could be taken of; leave it out to take all back",
        ),
        ChangeFault::BelowReversed { reversed } => Problem::field(
            codes::AMENDMENT_BELOW_REVERSED,
            "amount",
            format!(
                "is less than what was taken back: {reversed} {}",
                reversed.currency()
            ),
        ),
        ChangeFault::Void => Problem::new(
            codes::WRONG_STATE,
            "the conversion was taken back as a whole, so its amount is of no account any more",
        ),
        ChangeFault::TooMany => Problem::new(
            codes::LIMIT_REACHED,
            format!("at most {most} {several} of a conversion are kept"),
        ),
    }
}
