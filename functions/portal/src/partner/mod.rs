//! The portal: a partner's own pages.

mod conversions;
mod deals;
mod home;
mod leads;
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
        .route("/portal/deals", get(deals::list).post(deals::create))
        .route("/portal/deals/new", get(deals::new))
        .route("/portal/deals/{id}", get(deals::show))
        .route("/portal/deals/{id}/{act}", post(deals::act))
        .route("/portal/leads", get(leads::list))
        .route("/portal/leads/{id}", get(leads::show))
        .route("/portal/leads/{id}/{act}", post(leads::act))
}
