//! `/v1/leads` and a program's lead distribution: rules, intake, the public form, what partners and operators do
//! with leads, and what the vendor's CRM reads of them.

mod intake;
mod lists;
mod moves;
mod public;
mod rules;
pub mod schema;

use axum::Router;
use axum::routing::{delete, get, post};
use tributary::edge::{App, Problem, path_id};
use tributary::ids::{LeadId, ProgramId};
use utoipa::OpenApi;

/// Tries of a change that others come before.
const MAX_TRIES: u32 = 12;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route(
            "/v1/programs/{id}/routing",
            get(rules::read).put(rules::say),
        )
        .route("/v1/programs/{id}/routing:simulate", post(rules::simulate))
        .route("/v1/programs/{id}/leads", post(intake::one))
        .route("/v1/programs/{id}/leads:batch", post(intake::batch))
        .route("/v1/programs/{id}/leads:challenge", get(public::challenge))
        .route("/v1/programs/{id}/leads:form", post(public::form))
        .route("/v1/programs/{id}/leads:feed", get(lists::feed))
        .route("/v1/programs/{id}/leads:export", get(lists::export))
        .route("/v1/leads", get(lists::list))
        .route("/v1/leads/{id}", get(lists::find))
        .route("/v1/leads/{id}/assignments", get(lists::assignments))
        .route("/v1/leads/{id}/contact", delete(moves::erase))
        .route("/v1/leads/{id}/accept", post(moves::accept))
        .route("/v1/leads/{id}/decline", post(moves::decline))
        .route("/v1/leads/{id}/progress", post(moves::progress))
        .route("/v1/leads/{id}/won", post(moves::won))
        .route("/v1/leads/{id}/lost", post(moves::lost))
        .route("/v1/leads/{id}/reassign", post(moves::reassign))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(
        rules::read, rules::say, rules::simulate, intake::one, intake::batch, public::challenge, public::form,
        lists::feed, lists::export, lists::list, lists::find, lists::assignments, moves::erase, moves::accept,
        moves::decline, moves::progress, moves::won, moves::lost, moves::reassign,
    ),
    tags((name = "leads", description = "Leads: taken in, offered to partners by rules, worked, won or lost"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

fn lead_id(path: &str) -> Result<LeadId, Problem> {
    path_id(path, "lead")
}

fn program_id(path: &str) -> Result<ProgramId, Problem> {
    path_id(path, "program")
}
