//! `/v1/partners/{id}/payout-hold`: keeps a partner's payouts back for a while.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tributary::edge::{
    App, Body, Fields, NoBody, Once, Operator, Path, Problem, Reply, path_id, versioned,
};
use tributary::ids::PartnerId;
use tributary::operators::model::Scope;
use tributary::partners;

use crate::schema;

/// Characters of a hold's reason.
const MAX_REASON: usize = 500;

/// Keep a partner's payouts back.
///
/// Batches leave the partner out, and tell why, until the time or until the hold is lifted; what it has stays
/// payable. A hold that stands is replaced. What was reserved before stays in its batch. Asks for the scope
/// `finance`.
#[utoipa::path(put, path = "/v1/partners/{id}/payout-hold", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::PayoutHoldBody,
    responses((status = 200, description = "Held; its version as `ETag`", body = schema::PayoutHoldView),
        (status = 422, description = "`time_in_past`: it would be over before it began")))]
pub(crate) async fn place(
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
    let id: PartnerId = path_id(&path, "partner")?;
    let (until, reason) = Fields::read(&body.0, |f| {
        let until = f.opt_time("until");
        let reason = f.text("reason", MAX_REASON);
        Some((until, reason?))
    })?;
    let change = partners::hold_payouts(&app, id, operator.id, until, reason).await?;
    let reply = versioned(change.value.version, &schema::payout_hold(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Get the hold that stands on a partner's payouts.
#[utoipa::path(get, path = "/v1/partners/{id}/payout-hold", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id")),
    responses((status = 200, description = "The hold; its version as `ETag`", body = schema::PayoutHoldView),
        (status = 404, description = "`not_found`: none stands")))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: PartnerId = path_id(&path, "partner")?;
    let hold = partners::payout_hold(&app, id)
        .await?
        .ok_or_else(|| Problem::not_found("payout hold"))?;
    Ok(versioned(hold.version, &schema::payout_hold(&hold)))
}

/// Lift the hold on a partner's payouts.
///
/// The next batch pays what has gathered. Where no hold stands nothing changes. Asks for the scope `finance`.
#[utoipa::path(delete, path = "/v1/partners/{id}/payout-hold", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 204, description = "Lifted")))]
pub(crate) async fn lift(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &json!({}));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id: PartnerId = path_id(&path, "partner")?;
    let change = partners::release_payouts(&app, id).await?;
    once.commit(&app, change, |()| Reply::nothing(), |()| Reply::nothing())
        .await
}
