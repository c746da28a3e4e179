//! What can go wrong with programs, plans, links and coupons.

use super::model::DestinationError;
use crate::edge::{Code, KeyringError, Problem, codes};
use crate::ids::{CouponId, LinkId, ProgramId};
use crate::partners::error::PartnerError;
use crate::table;

/// What can go wrong with programs, plans, links and coupons.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// No such program.
    #[error("there is no program {0}")]
    NotFound(ProgramId),
    /// No such plan in the program.
    #[error("there is no plan {0}")]
    PlanNotFound(String),
    /// No such link.
    #[error("there is no link {0}")]
    LinkNotFound(LinkId),
    /// No such coupon.
    #[error("there is no coupon {0}")]
    CouponNotFound(CouponId),
    /// What a request names as its program does not exist.
    #[error("the program does not exist")]
    ProgramUnknown,
    /// The partner has not accepted the terms in force, which say that it makes no links until it has.
    #[error("the terms in force are not accepted")]
    TermsNotAccepted,
    /// Another link or coupon has the code.
    #[error("another one has that code")]
    CodeTaken,
    /// Somebody else made the plan's next version at the same moment.
    #[error("another version was made at the same moment")]
    VersionTaken,
    /// What a request names as its plan does not exist in the program.
    #[error("the program has no plan {0}")]
    PlanUnknown(String),
    /// More plans over time than a link or program may name.
    #[error("it names too many plans")]
    TooManyPlans,
    /// A plan's later version, or another plan for one who has one, effective before now.
    #[error("what was computed already would change")]
    EffectiveInPast {
        /// The request's field.
        field: &'static str,
    },
    /// It is no longer the version that the change is based on.
    #[error("it has another version by now")]
    Stale,
    /// It changed between reading and writing.
    #[error("it changed at the same moment")]
    Moved,
    /// More secrets would be good at once than may be.
    #[error("too many rotated-out secrets are still good")]
    SecretsLimit,
    /// An address that visitors cannot be sent to.
    #[error("{field} {error}")]
    Destination {
        /// The request's field.
        field: &'static str,
        /// Why.
        error: DestinationError,
    },
    /// About the partner whom a link or coupon is for.
    #[error(transparent)]
    Partner(#[from] PartnerError),
    /// A secret could not be sealed.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<&DestinationError> for Code {
    fn from(error: &DestinationError) -> Self {
        match error {
            DestinationError::Malformed => codes::URL_MALFORMED,
            DestinationError::NotHttps => codes::DESTINATION_NOT_HTTPS,
            DestinationError::HostRefused => codes::DESTINATION_HOST_REFUSED,
            DestinationError::PlaceholderUnknown(_) => codes::PLACEHOLDER_UNKNOWN,
        }
    }
}

impl From<ProgramError> for Problem {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::NotFound(_) => Self::not_found("program"),
            ProgramError::PlanNotFound(_) => Self::not_found("plan"),
            ProgramError::LinkNotFound(_) => Self::not_found("link"),
            ProgramError::CouponNotFound(_) => Self::not_found("coupon"),
            ProgramError::ProgramUnknown => Self::field(
                codes::REFERENCE_UNKNOWN,
                "program",
                "there is no such program",
            ),
            ProgramError::CodeTaken => Self::field(
                codes::CODE_TAKEN,
                "code",
                "another one has that code; choose another",
            ),
            ProgramError::VersionTaken | ProgramError::Moved => {
                Self::new(codes::CONFLICT, codes::CONFLICT.meaning)
            }
            ProgramError::PlanUnknown(code) => Self::field(
                codes::REFERENCE_UNKNOWN,
                "plan",
                format!("the program has no plan {code}"),
            ),
            ProgramError::TooManyPlans => {
                Self::new(codes::LIMIT_REACHED, codes::LIMIT_REACHED.meaning)
            }
            ProgramError::EffectiveInPast { field } => Self::effective_in_past(field),
            ProgramError::Stale => Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning),
            ProgramError::SecretsLimit => Self::new(
                codes::LIMIT_REACHED,
                "too many rotated-out secrets are still good; wait for one to end, or rotate with `overlap_hours` 0",
            ),
            ProgramError::Destination { field, error } => {
                Self::field((&error).into(), field, error.to_string())
            }
            ProgramError::TermsNotAccepted => {
                Self::new(codes::TERMS_NOT_ACCEPTED, codes::TERMS_NOT_ACCEPTED.meaning)
            }
            ProgramError::Partner(error) => error.into(),
            ProgramError::Keyring(error) => Self::internal(&error),
            ProgramError::Table(error) => error.into(),
        }
    }
}
