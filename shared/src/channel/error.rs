//! What can go wrong with a program's channel.

use crate::edge::{Problem, codes};
use crate::ids::ProgramId;
use crate::table;

/// What can go wrong with a program's channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// No such program.
    #[error("there is no program {0}")]
    ProgramNotFound(ProgramId),
    /// The partner is not in the program.
    #[error("the partner is not enrolled in the program")]
    NotEnrolled,
    /// Nothing was said of the partner yet.
    #[error("the partner has no profile in the program")]
    ProfileNotFound,
    /// Something is there already, and the change does not say on which version it is based.
    #[error("the change does not name the version it is based on")]
    VersionMissing,
    /// It is no longer the version that the change is based on.
    #[error("it has another version by now")]
    VersionStale,
    /// It changed between reading and writing.
    #[error("it changed at the same moment")]
    Moved,
    /// A profile names what its program does not have.
    #[error("{field}: the program has no {name}")]
    Unknown {
        /// The request's field.
        field: String,
        /// What it names.
        name: String,
    },
    /// What is known of the partners is more than a program can hold.
    #[error("the program's profiles are more than it can hold")]
    Full,
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<ChannelError> for Problem {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::ProgramNotFound(_) => Self::not_found("program"),
            ChannelError::ProfileNotFound => Self::not_found("profile"),
            ChannelError::NotEnrolled => {
                Self::field(codes::NOT_ENROLLED, "program", codes::NOT_ENROLLED.meaning)
            }
            ChannelError::VersionMissing => {
                Self::new(codes::IF_MATCH_MISSING, codes::IF_MATCH_MISSING.meaning)
            }
            ChannelError::VersionStale => {
                Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning)
            }
            ChannelError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            ChannelError::Unknown { field, name } => Self::field(
                codes::REFERENCE_UNKNOWN,
                field,
                format!("the program's channel has no {name}"),
            ),
            ChannelError::Full => Self::new(codes::LIMIT_REACHED, codes::LIMIT_REACHED.meaning),
            ChannelError::Table(error) => error.into(),
        }
    }
}
