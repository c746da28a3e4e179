//! `/v1/deals`: partners register opportunities; operators decide them.

mod lists;
mod policies;
mod read;
pub mod schema;

use std::pin::Pin;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tributary::deals::decide::{self, Consent};
use tributary::deals::error::DealError;
use tributary::deals::model::Actor;
use tributary::deals::{self, Decided, Known, NewDeal, rivals};
use tributary::edge::{
    App, Body, IfMatch, NoBody, Once, Operator, Path, Principal, Problem, Reply, codes, path_id,
};
use tributary::ids::DealId;
use tributary::operators::model::Scope;
use tributary::programs;
use utoipa::OpenApi;

/// Tries of a change while others change what it rests on.
const MAX_TRIES: usize = 8;
/// What operators do with deals asks for.
const CHANNEL: &[Scope] = &[Scope::Channel];

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/deals", post(register).get(lists::list))
        .route("/v1/deals/{id}", get(find).patch(amend))
        .route("/v1/deals/{id}/timeline", get(timeline))
        .route("/v1/deals/{id}/approvers", get(approvers))
        .route("/v1/deals/{id}/submit", post(submit))
        .route("/v1/deals/{id}/withdraw", post(withdraw))
        .route("/v1/deals/{id}/review", post(review))
        .route(
            "/v1/deals/{id}/request-information",
            post(request_information),
        )
        .route(
            "/v1/deals/{id}/supply-information",
            post(supply_information),
        )
        .route("/v1/deals/{id}/approve", post(approve))
        .route("/v1/deals/{id}/reject", post(reject))
        .route("/v1/deals/{id}/extend", post(extend))
        .route("/v1/deals/{id}/won", post(won))
        .route("/v1/deals/{id}/lost", post(lost))
        .route("/v1/deals/{id}/dispute", post(raise_dispute))
        .route("/v1/deals/{id}/dispute/decision", post(decide_dispute))
        .route(
            "/v1/programs/{id}/deal-policy",
            get(policies::find).put(policies::set),
        )
        .route("/v1/programs/{id}/pipeline", get(lists::pipeline))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(
        register, lists::list, find, amend, timeline, approvers, submit, withdraw, review, request_information,
        supply_information, approve, reject, extend, won, lost, raise_dispute, decide_dispute,
        policies::find, policies::set, lists::pipeline,
    ),
    tags((name = "deals", description = "Opportunities that partners register, who approves them, and how long they are protected"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

fn id(path: &str) -> Result<DealId, Problem> {
    path_id(path, "deal")
}

/// A deal that the principal may read.
async fn readable(app: &App, principal: &Principal, path: &str) -> Result<Known, Problem> {
    if let Principal::Operator(operator) = principal {
        operator.demand(&[Scope::Read])?;
    }
    let known = deals::find(app, id(path)?).await?;
    principal.may_read(known.deal.partner, &[Scope::Read], "deal")?;
    Ok(known)
}

/// Who acts for a deal's partner: itself, or an operator in its place.
async fn acting(app: &App, principal: &Principal, path: &str) -> Result<(Known, Actor), Problem> {
    let actor = match principal {
        Principal::Operator(operator) => {
            operator.demand(CHANNEL)?;
            Actor::Operator(operator.id)
        }
        Principal::Partner(_) => Actor::Partner,
    };
    let known = readable(app, principal, path).await?;
    principal.may_change(known.deal.partner, &[Scope::Channel], "deal")?;
    Ok((known, actor))
}

/// A decision on its way.
type Deciding<'a> = Pin<Box<dyn Future<Output = Result<Decided, Problem>> + Send + 'a>>;

/// Commits what is decided, and decides it anew while others change what it rests on.
async fn commit<'a>(
    app: &App,
    once: Once,
    principal: &Principal,
    status: StatusCode,
    decide: impl Fn() -> Deciding<'a>,
) -> Result<Response, Problem> {
    if let Some(reply) = once.answered(app).await? {
        return Ok(reply.into_response());
    }
    let mut tries = 1;
    loop {
        let decided = match decide().await? {
            // A slot or a neighbour was another one's at that moment.
            Err(DealError::Moved) if tries < MAX_TRIES => {
                tries += 1;
                continue;
            }
            decided => decided?,
        };
        let view = schema::deal(&decided.value, principal);
        let reply = Reply::new(status, &view).version(decided.value.deal.version);
        let answer = once
            .commit(app, decided, |_| reply.clone(), |_| reply.clone())
            .await;
        match answer {
            Err(problem) if problem.code() == codes::CONFLICT && tries < MAX_TRIES => tries += 1,
            answer => return answer,
        }
    }
}

/// Register a deal.
///
/// It is handed in at once, or kept as a `draft`. What is handed in is weighed: whether the partner may register
/// it, whether anybody else is at the same customer, and who approves it; of two partners that register the same
/// customer and product line at the same instant one is the first, and the other gets what the program says for
/// a second one. A partner reads only what was found about itself. An operator registers for a partner that it
/// names, with the scope `channel`, and does not approve that deal then.
#[utoipa::path(post, path = "/v1/deals", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewDealBody,
    responses((status = 201, description = "Registered; its version as `ETag`", body = schema::DealView),
        (status = 409, description = "`exists`: a deal of the partner's own is for the same"),
        (status = 422, description = "`reference_unknown`, `not_enrolled`, `partner_suspended`, `currency_mismatch`"),
        (status = 429, description = "`daily_limit`")))]
async fn register(
    State(app): State<App>,
    principal: Principal,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let actor = match &principal {
        Principal::Operator(operator) => {
            operator.demand(CHANNEL)?;
            Actor::Operator(operator.id)
        }
        Principal::Partner(_) => Actor::Partner,
    };
    let once = once.of(&principal.name(), &body.0);
    let program = match read::program_of(&body.0) {
        Some(id) => programs::program(&app, id).await?,
        None => None,
    };
    commit(&app, once, &principal, StatusCode::CREATED, || {
        Box::pin(async {
            let told = read::registration(&body.0, program.as_deref())?;
            let partner = match (&principal, told.partner) {
                (Principal::Partner(own), None) => own.id,
                (Principal::Partner(own), Some(named)) if named == own.id => named,
                (Principal::Partner(_), Some(_)) => {
                    let reason = "is yourself; leave it out";
                    return Err(Problem::field(codes::REFERENCE_UNKNOWN, "partner", reason));
                }
                (Principal::Operator(_), Some(partner)) => partner,
                (Principal::Operator(_), None) => {
                    return Err(Problem::field(codes::REQUIRED, "partner", "is missing"));
                }
            };
            let new = NewDeal {
                program: told.program,
                partner,
                subject: told.subject,
                details: told.details,
            };
            Ok(deals::register(&app, new, actor, told.is_draft).await)
        })
    })
    .await
}

/// Get one deal.
///
/// A partner gets its own. Its findings are those about itself; `under_examination` says that there are others.
#[utoipa::path(get, path = "/v1/deals/{id}", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The deal's id")),
    responses((status = 200, description = "The deal, its version as `ETag`", body = schema::DealView)))]
async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let known = readable(&app, &principal, &path).await?;
    Ok(Reply::ok(&schema::deal(&known, &principal)).version(known.deal.version))
}

/// What happened to a deal.
///
/// A partner reads of its own, without which person of the vendor did it.
#[utoipa::path(get, path = "/v1/deals/{id}/timeline", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The deal's id")),
    responses((status = 200, description = "Oldest first, at most a hundred", body = schema::TimelineView)))]
async fn timeline(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let known = readable(&app, &principal, &path).await?;
    Ok(Reply::ok(&schema::timeline(&known.deal, &principal)))
}

/// Who approves a deal.
///
/// Of a draft: who would, as it stands, and what the partner lacks for it. Of other records than the partner's
/// own it says nothing.
#[utoipa::path(get, path = "/v1/deals/{id}/approvers", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The deal's id")),
    responses((status = 200, description = "The steps", body = schema::PreviewView),
        (status = 422, description = "`not_enrolled`, `partner_suspended`")))]
async fn approvers(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let known = readable(&app, &principal, &path).await?;
    let preview = deals::preview(&app, &known).await?;
    Ok(Reply::ok(&schema::preview(&preview, &principal)))
}

/// Change a draft.
///
/// What is absent stays; `expected_close`, `description` and `contact` go where they are `null`.
/// An operator acts in the partner's place with the scope `channel`.
#[utoipa::path(patch, path = "/v1/deals/{id}", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::DealPatchBody,
    responses((status = 200, description = "Changed", body = schema::DealView),
        (status = 409, description = "`wrong_state`: it is no draft"),
        (status = 412, description = "`version_stale`")))]
async fn amend(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let once = once.of(&principal.name(), &body.0);
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let (known, _) = acting(&app, &principal, &path).await?;
            let amended = read::amended(&body.0, &known)?;
            Ok(deals::amend(&app, known, based_on, amended).await)
        })
    })
    .await
}

/// Hand a draft in.
///
/// The body is empty. What happens is as for a deal that is handed in as it is registered.
/// An operator acts in the partner's place with the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/submit", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Handed in", body = schema::DealView),
        (status = 409, description = "`wrong_state`, or `exists`: a deal of the partner's own is for the same"),
        (status = 412, description = "`version_stale`"), (status = 429, description = "`daily_limit`")))]
async fn submit(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    let once = once.of(&principal.name(), &json!({}));
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let (known, actor) = acting(&app, &principal, &path).await?;
            Ok(deals::submit(&app, known, based_on, actor).await)
        })
    })
    .await
}

/// Take a deal back.
///
/// The body is empty. A draft, one that waits, or an approved one, whose protection ends with it.
/// An operator acts in the partner's place with the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/withdraw", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Withdrawn", body = schema::DealView),
        (status = 409, description = "`wrong_state`: it has ended"), (status = 412, description = "`version_stale`")))]
async fn withdraw(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    let once = once.of(&principal.name(), &json!({}));
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let (known, actor) = acting(&app, &principal, &path).await?;
            Ok(deals::withdraw(&app, known, based_on, actor).await)
        })
    })
    .await
}

/// Take a deal up.
///
/// The body is empty. Its partner sees that somebody looks at it. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/review", tag = "deals", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "In review", body = schema::DealView),
        (status = 409, description = "`wrong_state`"), (status = 412, description = "`version_stale`")))]
async fn review(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    operator.demand(CHANNEL)?;
    let once = once.of(&operator.id.to_string(), &json!({}));
    let by = operator.id;
    let principal = Principal::Operator(operator);
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let known = deals::find(&app, id(&path)?).await?;
            Ok(decide::take_up(&app, known, based_on, by))
        })
    })
    .await
}

/// Ask a deal's partner for more.
///
/// Its approval's hours stand still until the answer; without one in the program's `answer_days` it is rejected
/// as incomplete. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/request-information", tag = "deals", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::QuestionBody,
    responses((status = 200, description = "Asked", body = schema::DealView),
        (status = 409, description = "`wrong_state`"), (status = 412, description = "`version_stale`")))]
async fn request_information(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(CHANNEL)?;
    let once = once.of(&operator.id.to_string(), &body.0);
    let by = operator.id;
    let principal = Principal::Operator(operator);
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let question = read::words(&body.0, "question")?;
            let known = deals::find(&app, id(&path)?).await?;
            Ok(decide::ask(&app, known, based_on, question, by).await)
        })
    })
    .await
}

/// Answer what is asked about a deal.
///
/// An operator acts in the partner's place with the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/supply-information", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::AnswerBody,
    responses((status = 200, description = "Submitted again", body = schema::DealView),
        (status = 409, description = "`wrong_state`: nothing is asked"), (status = 412, description = "`version_stale`")))]
async fn supply_information(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let once = once.of(&principal.name(), &body.0);
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let answer = read::words(&body.0, "answer")?;
            let (known, actor) = acting(&app, &principal, &path).await?;
            Ok(deals::answer(&app, known, based_on, answer, actor).await)
        })
    })
    .await
}

/// Consent to a step of a deal's approval.
///
/// With the last consent the deal is approved and protected. A step waits for its named approvers, once it is
/// overdue also for whom it is passed on to; each consent of a deal is another person's, and nobody with a stake
/// in the account consents. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/approve", tag = "deals", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ConsentBody,
    responses((status = 200, description = "Consented", body = schema::DealView),
        (status = 403, description = "`stake_in_account`, `not_approver`"),
        (status = 409, description = "`wrong_state`, also where an earlier deal is to be decided before"),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "`not_one_of` for a step that does not wait")))]
async fn approve(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(CHANNEL)?;
    let once = once.of(&operator.id.to_string(), &body.0);
    let by = operator.id;
    let principal = Principal::Operator(operator);
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let (step, note, discount) = read::consent(&body.0)?;
            let known = deals::find(&app, id(&path)?).await?;
            let consent = Consent {
                based_on,
                by,
                step,
                note,
                discount,
            };
            Ok(decide::approve(&app, known, consent).await)
        })
    })
    .await
}

/// Reject a deal.
///
/// For one reason of a list. Others may register the customer from then on. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/reject", tag = "deals", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::RejectionBody,
    responses((status = 200, description = "Rejected", body = schema::DealView),
        (status = 409, description = "`wrong_state`"), (status = 412, description = "`version_stale`")))]
async fn reject(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(CHANNEL)?;
    let once = once.of(&operator.id.to_string(), &body.0);
    let by = operator.id;
    let principal = Principal::Operator(operator);
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let (reason, note) = read::rejection(&body.0)?;
            let known = deals::find(&app, id(&path)?).await?;
            Ok(decide::reject(&app, known, based_on, by, reason, note).await)
        })
    })
    .await
}

/// Extend a deal's protection.
///
/// The body is empty. Once, by the program's `extension_days`, before it ends.
/// An operator acts in the partner's place with the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/extend", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Extended", body = schema::DealView),
        (status = 409, description = "`wrong_state`: it is extended, has ended, or the program extends none"),
        (status = 412, description = "`version_stale`")))]
async fn extend(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    let once = once.of(&principal.name(), &json!({}));
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let (known, actor) = acting(&app, &principal, &path).await?;
            Ok(decide::extend(&app, known, based_on, actor).await)
        })
    })
    .await
}

/// Win a deal.
///
/// Where it brings a commission the amount becomes a conversion of the program's event in the same step, credited
/// to the partner; it is held, paid and reversed as any other. Of a deal that two share each gets a conversion of
/// its share. Where the customer's shop posted the sale itself, `conversion` names it and nothing more is made; as
/// long as such a conversion is credited because of the deal, winning it with none is refused unless it is
/// `another_sale`. Asks for the scope `channel` or `finance`.
#[utoipa::path(post, path = "/v1/deals/{id}/won", tag = "deals", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::SaleBody,
    responses((status = 200, description = "Won", body = schema::DealView),
        (status = 409, description = "`wrong_state`, also for a partner that cannot be credited; `exists` where a conversion of the transaction stands, or one was posted that is credited because of the deal"),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "`currency_mismatch`, `time_in_future`, `reference_unknown` for a conversion that is not the deal's")))]
async fn won(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel, Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    let by = operator.id;
    let principal = Principal::Operator(operator);
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let known = deals::find(&app, id(&path)?).await?;
            let program = programs::program(&app, known.deal.program)
                .await?
                .ok_or_else(|| Problem::internal(&"a deal's program does not exist"))?;
            let sale = read::sale(&body.0, program.currency)?;
            Ok(decide::win(&app, &program, known, based_on, sale, by).await)
        })
    })
    .await
}

/// Lose a deal.
///
/// The customer does not buy; others may register it from then on.
/// An operator acts in the partner's place with the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/lost", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NoteBody,
    responses((status = 200, description = "Lost", body = schema::DealView),
        (status = 409, description = "`wrong_state`"), (status = 412, description = "`version_stale`")))]
async fn lost(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let once = once.of(&principal.name(), &body.0);
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let note = read::note(&body.0)?;
            let (known, actor) = acting(&app, &principal, &path).await?;
            Ok(decide::lose(&app, known, based_on, actor, note).await)
        })
    })
    .await
}

/// Dispute a deal's rejection.
///
/// Of one that was rejected as the duplicate of another partner's, within the program's `dispute_days`. It is
/// decided within as many days, or the deal stays with whoever has it.
/// An operator acts in the partner's place with the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/dispute", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The deal's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::StatementBody,
    responses((status = 200, description = "Disputed", body = schema::DealView),
        (status = 409, description = "`wrong_state`: there is nothing to dispute; `dispute_open`"),
        (status = 412, description = "`version_stale`"), (status = 422, description = "`dispute_late`")))]
async fn raise_dispute(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let once = once.of(&principal.name(), &body.0);
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let statement = read::words(&body.0, "statement")?;
            let (known, actor) = acting(&app, &principal, &path).await?;
            Ok(rivals::raise(&app, known, based_on, statement, actor).await)
        })
    })
    .await
}

/// Decide a dispute over a deal.
///
/// For whoever disputes, whose deal is approved and protected then, while the other's is rejected; for whoever has
/// it; for both, who share it; or for neither. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/deals/{id}/dispute/decision", tag = "deals", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The id of the deal whose rejection is disputed"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::AwardBody,
    responses((status = 200, description = "Decided", body = schema::DealView),
        (status = 403, description = "`stake_in_account`"),
        (status = 409, description = "`wrong_state`: no dispute is open, or the other deal is not approved and cannot be shared"),
        (status = 412, description = "`version_stale`")))]
async fn decide_dispute(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(CHANNEL)?;
    let once = once.of(&operator.id.to_string(), &body.0);
    let by = operator.id;
    let principal = Principal::Operator(operator);
    commit(&app, once, &principal, StatusCode::OK, || {
        Box::pin(async {
            let (award, note) = read::award(&body.0)?;
            let known = deals::find(&app, id(&path)?).await?;
            Ok(rivals::decide(&app, known, based_on, award, by, note).await)
        })
    })
    .await
}
