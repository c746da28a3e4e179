//! `/v1/programs/{id}/plans`: immutable versions of commission plans.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tributary::clock::Timestamp;
use tributary::edge::{
    App, Body, Cursor, Fields, Limit, Once, Operator, Path, Problem, Query, Reply, codes, path_id,
    versioned,
};
use tributary::ids::ProgramId;
use tributary::money::Currency;
use tributary::operators::model::Scope;
use tributary::plans::wire;
use tributary::programs::error::ProgramError;
use tributary::programs::model::{MAX_CODE, MAX_HOLD_DAYS, is_plan_code};
use tributary::programs::{self, NewPlan};

use crate::schema;

/// Tries to make the next version while others make theirs.
const MAX_TRIES: usize = 8;

/// Make a plan's next version.
///
/// A version never changes; events are paid by the version that was effective latest when they happened.
/// An event that no component names pays 0. A plan's first version may be effective in the past; a later one
/// from now on, because what was computed stays as it is. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/programs/{id}/plans", tag = "programs", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewPlanBody,
    responses((status = 201, description = "Made", body = schema::PlanView)))]
pub(crate) async fn create(
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
    let id: ProgramId = path_id(&path, "program")?;
    let program = programs::program(&app, id)
        .await?
        .ok_or(ProgramError::NotFound(id))?;
    let new = read(&body.0, program.currency)?;
    let mut tries = 1;
    loop {
        let change = programs::add_plan(&app, &program, new.clone()).await?;
        let reply = Reply::created(&schema::plan(&change.value, program.currency));
        let answer = once
            .commit(&app, change, |_| reply.clone(), |_| reply.clone())
            .await;
        match answer {
            // Another version took the number: the next one is free.
            Err(problem) if problem.code() == codes::CONFLICT && tries < MAX_TRIES => tries += 1,
            answer => return answer,
        }
    }
}

fn read(body: &Value, currency: Currency) -> Result<NewPlan, Problem> {
    Fields::read(body, |f| {
        let code = f.parsed(
            "code",
            MAX_CODE,
            codes::CHARACTERS_REFUSED,
            "is lower-case letters, digits, _ and -, beginning with a letter or digit",
            |text| is_plan_code(text).then(|| text.to_owned()),
        );
        let effective_from = f.opt_time("effective_from");
        let hold_days = f.integer("hold_days", 0, MAX_HOLD_DAYS);
        let terms = wire::read(f, currency);
        Some(NewPlan {
            code: code?,
            effective_from,
            hold_days: u32::try_from(hold_days?).ok()?,
            terms: terms?,
        })
    })
}

/// Preview a plan.
///
/// Takes a plan as it would be made and makes nothing: says in plain sentences what it pays, and works out
/// examples by the calculation that pays real events.
#[utoipa::path(post, path = "/v1/programs/{id}/plans:preview", tag = "programs", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    request_body = schema::NewPlanBody,
    responses((status = 200, description = "What it would pay", body = schema::PlanPreviewView)))]
pub(crate) async fn preview(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    body: Body,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: ProgramId = path_id(&path, "program")?;
    let program = programs::program(&app, id)
        .await?
        .ok_or(ProgramError::NotFound(id))?;
    let new = read(&body.0, program.currency)?;
    let plan = programs::draft(&app, id, new);
    Ok(Reply::ok(&schema::preview(&plan, program.currency)))
}

/// List the versions of a program's plans, by code and version.
#[utoipa::path(get, path = "/v1/programs/{id}/plans", tag = "programs", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::PlanListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    page(&app, &path, None, &query).await
}

/// List the versions of one plan, oldest first.
#[utoipa::path(get, path = "/v1/programs/{id}/plans/{plan}", tag = "programs", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("plan" = String, Path, description = "The plan's code"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::PlanListView)))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path((path, plan)): Path<(String, String)>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    if !is_plan_code(&plan) {
        return Err(ProgramError::PlanNotFound(plan).into());
    }
    page(&app, &path, Some(&plan), &query).await
}

/// Let a plan pay all partners who have none of their own.
///
/// It pays from `effective_from` on, now unless told and not in the past, and replaces what was to begin after
/// it; a program's first default covers all time before it too unless told. A link's plan goes before the
/// partner's, and that before this. The same plan again changes nothing. It takes effect within 30 seconds.
/// Asks for the scope `channel`.
#[utoipa::path(put, path = "/v1/programs/{id}/default-plan", tag = "programs", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::AssignmentBody,
    responses((status = 200, description = "It is so", body = schema::ProgramView)))]
pub(crate) async fn set_default(
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
    let id: ProgramId = path_id(&path, "program")?;
    let (plan, effective_from) = read_assignment(&body.0)?;
    let change = programs::set_default_plan(&app, id, plan, effective_from).await?;
    let view = schema::program(&app, &change.value, None);
    let reply = versioned(change.value.version, &view);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// A plan, and from when on.
pub(crate) fn read_assignment(body: &Value) -> Result<(String, Option<Timestamp>), Problem> {
    Fields::read(body, |f| {
        let plan = f.parsed(
            "plan",
            MAX_CODE,
            codes::CHARACTERS_REFUSED,
            "is a plan's code",
            |text| is_plan_code(text).then(|| text.to_owned()),
        );
        let effective_from = f.opt_time("effective_from");
        Some((plan?, effective_from))
    })
}

async fn page(app: &App, path: &str, plan: Option<&str>, query: &Query) -> Result<Reply, Problem> {
    let id: ProgramId = path_id(path, "program")?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let list = format!("plans?program={id}&plan={}", plan.unwrap_or_default());
    let after = Cursor::read(&list, query.get("cursor"))?;
    let program = programs::program(app, id)
        .await?
        .ok_or(ProgramError::NotFound(id))?;
    let (found, position) = programs::plans(app, id, plan, after, limit).await?;
    Ok(Reply::ok(&schema::PlanListView {
        items: found
            .iter()
            .map(|plan| schema::plan(plan, program.currency))
            .collect(),
        next_cursor: position.map(|position| Cursor::write(&list, &position)),
    }))
}
