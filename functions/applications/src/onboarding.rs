//! `/v1/programs/{id}/onboarding-steps` and how far partners have come.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::applications::model::is_field_code;
use tributary::edge::{
    App, Body, Fields, IfMatch, Once, Operator, Path, Principal, Problem, Query, Reply, codes,
    path_id, versioned,
};
use tributary::ids::{PartnerId, ProgramId};
use tributary::onboarding::model::{
    Checklist, MAX_LABEL, MAX_STEP_CODE, MAX_STEPS, STEP_KINDS, Step,
};
use tributary::onboarding::{self, error::OnboardingError};
use tributary::operators::model::Scope;

use crate::schema;

/// Get the onboarding checklist of a program.
#[utoipa::path(get, path = "/v1/programs/{id}/onboarding-steps", tag = "onboarding", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The checklist, its version as `ETag`: `0` while there is none", body = schema::ChecklistView)))]
pub(crate) async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let program: ProgramId = path_id(&path, "program")?;
    let found = onboarding::checklist(&app, program).await?;
    Ok(versioned(found.version, &schema::checklist(&found)))
}

/// Set the onboarding checklist of a program.
///
/// A step is completed by what happens: `accept_terms`, `payout_method`, `tax_profile`, `first_link`; or, as for
/// a training, by an operator: `confirmed`. Asks for the scope `channel`.
#[utoipa::path(put, path = "/v1/programs/{id}/onboarding-steps", tag = "onboarding", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the checklist that is replaced; absent for the first one"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ChecklistBody,
    responses((status = 200, description = "Set", body = schema::ChecklistView),
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
    let program: ProgramId = path_id(&path, "program")?;
    let new = Fields::read(&body.0, |f| {
        let steps = f.objects("steps", 0, MAX_STEPS, |f| {
            let code = f.parsed(
                "code",
                MAX_STEP_CODE,
                codes::CHARACTERS_REFUSED,
                "is small letters, digits and underscores, a letter first",
                |text| is_field_code(text).then(|| text.to_owned()),
            );
            let label = f.text("label", MAX_LABEL);
            let kind = f.choice("kind", STEP_KINDS);
            let required = f.opt_flag("required").unwrap_or(true);
            Some(Step {
                code: code?,
                label: label?,
                kind: kind?,
                required,
            })
        });
        let mut seen = BTreeSet::new();
        for (position, step) in steps.iter().flatten().enumerate() {
            if !seen.insert(step.code.as_str()) {
                let name = format!("steps[{position}].code");
                f.refuse(codes::EXISTS, &name, "another step has that code");
            }
        }
        Some(Checklist {
            program,
            steps: steps.clone()?,
            version: 0,
        })
    })?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = onboarding::set_checklist(&app, based_on, new).await?;
    let reply = versioned(change.value.version, &schema::checklist(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// See how far a partner has come in a program.
///
/// A partner sees its own way.
#[utoipa::path(get, path = "/v1/partners/{id}/onboarding", tag = "onboarding", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("program" = String, Query, description = "The program's id")),
    responses((status = 200, description = "Each step, and whether all required ones are completed", body = schema::OnboardingView),
        (status = 422, description = "`not_enrolled`")))]
pub(crate) async fn way(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    query.only(&["program"])?;
    let partner: PartnerId = path_id(&path, "partner")?;
    principal.may_read(partner, &[Scope::Read], "partner")?;
    let program: ProgramId = query
        .id("program")?
        .ok_or_else(|| Problem::field(codes::REQUIRED, "program", "is missing"))?;
    let found = onboarding::way(&app, partner, program).await;
    let found = found.map_err(|error| match (error, &principal) {
        // Which programs there are is nobody's business who is not in them.
        (OnboardingError::ProgramNotFound, Principal::Partner(_)) => OnboardingError::NotEnrolled,
        (error, _) => error,
    })?;
    Ok(Reply::ok(&schema::way(&found)))
}

/// Confirm a step of a partner's onboarding.
///
/// For steps of the kind `confirmed`, such as a training; a second time changes nothing. Asks for the scope
/// `channel`.
#[utoipa::path(post, path = "/v1/partners/{id}/onboarding/{step}", tag = "onboarding", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("step" = String, Path, description = "The step's code"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ConfirmStepBody,
    responses((status = 200, description = "Confirmed", body = schema::OnboardingView),
        (status = 422, description = "`not_enrolled`")))]
pub(crate) async fn confirm(
    State(app): State<App>,
    operator: Operator,
    Path((path, step)): Path<(String, String)>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let partner: PartnerId = path_id(&path, "partner")?;
    let program = Fields::read(&body.0, |f| f.id("program"))?;
    let change = onboarding::confirm(&app, partner, program, &step, operator.id).await?;
    let reply = Reply::ok(&schema::way(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
