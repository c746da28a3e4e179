//! `/v1/partners/{id}/enrolments`: which programs a partner is in, under which plans and below whom.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::future::try_join_all;
use tributary::edge::{
    App, Body, Cursor, Fields, Limit, Once, Operator, Path, Principal, Problem, Query, Reply,
    codes, path_id,
};
use tributary::ids::PartnerId;
use tributary::operators::model::Scope;
use tributary::partners::{self, Enrolled, Placement, Terms};
use tributary::programs;
use tributary::programs::model::{MAX_CODE, is_plan_code};

use crate::schema;

/// Tries to find a place while others find theirs.
const MAX_TRIES: usize = 8;

/// Enrol a partner in a program.
///
/// Without a plan of its own the partner is paid by the program's default, and what a link's clicks bring by
/// the link's plan where it has one. Another plan or upline for a partner who is enrolled holds from
/// `effective_from` on, now unless told and not in the past, and replaces what was to begin after it; the same
/// again changes nothing. The upline, who earns on what the partner sells where the plan has levels, is in the
/// program itself; nobody stands below itself, and at most ten stand above a partner. Asks for the scope
/// `channel`.
#[utoipa::path(post, path = "/v1/partners/{id}/enrolments", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewEnrolmentBody,
    responses((status = 201, description = "Enrolled", body = schema::EnrolmentView),
        (status = 200, description = "Was enrolled; plan and upline are as asked for", body = schema::EnrolmentView),
        (status = 422, description = "`upline_cycle` with the way up, `upline_too_deep`, `upline_in_past`, `not_enrolled` for the upline")))]
pub(crate) async fn enrol(
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
    let id: PartnerId = path_id(&path, "partner")?;
    let placement = Fields::read(&body.0, |f| {
        let program = f.id("program");
        let is_said = f.mentions("plan");
        let plan = f.opt_parsed(
            "plan",
            MAX_CODE,
            codes::CHARACTERS_REFUSED,
            "is a plan's code",
            |text| is_plan_code(text).then(|| text.to_owned()),
        );
        let terms = match (plan, is_said) {
            (Some(plan), _) => Terms::Plan(plan),
            (None, true) => Terms::Default,
            (None, false) => Terms::Unsaid,
        };
        // `null` says that nobody stands above it any more.
        let upline = f.mentions("upline").then(|| f.opt_id("upline"));
        let effective_from = f.opt_time("effective_from");
        Some(Placement {
            program: program?,
            terms,
            upline,
            effective_from,
        })
    })?;
    let mut tries = 1;
    loop {
        let change = partners::enrol(&app, id, placement.clone()).await?;
        let reply = match &change.value {
            Enrolled::New(enrolment) => Reply::created(&schema::enrolment(enrolment)),
            Enrolled::Again(enrolment) => Reply::ok(&schema::enrolment(enrolment)),
        };
        let answer = once
            .commit(&app, change, |_| reply.clone(), |_| reply.clone())
            .await;
        match answer {
            // The tree moved meanwhile, perhaps elsewhere: look again.
            Err(problem) if problem.code() == codes::CONFLICT && tries < MAX_TRIES => tries += 1,
            answer => return answer,
        }
    }
}

/// List a partner's enrolments.
///
/// A partner reads its own.
#[utoipa::path(get, path = "/v1/partners/{id}/enrolments", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::EnrolmentListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    let id: PartnerId = path_id(&path, "partner")?;
    principal.may_read(id, &[Scope::Read], "partner")?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let list = format!("enrolments?partner={id}");
    let after = Cursor::read(&list, query.get("cursor"))?;
    partners::find(&app, id).await?;
    let (found, position) = partners::enrolments(&app, id, after, limit).await?;
    // A partner reads of a program what it is called and its currency, and no more of it.
    let named = found
        .iter()
        .map(|place| programs::program(&app, place.program));
    let named = try_join_all(named).await?;
    let items = found.iter().zip(&named).map(|(place, program)| {
        let name = program.as_ref().map(|program| program.name.clone());
        schema::EnrolmentView {
            program_name: name,
            program_currency: program.as_ref().map(|program| program.currency.code()),
            ..schema::enrolment(place)
        }
    });
    Ok(Reply::ok(&schema::EnrolmentListView {
        items: items.collect(),
        next_cursor: position.map(|position| Cursor::write(&list, &position)),
    }))
}
