//! What can go wrong with applications.

use super::model::{STAGES, Stage, name_of};
use crate::edge::{Problem, codes};
use crate::ids::ApplicationId;
use crate::partners::error::PartnerError;
use crate::table;

/// What can go wrong with applications.
#[derive(Debug, thiserror::Error)]
pub enum ApplicationError {
    /// No such application.
    #[error("there is no such application")]
    NotFound,
    /// No such program.
    #[error("there is no such program")]
    ProgramNotFound,
    /// The program has published no form.
    #[error("the program has no form")]
    FormNotFound,
    /// The program takes no applications now.
    #[error("the form is closed")]
    FormClosed,
    /// Too many in an hour.
    #[error("too many in an hour")]
    Limited,
    /// The mailbox was asked often enough today. Whoever applies is not told: it would say that others did.
    #[error("the mailbox was asked often enough")]
    MailboxFull,
    /// Not a mailbox.
    #[error("the email is none")]
    EmailMalformed,
    /// Not a tax id.
    #[error("the tax id is none")]
    TaxIdMalformed,
    /// The token is forged, spent, superseded or out of date.
    #[error("the token is not good")]
    TokenInvalid,
    /// Its stage does not allow that.
    #[error("it is in the stage {0:?}")]
    WrongStage(Stage),
    /// What is needed was not said.
    #[error("missing: {0:?}")]
    Missing(Vec<&'static str>),
    /// Who made it was erased.
    #[error("its applicant was erased")]
    Erased,
    /// The email has an application under way.
    #[error("the email has the application {0}")]
    Exists(ApplicationId),
    /// Who referred is no partner of the program.
    #[error("who referred is no partner of the program")]
    ReferrerUnknown,
    /// Something stands there, and the change does not say which version it replaces.
    #[error("the version is not named")]
    VersionMissing,
    /// It is no longer the version that the change is based on.
    #[error("it has another version by now")]
    Stale,
    /// It changed between reading and writing.
    #[error("it changed at the same moment")]
    Moved,
    /// The partner cannot be made or enrolled.
    #[error(transparent)]
    Partner(#[from] PartnerError),
    /// The table.
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl From<ApplicationError> for Problem {
    fn from(error: ApplicationError) -> Self {
        match error {
            ApplicationError::NotFound => Self::not_found("application"),
            ApplicationError::ProgramNotFound => Self::not_found("program"),
            ApplicationError::FormNotFound => Self::not_found("application form"),
            ApplicationError::FormClosed => {
                Self::new(codes::WRONG_STATE, "the program takes no applications now")
            }
            ApplicationError::Limited => {
                Self::new(codes::RATE_LIMITED, codes::RATE_LIMITED.meaning)
            }
            ApplicationError::MailboxFull => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            ApplicationError::EmailMalformed => Self::field(
                codes::EMAIL_MALFORMED,
                "email",
                codes::EMAIL_MALFORMED.meaning,
            ),
            ApplicationError::TaxIdMalformed => Self::field(
                codes::CHARACTERS_REFUSED,
                "tax_id",
                "is a tax or VAT id of the country, with four digits or more",
            ),
            ApplicationError::TokenInvalid => Self::field(
                codes::TOKEN_UNUSABLE,
                "token",
                codes::TOKEN_UNUSABLE.meaning,
            ),
            ApplicationError::WrongStage(stage) => Self::new(
                codes::WRONG_STATE,
                format!("the application is in the stage {}", name_of(STAGES, stage)),
            ),
            ApplicationError::Missing(fields) => Self::fields(
                fields
                    .into_iter()
                    .map(|field| (codes::REQUIRED, field.to_owned(), "is missing".to_owned()))
                    .collect(),
            ),
            ApplicationError::Erased => {
                Self::new(codes::WRONG_STATE, "who made the application was erased")
            }
            ApplicationError::Exists(id) => Self::field(
                codes::EXISTS,
                "email",
                format!("has an application already: {id}"),
            ),
            ApplicationError::ReferrerUnknown => {
                Self::field(codes::NOT_ENROLLED, "referrer", codes::NOT_ENROLLED.meaning)
            }
            ApplicationError::VersionMissing => {
                Self::new(codes::IF_MATCH_MISSING, codes::IF_MATCH_MISSING.meaning)
            }
            ApplicationError::Stale => {
                Self::new(codes::VERSION_STALE, codes::VERSION_STALE.meaning)
            }
            ApplicationError::Moved => Self::new(codes::CONFLICT, codes::CONFLICT.meaning),
            ApplicationError::Partner(error) => error.into(),
            ApplicationError::Table(error) => error.into(),
        }
    }
}
