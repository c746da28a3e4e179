//! What can go wrong with onboarding.

use crate::edge::{Problem, codes};
use crate::partners::error::PartnerError;
use crate::programs::error::ProgramError;
use crate::table;

/// What can go wrong with onboarding.
#[derive(Debug, thiserror::Error)]
pub enum OnboardingError {
    /// No such program.
    #[error("there is no such program")]
    ProgramNotFound,
    /// The partner is not in the program.
    #[error("the partner is not in the program")]
    NotEnrolled,
    /// The program has no such step, or one that something else completes.
    #[error("there is no such step to confirm")]
    StepNotFound,
    /// A checklist stands there, and the change does not say which version it replaces.
    #[error("the version is not named")]
    VersionMissing,
    /// It is no longer the version that the change is based on.
    #[error("it has another version by now")]
    Stale,
    /// It changed between reading and writing.
    #[error("it changed at the same moment")]
    Moved,
    /// The partner.
    #[error(transparent)]
    Partner(#[from] PartnerError),
    /// The program's links.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<OnboardingError> for Problem {
    fn from(error: OnboardingError) -> Self {
        match error {
            OnboardingError::ProgramNotFound => Self::not_found("program"),
            OnboardingError::NotEnrolled => {
                Self::field(codes::NOT_ENROLLED, "program", codes::NOT_ENROLLED.meaning)
            }
            OnboardingError::StepNotFound => Self::not_found("step to confirm"),
            OnboardingError::VersionMissing => {
                Self::new(codes::IF_MATCH_MISSING, codes::IF_MATCH_MISSING.meaning)
            }
            OnboardingError::Stale => Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning),
            OnboardingError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            OnboardingError::Partner(error) => error.into(),
            OnboardingError::Program(error) => error.into(),
            OnboardingError::Table(error) => error.into(),
        }
    }
}
