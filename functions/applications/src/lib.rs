//! `/v1/programs/{id}/applications` and what belongs to it: the form and its rules, applications and
//! invitations, terms and their acceptance, onboarding, the feed of events and who is told of them.

mod agreements;
mod apply;
mod feed;
mod form;
mod onboarding;
mod read;
mod review;
mod rules;
pub mod schema;

use axum::Router;
use axum::routing::{get, post};
use tributary::edge::App;
use utoipa::OpenApi;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route(
            "/v1/programs/{id}/application-form",
            get(form::find).put(form::set),
        )
        .route(
            "/v1/programs/{id}/application-rules",
            get(rules::find).put(rules::set),
        )
        .route(
            "/v1/programs/{id}/applications",
            post(apply::apply).get(review::list),
        )
        .route(
            "/v1/programs/{id}/applications:confirm",
            post(apply::confirm),
        )
        .route("/v1/programs/{id}/applications:answer", post(apply::answer))
        .route("/v1/programs/{id}/invitations", post(review::invite))
        .route("/v1/applications/{id}", get(review::find))
        .route("/v1/applications/{id}/decision", post(review::decide))
        .route("/v1/applications/{id}/erasure", post(review::erase))
        .route(
            "/v1/programs/{id}/agreements",
            post(agreements::publish).get(agreements::list),
        )
        .route(
            "/v1/programs/{id}/agreements/{version}",
            get(agreements::find),
        )
        .route(
            "/v1/programs/{id}/agreements/{version}/acceptances",
            post(agreements::accept),
        )
        .route("/v1/partners/{id}/agreements", get(agreements::accepted))
        .route(
            "/v1/programs/{id}/onboarding-steps",
            get(onboarding::find).put(onboarding::set),
        )
        .route("/v1/partners/{id}/onboarding", get(onboarding::way))
        .route(
            "/v1/partners/{id}/onboarding/{step}",
            post(onboarding::confirm),
        )
        .route("/v1/programs/{id}/events", get(feed::events))
        .route(
            "/v1/programs/{id}/notifications",
            get(feed::notified).put(feed::notify),
        )
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(
        form::find, form::set, rules::find, rules::set,
        apply::apply, apply::confirm, apply::answer,
        review::list, review::invite, review::find, review::decide, review::erase,
        agreements::publish, agreements::list, agreements::find, agreements::accept, agreements::accepted,
        onboarding::find, onboarding::set, onboarding::way, onboarding::confirm,
        feed::events, feed::notified, feed::notify,
    ),
    tags(
        (name = "applications", description = "How one becomes a partner: forms, rules, applications, invitations; and what happens, as a feed"),
        (name = "agreements", description = "A program's terms, and who accepted them"),
        (name = "onboarding", description = "What a partner does before it is all set"),
    )
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}
