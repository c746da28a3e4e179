//! `/v1/partners/{id}/merge`: one account of two.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::edge::{
    App, Body, Fields, Once, Operator, Path, Problem, Reply, path_id, versioned,
};
use tributary::ids::PartnerId;
use tributary::merges;
use tributary::merges::model::MAX_REASON;
use tributary::operators::model::Scope;

use crate::schema;

/// Merge a partner into another.
///
/// For good: the partner is archived, and an alias of the other from that moment: what its links, coupons, deals and
/// leads bring is credited to the other, whose key also reads all that was its. Links, coupons and open deals change
/// hands within minutes; leads are offered to the other, or routed on. Of what it has earned, what is payable moves
/// as adjustments of both, from twenty minutes later on and for as long as more becomes payable or is taken back. What
/// was earned, paid, won or lost before stays with it. Payout method, keys and people do not move. The same again
/// changes nothing. Asks for the scope `finance`.
#[utoipa::path(post, path = "/v1/partners/{id}/merge", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner that is merged"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewMergeBody,
    responses((status = 200, description = "Merged", body = schema::MergeView),
        (status = 409, description = "`wrong_state`: it was merged into another, is suspended or banned, or its payouts are on hold; or `into` was merged itself"),
        (status = 422, description = "`reference_unknown`, `partner_suspended`: `into` does not exist or is not active")))]
pub(crate) async fn merge(
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
    let (into, reason) = Fields::read(&body.0, |f| {
        let into: Option<PartnerId> = f.id("into");
        let reason = f.text("reason", MAX_REASON);
        Some((into?, reason?))
    })?;
    let change = merges::merge(&app, id, into, reason, operator.id).await?;
    let reply = versioned(change.value.version, &schema::merge(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Get the merge of a partner into another.
///
/// Asks for the scope `read`.
#[utoipa::path(get, path = "/v1/partners/{id}/merge", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner that was merged")),
    responses((status = 200, description = "How far it is; its version as `ETag`", body = schema::MergeView),
        (status = 404, description = "`not_found`: it was not merged")))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: PartnerId = path_id(&path, "partner")?;
    let merge = merges::find(&app, id).await?;
    Ok(versioned(merge.version, &schema::merge(&merge)))
}
