//! What can go wrong with questions what another plan would have paid.

use super::model::MAX_AT_WORK;
use crate::edge::{Problem, codes};
use crate::ids::{ProgramId, WhatIfId};
use crate::table;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    /// No such question, or its answer is kept no longer.
    #[error("there is no what-if {0}")]
    NotFound(WhatIfId),
    /// No such program.
    #[error("there is no program {0}")]
    ProgramNotFound(ProgramId),
    /// The span ends before it begins.
    #[error("the span ends before it begins")]
    Backwards,
    /// The span begins in the future.
    #[error("the span begins in the future")]
    InFuture,
    /// As many are at work as may be.
    #[error("{MAX_AT_WORK} what-ifs are at work; ask again when one of them is done")]
    AtWork,
    /// A place that no walk wrote.
    #[error("the cursor does not belong here")]
    NoPlace,
    /// Somebody else moved it at the same moment.
    #[error("it moved at the same moment")]
    Moved,
    /// The table did not answer.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<WhatIfError> for Problem {
    fn from(error: WhatIfError) -> Self {
        let told = error.to_string();
        match error {
            WhatIfError::NotFound(_) => Self::not_found("what-if"),
            WhatIfError::ProgramNotFound(_) => Self::not_found("program"),
            WhatIfError::Backwards => {
                Self::field(codes::OUT_OF_RANGE, "to", "does not lie after `from`")
            }
            WhatIfError::InFuture => Self::field(
                codes::TIME_IN_FUTURE,
                "from",
                "lies in the future: nothing has happened then",
            ),
            WhatIfError::AtWork => Self::new(codes::LIMIT_REACHED, told),
            WhatIfError::NoPlace => Self::field(
                codes::CURSOR_INVALID,
                "cursor",
                codes::CURSOR_INVALID.meaning,
            ),
            WhatIfError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            WhatIfError::Table(error) => error.into(),
        }
    }
}
