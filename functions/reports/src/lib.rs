//! The controller's papers: the general-ledger journal of a program's month and its closing, self-billing
//! invoices, yearly totals, payouts beside the ledger, and what another plan would have paid.

mod invoicing;
mod journal;
mod reconciliation;
pub mod schema;
mod what_if;
mod yearly;

use axum::Router;
use axum::routing::{get, post, put};
use tributary::edge::{App, Fields, Problem, Query, codes};
use tributary::reports::model::Period;
use utoipa::OpenApi;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/programs/{id}/journal", get(journal::read))
        .route("/v1/programs/{id}/periods", get(journal::periods))
        .route("/v1/programs/{id}/periods:close", post(journal::close))
        .route(
            "/v1/programs/{id}/invoicing",
            put(invoicing::set).get(invoicing::find_settings),
        )
        .route("/v1/programs/{id}/invoices", get(invoicing::of_program))
        .route("/v1/partners/{id}/invoices", get(invoicing::of_partner))
        .route("/v1/invoices/{id}", get(invoicing::find))
        .route("/v1/partners/{id}/yearly-totals", get(yearly::of_partner))
        .route("/v1/programs/{id}/yearly-totals", get(yearly::of_program))
        .route(
            "/v1/programs/{id}/payout-reconciliation",
            get(reconciliation::read),
        )
        .route("/v1/programs/{id}/what-if", post(what_if::ask))
        .route("/v1/programs/{id}/history", get(what_if::history))
        .route("/v1/what-ifs/{id}", get(what_if::find))
        .route("/v1/what-ifs/{id}/partners", get(what_if::partners))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(
        journal::read, journal::periods, journal::close,
        invoicing::set, invoicing::find_settings,
        invoicing::of_program, invoicing::of_partner, invoicing::find,
        yearly::of_partner, yearly::of_program, reconciliation::read,
        what_if::ask, what_if::find, what_if::partners, what_if::history,
    ),
    tags((name = "reports", description = "The controller's papers: journals, closed periods, invoices, yearly totals, reconciliation, what-ifs"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// The period that a field names.
fn period(f: &mut Fields<'_>) -> Option<Period> {
    let reason = "is a calendar month such as 2026-03";
    f.parsed("period", 16, codes::PERIOD_MALFORMED, reason, |text| {
        text.parse().ok()
    })
}

/// The period that a query names; its other parameters are `others`.
fn period_of(query: &Query, others: &[&'static str]) -> Result<Period, Problem> {
    Fields::read_pairs(&query.0, |f| {
        for other in others {
            let _ = f.raw(other);
        }
        period(f)
    })
}
