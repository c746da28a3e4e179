//! `/v1/conversions`: what was reported, who is credited with it and what it pays; taking it back, and
//! correcting it. `/v1/commissions` and `/v1/adjustments`: how that came about, and what is done by hand. And
//! `/v1/rates`, what it is read at in another currency.

mod commissions;
mod rates;
mod recompute;
pub mod schema;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post, put};
use tributary::clock::Timestamp;
use tributary::edge::{
    App, Body, Cursor, Fields, Limit, Operator, Path, Principal, Problem, Query, Reply, codes,
};
use tributary::ids::{ConversionId, PartnerId, ProgramId};
use tributary::money::Money;
use tributary::operators::model::Scope;
use tributary::tracking;
use tributary::tracking::model::{Amendment, MAX_REASON, MAX_REFERENCE, Reversal};
use tributary::{partners, programs};
use utoipa::OpenApi;

use schema::{
    AmendmentBody, AmendmentReceiptView, ConversionListView, ConversionView, ReversalBody,
    ReversalReceiptView,
};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/conversions", get(list))
        .route("/v1/conversions/{id}", get(find))
        .route("/v1/conversions/{id}/reversals", post(reverse))
        .route("/v1/conversions/{id}/amendments", post(amend))
        .route("/v1/commissions/{id}/trace", get(commissions::trace))
        .route("/v1/commissions/{id}/hold", post(commissions::hold))
        .route("/v1/adjustments", post(commissions::adjust))
        .route("/v1/programs/{id}/recompute", post(recompute::run))
        .route("/v1/rates", put(rates::keep).get(rates::list))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(list, find, reverse, amend, commissions::trace, commissions::hold, commissions::adjust,
        recompute::run,
        rates::keep, rates::list),
    tags((name = "conversions", description = "What was reported, who is credited, and what it pays"),
        (name = "commissions", description = "How a commission came about, and what is done by hand"),
        (name = "rates", description = "What conversions in other currencies are read at"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

fn id(text: &str) -> Result<ConversionId, Problem> {
    text.parse().map_err(|_| Problem::not_found("conversion"))
}

/// Get one conversion.
///
/// With its attribution and the evidence for it, and its outcome with how the commission came about. A
/// partner gets the conversions that it is credited with.
#[utoipa::path(get, path = "/v1/conversions/{id}", tag = "conversions",
    security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The conversion's id")),
    responses((status = 200, description = "The conversion", body = ConversionView)))]
async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    if let Principal::Operator(operator) = &principal {
        operator.demand(&[Scope::Read])?;
    }
    let conversion = tracking::find(&app, id(&path)?).await?;
    let mut views = shown(&app, vec![conversion]).await?;
    let view = views
        .pop()
        .filter(|view| match &principal {
            Principal::Operator(_) => true,
            Principal::Partner(own) => own.everybody().any(|partner| view.belongs_to(partner)),
        })
        .ok_or_else(|| Problem::not_found("conversion"))?;
    Ok(Reply::ok(&for_reader(view, &principal)))
}

/// Conversions as they are shown, with the payouts of all read at once.
async fn shown(
    app: &App,
    conversions: Vec<tracking::Conversion>,
) -> Result<Vec<ConversionView>, Problem> {
    let parts: Vec<_> = conversions
        .iter()
        .map(|one| (&one.facts, &one.changes, one.outcome.as_ref()))
        .collect();
    let outcomes = tributary::commissions::views(app, &parts).await?;
    Ok(conversions
        .iter()
        .zip(outcomes)
        .map(|(one, outcome)| ConversionView::of(one, outcome))
        .collect())
}

fn for_reader(view: ConversionView, principal: &Principal) -> ConversionView {
    match principal {
        Principal::Operator(_) => view,
        Principal::Partner(_) => view.for_partner(),
    }
}

enum Listed {
    Program(ProgramId),
    Partner(PartnerId),
}

/// List conversions, newest first.
///
/// Either a program's, by the time they were acknowledged, or those that a partner is credited with, by the
/// time of that. What was acknowledged before the first page was asked for is listed exactly once, whatever
/// arrives meanwhile. A page may be shorter than `limit`; the list ends where `next_cursor` is `null`. A
/// partner lists its own and need not name itself.
#[utoipa::path(get, path = "/v1/conversions", tag = "conversions",
    security(("operator_key" = []), ("partner_key" = [])),
    params(("program" = Option<String>, Query, description = "Of this program"),
        ("partner" = Option<String>, Query, description = "Credited to this partner"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = ConversionListView)))]
async fn list(
    State(app): State<App>,
    principal: Principal,
    query: Query,
) -> Result<Reply, Problem> {
    query.only(&["program", "partner", "limit", "cursor"])?;
    let listed = listed(&principal, &query)?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let (name, page) = match listed {
        Listed::Program(id) => {
            let name = format!("conversions?program={id}");
            let below = Cursor::read(&name, query.get("cursor"))?;
            let program = programs::program(&app, id)
                .await?
                .ok_or_else(|| Problem::not_found("program"))?;
            (
                name,
                tracking::by_program(&app, &program, below, limit).await?,
            )
        }
        Listed::Partner(id) => {
            let name = format!("conversions?partner={id}");
            let below = Cursor::read(&name, query.get("cursor"))?;
            let partner = partners::partner(&app, id)
                .await?
                .ok_or_else(|| Problem::not_found("partner"))?;
            (
                name,
                tracking::by_partner(&app, &partner, below, limit).await?,
            )
        }
    };
    let (conversions, position) = page;
    let items = shown(&app, conversions)
        .await?
        .into_iter()
        .map(|view| for_reader(view, &principal))
        .collect();
    Ok(Reply::ok(&ConversionListView {
        items,
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Which list is asked for; one that the principal may read.
fn listed(principal: &Principal, query: &Query) -> Result<Listed, Problem> {
    let malformed =
        |field: &str| Problem::field(codes::ID_MALFORMED, field, codes::ID_MALFORMED.meaning);
    match (query.get("program"), query.get("partner"), principal) {
        (None, Some(partner), _) => {
            let partner: PartnerId = partner.parse().map_err(|_| malformed("partner"))?;
            principal.may_read(partner, &[Scope::Read], "partner")?;
            Ok(Listed::Partner(partner))
        }
        (None, None, Principal::Partner(own)) => Ok(Listed::Partner(own.id)),
        (Some(program), None, Principal::Operator(operator)) => {
            operator.demand(&[Scope::Read])?;
            let program = program.parse().map_err(|_| malformed("program"))?;
            Ok(Listed::Program(program))
        }
        (Some(_), _, Principal::Partner(_)) => Err(Problem::new(
            codes::FORBIDDEN,
            "a partner lists the conversions that it is credited with",
        )),
        (None, None, Principal::Operator(_)) => Err(Problem::field(
            codes::REQUIRED,
            "program",
            "name the program or the partner whose conversions to list",
        )),
        (Some(_), Some(_), Principal::Operator(_)) => Err(Problem::field(
            codes::UNKNOWN_FIELD,
            "partner",
            "name either the program or the partner",
        )),
    }
}

/// Take a conversion back.
///
/// A part of it where `amount` tells how much, otherwise all that is left, whatever state its money is in:
/// what is held or payable is withdrawn, and what is in a payout or paid is set against the next one. Several
/// parts may be taken back, together never more than the conversion came to. The same `reversal_id` again
/// changes nothing and answers `duplicate`, so it serves as the idempotency key; with another amount it is
/// refused as `reversal_mismatch`. Asks for the scope `finance`.
#[utoipa::path(post, path = "/v1/conversions/{id}/reversals", tag = "conversions",
    security(("operator_key" = [])),
    params(("id" = String, Path, description = "The conversion's id")),
    request_body = ReversalBody,
    responses((status = 200, description = "`reversed` or `duplicate`", body = ReversalReceiptView),
        (status = 409, description = "`reversal_mismatch`, `limit_reached`"),
        (status = 422, description = "`reversal_over_original`, `currency_mismatch`, `out_of_range` for a part of nothing")))]
async fn reverse(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    body: Body,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Finance])?;
    let conversion = id(&path)?;
    let reversal = Fields::read(&body.0, |f| {
        let reversal_id = f.text("reversal_id", MAX_REFERENCE);
        let amount = match (f.raw("amount").is_some(), f.raw("currency").is_some()) {
            (false, false) => Some(None),
            // The one without the other is told to be missing.
            _ => money(f).map(Some),
        };
        let reason = f.text("reason", MAX_REASON);
        Some(Reversal {
            reversal_id: reversal_id?,
            amount: amount?,
            reason: reason?,
            at: app.now(),
        })
    })?;
    let reversal_id = reversal.reversal_id.clone();
    let receipt = tracking::reverse(&app, conversion, reversal).await?;
    Ok(Reply::ok(&ReversalReceiptView {
        conversion: conversion.to_string(),
        reversal_id,
        status: receipt.name(),
    }))
}

/// An amount with its currency.
fn money(f: &mut Fields) -> Option<Money> {
    let Some(currency) = f.currency("currency") else {
        f.raw("amount");
        return None;
    };
    f.amount("amount", currency)
}

/// Correct a conversion's amount.
///
/// From now on its amount is taken to be that, before what was and will be taken back of it; what it pays is
/// made up to that by the difference. The same `amendment_id` again changes nothing and answers `duplicate`,
/// so it serves as the idempotency key; with another amount it is refused as `amendment_mismatch`. Asks for
/// the scope `finance`.
#[utoipa::path(post, path = "/v1/conversions/{id}/amendments", tag = "conversions",
    security(("operator_key" = [])),
    params(("id" = String, Path, description = "The conversion's id")),
    request_body = AmendmentBody,
    responses((status = 200, description = "`amended` or `duplicate`", body = AmendmentReceiptView),
        (status = 409, description = "`amendment_mismatch`, `limit_reached`, `wrong_state` for one that was taken back as a whole"),
        (status = 422, description = "`amendment_below_reversed`, `currency_mismatch`")))]
async fn amend(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    body: Body,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Finance])?;
    let conversion = id(&path)?;
    let amendment = Fields::read(&body.0, |f| {
        let amendment_id = f.text("amendment_id", MAX_REFERENCE);
        let amount = money(f);
        let reason = f.text("reason", MAX_REASON);
        Some(Amendment {
            amendment_id: amendment_id?,
            amount: amount?,
            reason: reason?,
            at: app.now(),
        })
    })?;
    let amendment_id = amendment.amendment_id.clone();
    let receipt = tracking::amend(&app, conversion, amendment).await?;
    Ok(Reply::ok(&AmendmentReceiptView {
        conversion: conversion.to_string(),
        amendment_id,
        status: receipt.name(),
    }))
}

/// A time as it is shown.
fn time(at: Timestamp) -> String {
    at.to_string()
}
