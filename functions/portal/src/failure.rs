//! What a page cannot show: a problem of the API, as it is told to people.

use axum::http::StatusCode;
use serde_json::Value;
use tributary::edge::{Problem, codes};
use tributary::sessions::error::SessionError;

/// A field of a form that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Its path, such as `customer.email`.
    pub field: String,
    /// The stable code.
    pub code: String,
    /// The reason, in the API's words.
    pub reason: String,
}

/// A problem of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The status.
    pub status: StatusCode,
    /// The stable code.
    pub code: String,
    /// What is the matter, in the API's words.
    pub detail: String,
    /// Every field that is wrong.
    pub errors: Vec<Wrong>,
}

/// Why a page is not shown.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The API refuses.
    Problem(Box<Told>),
    /// Nobody is signed in, or nobody any more.
    SignedOut,
}

impl Failure {
    /// What the API answered with.
    #[must_use]
    pub fn of(status: StatusCode, body: &Value) -> Self {
        if status == StatusCode::UNAUTHORIZED {
            return Self::SignedOut;
        }
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let errors = body["errors"].as_array().into_iter().flatten();
        Self::Problem(Box::new(Told {
            status,
            code: text(body, "code"),
            detail: text(body, "detail"),
            errors: errors
                .map(|error| Wrong {
                    field: text(error, "field"),
                    code: text(error, "code"),
                    reason: text(error, "reason"),
                })
                .collect(),
        }))
    }

    /// There is no such page, or it is somebody else's.
    #[must_use]
    pub fn not_found() -> Self {
        Problem::not_found("page").into()
    }

    /// The request did not come from a page of ours.
    #[must_use]
    pub fn forged() -> Self {
        Problem::new(codes::FORBIDDEN, "the form was not sent from this site").into()
    }

    /// Something failed here; it goes to the log only.
    #[must_use]
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        Problem::internal(error).into()
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let code = problem.code();
        Self::Problem(Box::new(Told {
            status: StatusCode::from_u16(code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.name.to_owned(),
            detail: problem.detail().to_owned(),
            errors: problem
                .errors()
                .iter()
                .map(|error| Wrong {
                    field: error.field.clone(),
                    code: error.code.to_owned(),
                    reason: error.reason.clone(),
                })
                .collect(),
        }))
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Problem::from(error).into()
    }
}
