//! `/v1/claims` and what they rest on: a program's channel, its partners' profiles, the vendor's accounts,
//! referrals, and whose customer somebody is.

mod channel;
mod read;
pub mod schema;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tributary::claims::error::ClaimError;
use tributary::claims::records;
use tributary::edge::{
    App, Body, Cursor, Limit, NoBody, Once, Operator, Path, Principal, Problem, Query, Reply,
    codes, path_id, versioned,
};
use tributary::ids::{ClaimId, PartnerId, ProgramId};
use tributary::operators::model::Scope;
use tributary::partners;
use utoipa::OpenApi;

/// Tries to register while others register the same customer.
const MAX_TRIES: usize = 8;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route(
            "/v1/programs/{id}/channel",
            get(channel::find).put(channel::say),
        )
        .route("/v1/partners/{id}/profiles", get(channel::profiles))
        .route(
            "/v1/partners/{id}/profiles/{program}",
            get(channel::profile).put(channel::describe),
        )
        .route("/v1/programs/{id}/accounts", post(declare))
        .route("/v1/programs/{id}/referrals", post(refer).get(referrals))
        .route("/v1/programs/{id}/claims", get(list))
        .route("/v1/programs/{id}/claims:resolve", post(resolve))
        .route("/v1/claims/{id}", get(find))
        .route("/v1/claims/{id}/end", post(end))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(
        channel::find, channel::say, channel::profiles, channel::profile, channel::describe,
        declare, refer, referrals, list, resolve, find, end,
    ),
    tags(
        (name = "channel", description = "Product lines, tiers, territories and the precedence of claims"),
        (name = "claims", description = "Who has a right to which customer, and why"),
    )
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Register an account of the vendor's own.
///
/// Or its open opportunity, where one is named; the same account or opportunity replaces what was said of it.
/// One whose `until` has passed is ended by that. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/programs/{id}/accounts", tag = "claims", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::AccountBody,
    responses((status = 200, description = "Registered", body = schema::ClaimView),
        (status = 409, description = "`limit_reached`: the customer has too many open opportunities"),
        (status = 422, description = "`reference_unknown` for a product line, `range_empty`")))]
async fn declare(
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
    let account = read::account(&body.0)?;
    let mut tries = 1;
    loop {
        let change = records::declare(&app, program, account.clone()).await?;
        let reply = versioned(change.value.version, &schema::claim(&change.value));
        let answer = once
            .commit(&app, change, |_| reply.clone(), |_| reply.clone())
            .await;
        match answer {
            Err(problem) if problem.code() == codes::CONFLICT && tries < MAX_TRIES => tries += 1,
            answer => return answer,
        }
    }
}

/// Refer a customer.
///
/// A partner names a customer, and has the right to it that the program gives to referrals, for the program's
/// `referral_days`; the first day on which it named the customer counts. Others' rights are not told. An
/// operator with the scope `channel` names the partner.
#[utoipa::path(post, path = "/v1/programs/{id}/referrals", tag = "claims", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ReferralBody,
    responses((status = 200, description = "Registered", body = schema::ClaimView),
        (status = 404, description = "`not_found`: no such program, or the partner is not in it"),
        (status = 429, description = "`daily_limit`: a partner names at most 100 customers a day"),
        (status = 422, description = "`not_enrolled` where an operator names the partner, `partner_suspended`, `reference_unknown` for a product line")))]
async fn refer(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let own = match &principal {
        Principal::Partner(partner) => Some(partner.id),
        Principal::Operator(operator) => {
            operator.demand(&[Scope::Channel])?;
            None
        }
    };
    let once = once.of(&principal.name(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let program: ProgramId = path_id(&path, "program")?;
    let referral = read::referral(&body.0, own)?;
    principal.may_read(referral.partner, &[Scope::Channel], "partner")?;
    let mut tries = 1;
    loop {
        let change = match (records::refer(&app, program, referral.clone()).await, own) {
            // A program that the partner is not in is none of its business.
            (Err(ClaimError::NotEnrolled), Some(_)) => return Err(Problem::not_found("program")),
            (change, _) => change?,
        };
        let view = schema::claim(&change.value).for_partner_if(own.is_some());
        let reply = versioned(change.value.version, &view);
        let answer = once
            .commit(&app, change, |_| reply.clone(), |_| reply.clone())
            .await;
        match answer {
            Err(problem) if problem.code() == codes::CONFLICT && tries < MAX_TRIES => tries += 1,
            answer => return answer,
        }
    }
}

/// List a partner's referrals.
///
/// Newest first. A partner lists its own; an operator names the partner.
#[utoipa::path(get, path = "/v1/programs/{id}/referrals", tag = "claims", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("partner" = Option<String>, Query, description = "Whose; a partner's own unless told"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::ClaimListView)))]
async fn referrals(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    query.only(&["partner", "limit", "cursor"])?;
    let named: Option<PartnerId> = query.id("partner")?;
    let partner = match (named, &principal) {
        (Some(partner), _) => partner,
        (None, Principal::Partner(own)) => own.id,
        (None, Principal::Operator(_)) => {
            let reason = "name the partner whose referrals to list";
            return Err(Problem::field(codes::REQUIRED, "partner", reason));
        }
    };
    principal.may_read(partner, &[Scope::Read], "partner")?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let program: ProgramId = path_id(&path, "program")?;
    let name = format!("referrals?program={program}&partner={partner}");
    let below = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = records::referrals(&app, program, partner, below, limit).await?;
    let is_partner = matches!(principal, Principal::Partner(_));
    Ok(Reply::ok(&schema::ClaimListView {
        items: found
            .iter()
            .map(|claim| schema::claim(claim).for_partner_if(is_partner))
            .collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// List a program's registered claims.
///
/// Newest first: the vendor's accounts and opportunities, deals, leads and referrals.
#[utoipa::path(get, path = "/v1/programs/{id}/claims", tag = "claims", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::ClaimListView)))]
async fn list(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let program: ProgramId = path_id(&path, "program")?;
    let name = format!("claims?program={program}");
    let below = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = records::list(&app, program, below, limit).await?;
    Ok(Reply::ok(&schema::ClaimListView {
        items: found.iter().map(schema::claim).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Find out whose customer somebody is.
///
/// For any customer and moment: who wins by the program's precedence and why, with everybody who does not and
/// why. Customers of alike names are proposed beside the answer and decide nothing. Nothing is recorded.
#[utoipa::path(post, path = "/v1/programs/{id}/claims:resolve", tag = "claims", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    request_body = schema::QuestionBody,
    responses((status = 200, description = "The answer", body = schema::AnswerView)))]
async fn resolve(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    body: Body,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let program: ProgramId = path_id(&path, "program")?;
    let question = read::question(&app, program, &body.0)?;
    let answer = records::answer(&app, program, question).await?;
    Ok(Reply::ok(&schema::answer(&answer)))
}

/// Get an account's or a referral's claim.
///
/// A partner gets its own referrals.
#[utoipa::path(get, path = "/v1/claims/{id}", tag = "claims", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The claim's id")),
    responses((status = 200, description = "The claim; its version as `ETag`", body = schema::ClaimView)))]
async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    if let Principal::Operator(operator) = &principal {
        operator.demand(&[Scope::Read])?;
    }
    let claim = records::find(&app, id(&path)?).await?;
    own(&principal, claim.partner)?;
    let is_partner = matches!(principal, Principal::Partner(_));
    let view = schema::claim(&claim).for_partner_if(is_partner);
    Ok(versioned(claim.version, &view))
}

fn id(path: &str) -> Result<ClaimId, Problem> {
    path_id(path, "claim")
}

/// Lets operators through, and a partner to what is its own.
fn own(principal: &Principal, partner: Option<PartnerId>) -> Result<(), Problem> {
    match principal {
        Principal::Operator(_) => Ok(()),
        Principal::Partner(own) if partner.is_some_and(|partner| own.owns(partner)) => Ok(()),
        Principal::Partner(_) => Err(Problem::not_found("claim")),
    }
}

/// End an account's or a referral's claim.
///
/// From now on; what it gave before stays. A partner ends its own referrals; an operator with the scope
/// `channel` ends any. The body is empty.
#[utoipa::path(post, path = "/v1/claims/{id}/end", tag = "claims", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The claim's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Ended", body = schema::ClaimView),
        (status = 409, description = "`wrong_state`: it has ended already")))]
async fn end(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    if let Principal::Operator(operator) = &principal {
        operator.demand(&[Scope::Channel])?;
    }
    let once = once.of(&principal.name(), &json!({}));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id = id(&path)?;
    // What was a merged partner's is for the other to end.
    let whose = match records::find(&app, id).await?.partner {
        Some(partner) => Some(partners::heir(&app, partner).await?),
        None => None,
    };
    own(&principal, whose)?;
    let change = records::end(&app, id).await?;
    let is_partner = matches!(principal, Principal::Partner(_));
    let view = schema::claim(&change.value).for_partner_if(is_partner);
    let reply = versioned(change.value.version, &view);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
