//! What operators do with applications.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tributary::applications::model::STAGES;
use tributary::applications::{self, Listed, export};
use tributary::edge::{
    App, Body, Cursor, IfMatch, Limit, NoBody, Once, Operator, Paper, Path, Problem, Query, Reply,
    codes, path_id, versioned,
};
use tributary::ids::{ApplicationId, PartnerId, ProgramId};
use tributary::operators::model::Scope;

use crate::{read, schema};

/// List applications.
///
/// A program's, newest first; with `stage` those of one stage, in the order in which they came to it; with
/// `referrer` those that a partner referred to it, newest first. As CSV, the header `Tributary-Next-Cursor` says
/// where the next page begins; no cell begins a formula.
#[utoipa::path(get, path = "/v1/programs/{id}/applications", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("stage" = Option<String>, Query, description = "`invited`, `visited`, `started`, `submitted`, `in_review`, `needs_information`, `approved` or `rejected`"),
        ("referrer" = Option<String>, Query, description = "The partner who referred"),
        ("format" = Option<String>, Query, description = "`json` or `csv`; `json` unless told"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", content(
        (schema::ApplicationListView = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&["stage", "referrer", "format", "limit", "cursor"])?;
    let program: ProgramId = path_id(&path, "program")?;
    let stage = match query.get("stage") {
        None => None,
        Some(name) => {
            let found = STAGES.iter().find(|(known, _)| *known == name);
            let (_, stage) = found.ok_or_else(|| {
                let known: Vec<&str> = STAGES.iter().map(|(name, _)| *name).collect();
                let reason = format!("is one of: {}", known.join(", "));
                Problem::field(codes::NOT_ONE_OF, "stage", reason)
            })?;
            Some(*stage)
        }
    };
    let referrer: Option<PartnerId> = query.id("referrer")?;
    let listed = match (stage, referrer) {
        (None, None) => Listed::Program(program),
        (Some(stage), None) => Listed::Stage(program, stage),
        (None, Some(referrer)) => Listed::Referrer(program, referrer),
        (Some(_), Some(_)) => {
            let reason = "name either the stage or who referred";
            return Err(Problem::field(codes::UNKNOWN_FIELD, "referrer", reason));
        }
    };
    let is_sheet = match query.get("format") {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => {
            let reason = "is one of: json, csv";
            return Err(Problem::field(codes::NOT_ONE_OF, "format", reason));
        }
    };
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("applications?{listed:?}");
    let beyond = Cursor::read(&name, query.get("cursor"))?;
    let is_first = beyond.is_none();
    let (found, position) = applications::list(&app, listed, beyond, limit).await?;
    let next = position.map(|position| Cursor::write(&name, &position));
    if is_sheet {
        let sheet = export::csv(&found, is_first).map_err(|error| Problem::internal(&error))?;
        let mut paper = Paper::csv("applications.csv", sheet);
        if let Some(next) = next {
            paper = paper.fact("tributary-next-cursor", next);
        }
        return Ok(paper.into_response());
    }
    let view = schema::ApplicationListView {
        items: found.iter().map(schema::application).collect(),
        next_cursor: next,
    };
    Ok(Reply::ok(&view).into_response())
}

/// Invite somebody to apply.
///
/// A mail goes there with a token that is good for 30 days. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/programs/{id}/invitations", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::InvitationBody,
    responses((status = 201, description = "Invited", body = schema::ApplicationView),
        (status = 409, description = "`exists`: the email has an application under way that was confirmed, an invitation that holds, or one approved"),
        (status = 422, description = "`not_enrolled`: who referred is no partner of the program")))]
pub(crate) async fn invite(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let program: ProgramId = path_id(&path, "program")?;
    let invitation = read::invitation(&body.0)?;
    let change = applications::invite(&app, program, operator.id, invitation).await?;
    let reply = Reply::created(&schema::application(&change.value))
        .version(change.value.application.version);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Get one application.
#[utoipa::path(get, path = "/v1/applications/{id}", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The application's id")),
    responses((status = 200, description = "The application, its version as `ETag`", body = schema::ApplicationView)))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let known = applications::find(&app, id(&path)?).await?;
    let version = known.application.version;
    Ok(versioned(version, &schema::application(&known)))
}

fn id(path: &str) -> Result<ApplicationId, Problem> {
    path_id(path, "application")
}

/// Decide an application.
///
/// `approve` makes a partner and its enrolment in the same step, or enrols the `partner` that is named; who
/// referred the applicant stands above it where the plan pays levels, unless the partner is in the program already.
/// Where who referred cannot, it is approved without, and the finding `upline` says why. `reject` takes a reason of a
/// list; `needs_information` asks the applicant, who goes on with a token that is mailed. Asks for the scope
/// `channel`.
#[utoipa::path(post, path = "/v1/applications/{id}/decision", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The application's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ApplicationDecisionBody,
    responses((status = 200, description = "Decided", body = schema::ApplicationView),
        (status = 409, description = "`wrong_state`: its stage does not allow that"),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "`required` for a `plan` where the program has none of its own, `reference_unknown`")))]
pub(crate) async fn decide(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let decision = read::decision(&body.0)?;
    let change = applications::decide(&app, id(&path)?, operator.id, based_on, decision).await?;
    let reply = versioned(
        change.value.application.version,
        &schema::application(&change.value),
    );
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Erase who made an application.
///
/// Name, email and answers are gone for good; what became of it stays. One that is under way is rejected by
/// that. So are all others that the same mailbox made, to whichever program, but for those of which a partner was
/// made, with which they are erased. Asks for the scope `admin`.
#[utoipa::path(post, path = "/v1/applications/{id}/erasure", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The application's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 204, description = "Erased")))]
pub(crate) async fn erase(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Admin])?;
    let once = once.of(&operator.id.to_string(), &json!({}));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let change = applications::erase(&app, id(&path)?, operator.id).await?;
    once.commit(&app, change, |_| Reply::nothing(), |_| Reply::nothing())
        .await
}
