//! `/v1/disputes`: partners say what is missing or wrong; operators decide it.

mod read;
pub mod schema;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tributary::disputes::{self, Known, Listed};
use tributary::edge::{
    App, Body, Cursor, IfMatch, Limit, NoBody, Once, Operator, PartnerPrincipal, Path, Principal,
    Problem, Query, Reply, codes, path_id,
};
use tributary::ids::{DisputeId, PartnerId, ProgramId};
use tributary::operators::model::Scope;
use tributary::programs;
use utoipa::OpenApi;

/// Tries to decide while others change the conversion.
const MAX_TRIES: usize = 8;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/disputes", post(raise).get(list))
        .route("/v1/disputes/{id}", get(find))
        .route("/v1/disputes/{id}/withdraw", post(withdraw))
        .route("/v1/disputes/{id}/decision", post(decide))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(raise, list, find, withdraw, decide),
    tags((name = "disputes", description = "What partners say is missing or wrong, and what is decided"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Raise a dispute.
///
/// For partners. About a conversion that the partner is credited with, or about a transaction by the
/// sender's id of it, whether there is a conversion of it or not. A program gives so many days for it after
/// the event (`dispute_days`, 60 unless told); a partner has one open dispute about the same.
#[utoipa::path(post, path = "/v1/disputes", tag = "disputes", security(("partner_key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewDisputeBody,
    responses((status = 201, description = "Raised; its version as `ETag`", body = schema::DisputeView),
        (status = 409, description = "`dispute_open`"),
        (status = 422, description = "`dispute_late`, `reference_unknown`, `time_in_future`")))]
async fn raise(
    State(app): State<App>,
    partner: PartnerPrincipal,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let once = once.of(&partner.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let new = read::dispute(&body.0)?;
    let change = disputes::raise(&app, partner.id, new).await?;
    let view = schema::dispute(&change.value).for_partner();
    let reply = Reply::created(&view).version(change.value.dispute.version);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// List disputes.
///
/// A partner lists its own, newest first. An operator names the program or the partner; with `state=open`
/// it lists the program's open ones, oldest first.
#[utoipa::path(get, path = "/v1/disputes", tag = "disputes", security(("operator_key" = []), ("partner_key" = [])),
    params(("program" = Option<String>, Query, description = "Of this program"),
        ("state" = Option<String>, Query, description = "`open`: what waits for a decision in the program"),
        ("partner" = Option<String>, Query, description = "Raised by this partner"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::DisputeListView)))]
async fn list(
    State(app): State<App>,
    principal: Principal,
    query: Query,
) -> Result<Reply, Problem> {
    query.only(&["program", "state", "partner", "limit", "cursor"])?;
    let listed = listed(&principal, &query)?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = match listed {
        Listed::Program(id) => format!("disputes?program={id}"),
        Listed::Open(id) => format!("disputes?program={id}&state=open"),
        Listed::Partner(id) => format!("disputes?partner={id}"),
    };
    let beyond = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = disputes::list(&app, listed, beyond, limit).await?;
    Ok(Reply::ok(&schema::DisputeListView {
        items: found.iter().map(|known| shown(known, &principal)).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Which list is asked for; one that the principal may read.
fn listed(principal: &Principal, query: &Query) -> Result<Listed, Problem> {
    let program: Option<ProgramId> = query.id("program")?;
    let partner: Option<PartnerId> = query.id("partner")?;
    let open = match query.get("state") {
        None => false,
        Some("open") => true,
        Some(_) => {
            return Err(Problem::field(
                codes::NOT_ONE_OF,
                "state",
                "is one of: open",
            ));
        }
    };
    match (program, partner, principal) {
        (None, None, Principal::Partner(own)) if !open => Ok(Listed::Partner(own.id)),
        (None, Some(partner), _) if !open => {
            principal.may_read(partner, &[Scope::Read], "partner")?;
            Ok(Listed::Partner(partner))
        }
        (Some(program), None, Principal::Operator(operator)) => {
            operator.demand(&[Scope::Read])?;
            Ok(if open {
                Listed::Open(program)
            } else {
                Listed::Program(program)
            })
        }
        (_, _, Principal::Partner(_)) => Err(Problem::new(
            codes::FORBIDDEN,
            "a partner lists its own disputes, all of them",
        )),
        (None, None, Principal::Operator(_)) => Err(Problem::field(
            codes::REQUIRED,
            "program",
            "name the program or the partner whose disputes to list",
        )),
        (_, Some(_), Principal::Operator(_)) => Err(Problem::field(
            codes::UNKNOWN_FIELD,
            "partner",
            "name either the partner or the program; open ones are listed by program",
        )),
    }
}

fn shown(known: &Known, principal: &Principal) -> schema::DisputeView {
    let view = schema::dispute(known);
    match principal {
        Principal::Operator(_) => view,
        Principal::Partner(_) => view.for_partner(),
    }
}

/// Get one dispute.
///
/// A partner gets its own.
#[utoipa::path(get, path = "/v1/disputes/{id}", tag = "disputes", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The dispute's id")),
    responses((status = 200, description = "The dispute, its version as `ETag`", body = schema::DisputeView)))]
async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    if let Principal::Operator(operator) = &principal {
        operator.demand(&[Scope::Read])?;
    }
    let known = disputes::find(&app, id(&path)?).await?;
    principal.may_read(known.dispute.partner, &[Scope::Read], "dispute")?;
    Ok(Reply::ok(&shown(&known, &principal)).version(known.dispute.version))
}

fn id(path: &str) -> Result<DisputeId, Problem> {
    path_id(path, "dispute")
}

/// Withdraw a dispute.
///
/// For the partner that raised it, while it is open. The body is empty.
#[utoipa::path(post, path = "/v1/disputes/{id}/withdraw", tag = "disputes", security(("partner_key" = [])),
    params(("id" = String, Path, description = "The dispute's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Withdrawn", body = schema::DisputeView),
        (status = 409, description = "`wrong_state`: it has ended")))]
async fn withdraw(
    State(app): State<App>,
    partner: PartnerPrincipal,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    let once = once.of(&partner.id.to_string(), &json!({}));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let change = disputes::withdraw(&app, partner.id, id(&path)?).await?;
    let view = schema::dispute(&change.value).for_partner();
    let reply = Reply::ok(&view).version(change.value.dispute.version);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Decide a dispute.
///
/// What is upheld, wholly or in part, is made good in the same step: by a `conversion` that is recorded and
/// credited to the partner on the operator's word, in the place of click and coupon, by an `amendment` of
/// the disputed conversion's amount, or by an `adjustment`, which gives the partner an amount whatever a plan
/// says. What the first two pay follows from the plan as for any other. The reason is one
/// of a list and fits the outcome. Asks for the scope `finance`.
#[utoipa::path(post, path = "/v1/disputes/{id}/decision", tag = "disputes", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The dispute's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::DecisionBody,
    responses((status = 200, description = "Decided", body = schema::DisputeView),
        (status = 409, description = "`wrong_state` for one that has ended or whose partner cannot be credited, `exists` where a conversion of the transaction stands"),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "`not_one_of` for a reason that does not fit, `required`, `currency_mismatch`, `amendment_below_reversed`")))]
async fn decide(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id = id(&path)?;
    let mut tries = 1;
    loop {
        let known = disputes::find(&app, id).await?;
        let program = programs::program(&app, known.dispute.program)
            .await?
            .ok_or_else(|| Problem::internal(&"a dispute's program does not exist"))?;
        let new = read::decision(&app, &body.0, &known.dispute, &program)?(based_on, operator.id);
        let change = disputes::decide(&app, &program, known, new).await?;
        let view = schema::dispute(&change.value);
        let reply = Reply::ok(&view).version(change.value.dispute.version);
        let answer = once
            .commit(&app, change, |_| reply.clone(), |_| reply.clone())
            .await;
        match answer {
            // Somebody changed the conversion that is amended: weigh it again.
            Err(problem) if problem.code() == codes::CONFLICT && tries < MAX_TRIES => tries += 1,
            answer => return answer,
        }
    }
}
