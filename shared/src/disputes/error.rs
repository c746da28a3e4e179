//! What can go wrong with disputes.

use crate::claims::model::Unattributed;
use crate::clock::Timestamp;
use crate::commissions::error::CommissionError;
use crate::disputes::model::{DecisionFault, REASONS, Verdict};
use crate::edge::{Problem, codes};
use crate::ids::DisputeId;
use crate::table;
use crate::tracking::error::TrackingError;
use crate::tracking::model::{MAX_AHEAD_MINUTES, TimeFault};

/// What can go wrong with disputes.
#[derive(Debug, thiserror::Error)]
pub enum DisputeError {
    /// No such dispute, or not the caller's.
    #[error("there is no dispute {0}")]
    NotFound(DisputeId),
    /// What a dispute names as its program does not exist, or the partner is not in it.
    #[error("the partner is in no such program")]
    ProgramUnknown,
    /// What a dispute names as its conversion is none of the partner's in that program.
    #[error("the partner has no such conversion")]
    ConversionUnknown,
    /// The event lies ahead.
    #[error("the event lies ahead")]
    InFuture,
    /// The event could be disputed until then.
    #[error("the event could be disputed until {0}")]
    Late(Timestamp),
    /// The partner has an open dispute about it.
    #[error("an open dispute about it stands there: {0:?}")]
    Open(Option<DisputeId>),
    /// It cannot be decided so.
    #[error("it cannot be decided so: {0:?}, {1:?}")]
    Decision(DecisionFault, Verdict),
    /// It has ended, so it cannot be withdrawn.
    #[error("it has ended")]
    Ended,
    /// A conversion of that transaction stands there, so none can be recorded.
    #[error("a conversion of that transaction stands there")]
    ConversionExists,
    /// The conversion to amend is not credited to the partner.
    #[error("the conversion is not credited to the partner")]
    NotCredited,
    /// It is no longer the version that the decision is based on.
    #[error("it has another version by now")]
    Stale,
    /// Something changed between reading and writing.
    #[error("something changed at the same moment")]
    Moved,
    /// The conversion cannot be amended so.
    #[error("the conversion cannot be amended so: {0}")]
    Amendment(TrackingError),
    /// The adjustment cannot be made.
    #[error(transparent)]
    Adjustment(CommissionError),
    /// The conversion to record would be credited to nobody.
    #[error("nobody would be credited: {0:?}")]
    Unattributed(Unattributed),
    /// Conversions.
    #[error(transparent)]
    Tracking(#[from] TrackingError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<TimeFault> for DisputeError {
    fn from(_: TimeFault) -> Self {
        Self::InFuture
    }
}

impl From<DisputeError> for Problem {
    fn from(error: DisputeError) -> Self {
        match error {
            DisputeError::NotFound(_) => Self::not_found("dispute"),
            DisputeError::ProgramUnknown => Self::field(
                codes::REFERENCE_UNKNOWN,
                "program",
                "is no program that you are in",
            ),
            DisputeError::ConversionUnknown => Self::field(
                codes::REFERENCE_UNKNOWN,
                "conversion",
                "is no conversion of yours in the program; name one that is not by its transaction_id",
            ),
            DisputeError::InFuture => Self::field(
                codes::TIME_IN_FUTURE,
                "occurred_at",
                format!("lies more than {MAX_AHEAD_MINUTES} minutes ahead"),
            ),
            DisputeError::Late(until) => Self::field(
                codes::DISPUTE_LATE,
                "occurred_at",
                format!("could be disputed until {until}"),
            ),
            DisputeError::Open(standing) => {
                let standing = standing.map(|id| format!(": {id}")).unwrap_or_default();
                let detail = format!("you have an open dispute about it{standing}");
                Self::new(codes::DISPUTE_OPEN, detail)
            }
            DisputeError::Decision(fault, verdict) => refused(fault, verdict),
            DisputeError::Ended => Self::new(codes::WRONG_STATE, "the dispute has ended"),
            DisputeError::ConversionExists => Self::field(
                codes::EXISTS,
                "conversion.transaction_id",
                "a conversion of that transaction stands there; amend it, or record another one under an id of its own",
            ),
            DisputeError::NotCredited => Self::field(
                codes::WRONG_STATE,
                "amendment",
                "the conversion is not credited to the partner; record one for it",
            ),
            DisputeError::Stale => Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning),
            DisputeError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            DisputeError::Amendment(error) => Self::from(error).within("amendment"),
            DisputeError::Adjustment(error) => Self::from(error).within("adjustment"),
            DisputeError::Unattributed(reason) => Self::field(
                codes::WRONG_STATE,
                "conversion",
                format!("would be credited to nobody: {}", reason.meaning()),
            ),
            DisputeError::Tracking(error) => error.into(),
            DisputeError::Table(error) => error.into(),
        }
    }
}

fn refused(fault: DecisionFault, verdict: Verdict) -> Problem {
    match fault {
        DecisionFault::Ended => Problem::new(codes::WRONG_STATE, "the dispute has ended"),
        DecisionFault::Reason => {
            let fitting = REASONS.iter().filter(|(_, reason)| reason.fits(verdict));
            let names: Vec<&str> = fitting.map(|(name, _)| *name).collect();
            let reason = format!("is for this outcome one of: {}", names.join(", "));
            Problem::field(codes::NOT_ONE_OF, "reason", reason)
        }
        DecisionFault::RemedyMissing => Problem::field(
            codes::REQUIRED,
            "conversion",
            "what is upheld states a `conversion` to record, an `amendment` or an `adjustment`",
        ),
        DecisionFault::RemedyForNothing => Problem::field(
            codes::UNKNOWN_FIELD,
            "outcome",
            "what is declined records nothing and amends nothing",
        ),
    }
}
