//! Queue → what follows from events of the channel: those who are to know are told by mail, and partners' steps of
//! their onboarding are completed; and files that are imported, step by step.
//!
//! A message names a job and nothing else. It may come late, twice or for nothing: what is left to do is read
//! from the table.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use serde::Deserialize;
use tributary::edge::{App, batch_failures};
use tributary::ids::{EventId, LinkId, PartnerId, ProgramId, SignInId, UploadId};
use tributary::mail::{self, MailFailure};
use tributary::onboarding::{self, error::OnboardingError};
use tributary::sessions::{self, error::SessionError};
use tributary::{imports, table};

/// What to do.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Job {
    /// `{"event": "evt_…"}`: tell those of it who are to know.
    Event(EventId),
    /// `{"partner": "ptr_…"}`: tell which steps of its onboarding are completed.
    Partner(PartnerId),
    /// `{"link": "lnk_…"}`: the same of the link's partner.
    Link(LinkId),
    /// `{"announcement": {"event": "evt_…", "after": "…"}}`: go on telling all partners of a program.
    Announcement {
        /// Of what.
        event: EventId,
        /// Behind which partner to go on.
        after: String,
    },
    /// `{"terms": {"program": "prg_…", "version": 2, "after": "…"}}`: go on looking whose acceptance counts now that
    /// a version of the terms has taken effect.
    Terms {
        /// Whose terms.
        program: ProgramId,
        /// Which version.
        version: u32,
        /// Behind which partner to go on.
        after: String,
    },
    /// `{"upload": "upl_…"}`: bring an import on by one step.
    Upload(UploadId),
    /// `{"sign_in": "sgn_…"}`: mail the link to sign in, to whom the address belongs.
    SignIn(SignInId),
}

/// Does what each message names. A message that cannot be read fails alone and ends among the dead letters.
///
/// # Errors
/// None: failures are told per message.
pub async fn handle(app: App, event: SqsEvent) -> Result<SqsBatchResponse, lambda_runtime::Error> {
    let mut failed = Vec::new();
    for message in event.records {
        let id = message.message_id.unwrap_or_default();
        match serde_json::from_str::<Job>(&message.body.unwrap_or_default()) {
            Ok(job) => {
                if let Err(error) = advance(&app, job).await {
                    tracing::warn!(message = id, %error, "a job of the channel failed; it comes again");
                    failed.push(id);
                }
            }
            Err(error) => {
                tracing::error!(message = id, %error, "a message names no job");
                failed.push(id);
            }
        }
    }
    Ok(batch_failures(failed))
}

/// Why a job is not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Not all were told.
    #[error(transparent)]
    Mail(#[from] MailFailure),
    /// A partner's progress was not told.
    #[error(transparent)]
    Onboarding(#[from] OnboardingError),
    /// A link to sign in was not mailed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// An import did not go on.
    #[error(transparent)]
    Table(#[from] table::Error),
}

async fn advance(app: &App, job: Job) -> Result<(), Failure> {
    match job {
        Job::Event(id) => mail::tell(app, id).await?,
        Job::Announcement { event, after } => mail::announce(app, event, &after).await?,
        Job::Terms {
            program,
            version,
            after,
        } => onboarding::terms_took_effect(app, program, version, &after).await?,
        Job::Upload(id) => imports::advance(app, id).await?,
        Job::SignIn(id) => sessions::mail(app, id).await?,
        Job::Partner(id) => onboarding::advance(app, id).await?,
        Job::Link(id) => onboarding::advance_by_link(app, id).await?,
    }
    Ok(())
}
