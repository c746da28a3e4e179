//! `/v1/programs/{id}/application-rules`: what is looked at by itself, and what follows.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::applications;
use tributary::edge::{
    App, Body, IfMatch, Once, Operator, Path, Problem, Reply, path_id, versioned,
};
use tributary::ids::ProgramId;
use tributary::operators::model::Scope;

use crate::{read, schema};

/// Get what a program looks at by itself.
#[utoipa::path(get, path = "/v1/programs/{id}/application-rules", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The rules, their version as `ETag`: `0` for those of a program that has said nothing", body = schema::RulesView)))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: ProgramId = path_id(&path, "program")?;
    let rules = applications::rules(&app, id).await?;
    Ok(versioned(rules.version, &schema::rules(&rules)))
}

/// Set what a program looks at by itself.
///
/// Each finding weighs `note`, `review` or `reject`, and the heaviest decides; an application that nothing
/// weighs against is approved at once with `approve`, or else waits for an operator. What is left out is as
/// for a program that has said nothing. Asks for the scope `channel`.
#[utoipa::path(put, path = "/v1/programs/{id}/application-rules", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the rules that are replaced; absent for the first ones"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::RulesBody,
    responses((status = 200, description = "Set", body = schema::RulesView),
        (status = 412, description = "`version_stale`"),
        (status = 428, description = "`if_match_missing`: there are some already")))]
pub(crate) async fn set(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    based_on: Option<IfMatch>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id: ProgramId = path_id(&path, "program")?;
    let rules = read::rules(&body.0, id)?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = applications::set_rules(&app, based_on, rules).await?;
    let reply = versioned(change.value.version, &schema::rules(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
