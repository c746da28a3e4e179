//! What can go wrong with uploads.

use super::model::{HeaderFault, MAX_PARTS, Stage};
use crate::edge::{Problem, codes};
use crate::ids::UploadId;
use crate::table;

/// What can go wrong with uploads.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No such upload, or it is kept no longer.
    #[error("there is no upload {0}")]
    NotFound(UploadId),
    /// What an upload names as its program does not exist.
    #[error("there is no such program")]
    ProgramUnknown,
    /// A part's number is none.
    #[error("a part's number is from 1 to {MAX_PARTS}")]
    PartNumber,
    /// A part of nothing.
    #[error("a part has at least one byte")]
    PartEmpty,
    /// Parts that are not there, of as many as there have to be.
    #[error("parts are missing: {0:?}")]
    PartsMissing(Vec<usize>),
    /// The file is in another encoding.
    #[error("the file is not UTF-8")]
    NotUtf8,
    /// The file's first row does not name columns of that kind, which are these.
    #[error("the header is wrong: {0:?}")]
    Header(Vec<HeaderFault>, Vec<&'static str>),
    /// It takes no parts any more, or has ended.
    #[error("it is {}", .0.name())]
    WrongState(Stage),
    /// Somebody else moved it at the same moment.
    #[error("it moved at the same moment")]
    Moved,
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        let told = error.to_string();
        match error {
            ImportError::NotFound(_) => Self::not_found("import"),
            ImportError::ProgramUnknown => {
                Self::field(codes::REFERENCE_UNKNOWN, "program", "is no program")
            }
            ImportError::PartNumber => Self::field(
                codes::OUT_OF_RANGE,
                "number",
                format!("is from 1 to {MAX_PARTS}"),
            ),
            ImportError::PartEmpty => Self::field(codes::TOO_SHORT, "body", told),
            ImportError::PartsMissing(missing) => {
                let missing: Vec<String> = missing.iter().map(usize::to_string).collect();
                let reason = format!("were not sent: {}", missing.join(", "));
                Self::field(codes::PARTS_MISSING, "parts", reason)
            }
            ImportError::NotUtf8 => Self::new(
                codes::MALFORMED_BODY,
                "the file is not UTF-8 text; save it as CSV in UTF-8",
            ),
            ImportError::Header(faults, known) => Self::fields(
                faults
                    .into_iter()
                    .map(|fault| header_fault(fault, &known))
                    .collect(),
            ),
            ImportError::WrongState(stage) => Self::new(
                codes::WRONG_STATE,
                format!("the import is {}", stage.name()),
            ),
            ImportError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            ImportError::Table(error) => error.into(),
        }
    }
}

fn header_fault(fault: HeaderFault, known: &[&'static str]) -> (crate::edge::Code, String, String) {
    let known = known.join(", ");
    match fault {
        HeaderFault::Unreadable => (
            codes::REQUIRED,
            "header".to_owned(),
            format!("the first row names the columns; known are: {known}"),
        ),
        HeaderFault::Unknown(name) => (
            codes::UNKNOWN_FIELD,
            // A column without a name is told by that.
            Some(name)
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "header".to_owned()),
            format!("is no column of this kind; known are: {known}"),
        ),
        HeaderFault::Twice(name) => (
            codes::UNKNOWN_FIELD,
            name,
            "stands in the header twice".to_owned(),
        ),
    }
}
