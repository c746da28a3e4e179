//! The console: the vendor's pages.

mod home;
mod operators;
mod partners;

use axum::Router;
use axum::routing::{get, post};
use tributary::edge::App;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/console", get(home::show))
        .route("/console/partners", get(partners::list))
        .route("/console/partners/{id}", get(partners::show))
        .route("/console/partners/{id}/{act}", post(partners::act))
        .route(
            "/console/operators",
            get(operators::list).post(operators::create),
        )
        .route("/console/operators/{id}", post(operators::amend))
}
