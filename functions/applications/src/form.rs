//! `/v1/programs/{id}/application-form`: what applicants are asked.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::applications;
use tributary::edge::{
    App, Body, IfMatch, Once, Operator, Path, Problem, Reply, path_id, versioned,
};
use tributary::ids::ProgramId;
use tributary::operators::model::Scope;

use crate::{read, schema};

/// Get a program's application form.
///
/// For anybody: a page of the vendor's shows it.
#[utoipa::path(get, path = "/v1/programs/{id}/application-form", tag = "applications",
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The form, its version as `ETag`", body = schema::FormView),
        (status = 404, description = "`not_found`: no such program, or none that has a form")))]
pub(crate) async fn find(
    State(app): State<App>,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let id: ProgramId = path_id(&path, "program")?;
    let form = applications::form(&app, id).await?;
    Ok(versioned(form.version, &schema::form(&form)))
}

/// Publish a program's application form.
///
/// Everybody is asked for email, name, country and kind; this says what else. It takes the place of the one
/// before. Asks for the scope `channel`.
#[utoipa::path(put, path = "/v1/programs/{id}/application-form", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the form that is replaced; absent for the first one"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::FormBody,
    responses((status = 200, description = "Published", body = schema::FormView),
        (status = 412, description = "`version_stale`"),
        (status = 428, description = "`if_match_missing`: there is one already")))]
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
    let form = read::form(&body.0, id)?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = applications::set_form(&app, based_on, form).await?;
    let reply = versioned(change.value.version, &schema::form(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
