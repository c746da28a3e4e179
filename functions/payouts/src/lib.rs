//! `/v1/funding-accounts`, `/v1/payouts` and programs' payout schedules: the vendor's paying accounts, payout
//! batches and their files, and what became of each payout.

mod batches;
mod funding;
mod schedules;
pub mod schema;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tributary::edge::{
    App, Body, Cursor, Fields, Limit, Once, Operator, Path, Principal, Problem, Query, Reply,
    codes, path_id,
};
use tributary::ids::{PartnerId, PayoutId};
use tributary::operators::model::Scope;
use tributary::payouts;
use utoipa::OpenApi;

/// Characters of a return's or cancellation's reason, and of what shows it.
const MAX_REASON: usize = 500;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/funding-accounts", get(funding::list))
        .route(
            "/v1/funding-accounts/{id}",
            put(funding::keep).get(funding::find),
        )
        .route("/v1/payouts/batches", post(batches::ask).get(batches::list))
        .route("/v1/payouts/batches/{id}", get(batches::find))
        .route("/v1/payouts/batches/{id}/file", get(batches::file))
        .route("/v1/payouts/batches/{id}/approve", post(batches::approve))
        .route("/v1/payouts/batches/{id}/cancel", post(batches::cancel))
        .route("/v1/payouts/batches/{id}/returns", post(batches::returns))
        .route(
            "/v1/programs/{id}/payout-schedule",
            put(schedules::set).get(schedules::find),
        )
        .route("/v1/payouts", get(list))
        .route("/v1/payouts/{payout}", get(find))
        .route("/v1/payouts/{payout}/settle", post(settle))
        .route("/v1/payouts/{payout}/return", post(come_back))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(
        funding::list, funding::keep, funding::find,
        batches::ask, batches::list, batches::find, batches::file, batches::approve, batches::cancel, batches::returns,
        schedules::set, schedules::find,
        list, find, settle, come_back,
    ),
    tags(
        (name = "funding accounts", description = "The accounts that the vendor pays from"),
        (name = "payouts", description = "Payout batches, their files, and what became of each payout"),
    )
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// List a partner's payouts, newest first.
///
/// A partner reads its own and need not name itself; an operator names the partner.
#[utoipa::path(get, path = "/v1/payouts", tag = "payouts", security(("operator_key" = []), ("partner_key" = [])),
    params(("partner" = Option<String>, Query, description = "Whose; an operator must say it"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::PayoutListView)))]
async fn list(
    State(app): State<App>,
    principal: Principal,
    query: Query,
) -> Result<Reply, Problem> {
    query.only(&["partner", "limit", "cursor"])?;
    let partner: PartnerId = match (query.id("partner")?, &principal) {
        (Some(partner), _) => partner,
        (None, Principal::Partner(own)) => own.id,
        (None, Principal::Operator(_)) => {
            return Err(Problem::field(codes::REQUIRED, "partner", "is missing"));
        }
    };
    principal.may_read(partner, &[Scope::Read], "partner")?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("payouts?partner={partner}");
    let below = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = payouts::payouts_of(&app, partner, below, limit).await?;
    Ok(Reply::ok(&schema::PayoutListView {
        items: found.iter().map(schema::payout).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Get one payout with its lines.
///
/// A page of lines holds whole chunks of up to 40, so it may have a few more than asked for. A partner
/// reads its own.
#[utoipa::path(get, path = "/v1/payouts/{payout}", tag = "payouts", security(("operator_key" = []), ("partner_key" = [])),
    params(("payout" = String, Path, description = "The payout's id"),
        ("limit" = Option<u32>, Query, description = "Lines of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "The payout", body = schema::PayoutWithLinesView)))]
async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    query.only(&["limit", "cursor"])?;
    let id: PayoutId = path_id(&path, "payout")?;
    let payout = payouts::payout(&app, id).await?;
    principal.may_read(payout.partner, &[Scope::Read], "payout")?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("payouts/{id}/lines");
    let after = Cursor::read(&name, query.get("cursor"))?;
    let (lines, position) = payouts::payout_lines(&app, &payout, after, limit).await?;
    let (given, in_file) = payouts::payee_names(&app, &payout).await?.unzip();
    Ok(Reply::ok(&schema::PayoutWithLinesView {
        payout: schema::payout(&payout),
        name: given,
        name_in_file: in_file,
        lines: lines
            .iter()
            .map(|(line, minor)| schema::payout_line(*line, *minor, payout.amount.currency()))
            .collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Record that a payout arrived.
///
/// Its money moves from in transit to paid. A repeat moves nothing and answers the same. Asks for the
/// scope `finance`.
#[utoipa::path(post, path = "/v1/payouts/{payout}/settle", tag = "payouts", security(("operator_key" = [])),
    params(("payout" = String, Path, description = "The payout's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Settled", body = schema::PayoutView),
        (status = 409, description = "`wrong_state`: its batch is not submitted, or it came back")))]
async fn settle(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    Fields::read(&body.0, |_| Some(()))?;
    let change = payouts::settle(&app, path_id(&path, "payout")?).await?;
    let reply = Reply::ok(&schema::payout(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Record that a payout came back.
///
/// Before or after it was settled: its money is payable again at once, and the next batch pays it. A
/// repeat moves nothing and answers with what was recorded. Asks for the scope `finance`.
#[utoipa::path(post, path = "/v1/payouts/{payout}/return", tag = "payouts", security(("operator_key" = [])),
    params(("payout" = String, Path, description = "The payout's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ReturnBody,
    responses((status = 200, description = "Returned", body = schema::PayoutView),
        (status = 409, description = "`wrong_state`: its batch is not submitted")))]
async fn come_back(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let (reason, evidence) = Fields::read(&body.0, |f| {
        let reason = f.text("reason", MAX_REASON);
        let evidence = f.text("evidence", MAX_REASON);
        Some((reason?, evidence?))
    })?;
    let change = payouts::come_back(&app, path_id(&path, "payout")?, reason, evidence).await?;
    let reply = Reply::ok(&schema::payout(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
