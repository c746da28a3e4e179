//! The portal: a partner's own pages.

mod conversions;
mod home;
mod links;

use axum::Router;
use axum::routing::{get, post};
use tributary::edge::App;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/portal", get(home::show))
        .route("/portal/links", get(links::list).post(links::create))
        .route("/portal/links/{id}/disable", post(links::disable))
        .route("/portal/conversions", get(conversions::list))
        .route("/portal/conversions/{id}", get(conversions::show))
}
