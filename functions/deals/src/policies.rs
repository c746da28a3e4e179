//! How a program takes deals.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::deals::{self, wire};
use tributary::edge::{
    App, Body, Fields, IfMatch, Once, Operator, Path, Problem, Reply, path_id, versioned,
};
use tributary::ids::ProgramId;
use tributary::operators::model::Scope;
use tributary::programs;

use crate::{CHANNEL, schema};

/// How a program takes deals.
///
/// `404` where it takes none. Asks for the scope `read`.
#[utoipa::path(get, path = "/v1/programs/{id}/deal-policy", tag = "deals", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The policy, its version as `ETag`", body = schema::PolicyBody)))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: ProgramId = path_id(&path, "program")?;
    let program = programs::program(&app, id).await?;
    let program = program.ok_or_else(|| Problem::not_found("program"))?;
    let policy = deals::find_policy(&app, id).await?;
    let policy = policy.ok_or_else(|| Problem::not_found("deal policy"))?;
    let view = schema::policy(&policy, program.currency);
    Ok(versioned(policy.version, &view))
}

/// Set how a program takes deals.
///
/// Partners of a program without a policy register none. Deals that were handed in keep the steps that they began
/// with; what they are protected for and bring is as the policy says when they are approved. Asks for the scope
/// `channel`.
#[utoipa::path(put, path = "/v1/programs/{id}/deal-policy", tag = "deals", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the policy that is replaced; absent for the first one"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::PolicyBody,
    responses((status = 200, description = "Set", body = schema::PolicyBody),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "`reference_unknown` for what the program's channel or the vendor does not have, and each field's own"),
        (status = 428, description = "`if_match_missing`: there is one already")))]
pub(crate) async fn set(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    based_on: Option<IfMatch>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(CHANNEL)?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id: ProgramId = path_id(&path, "program")?;
    let program = programs::program(&app, id).await?;
    let program = program.ok_or_else(|| Problem::not_found("program"))?;
    let new = Fields::read(&body.0, |f| wire::policy(f, id, program.currency, 0))?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = deals::set_policy(&app, based_on, new).await?;
    let view = schema::policy(&change.value, program.currency);
    let reply = versioned(change.value.version, &view);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
