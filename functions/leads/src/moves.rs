//! What partners and operators do with a lead.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tributary::edge::{
    App, Body, Change, Fields, IfMatch, NoBody, Once, Operator, PartnerPrincipal, Path, Principal,
    Problem, Reply, codes,
};
use tributary::ids::PartnerId;
use tributary::leads::error::LeadError;
use tributary::leads::model::{DECLINE_REASONS, LOSS_REASONS, LossReason, PROGRESS};
use tributary::leads::{self, Known, Target, pause_before};
use tributary::operators::model::Scope;
use tributary::programs::{self, model::Program};
use tributary::tracking::model::{DEFAULT_EVENT, Posting};
use tributary::tracking::posting;

use crate::{MAX_TRIES, lead_id, schema};

/// Characters of where a lead is sent.
const MAX_TARGET: usize = 64;

/// Decides, commits and answers, again while others come before.
async fn moved<F>(
    app: &App,
    once: &Once,
    partner: Option<PartnerId>,
    decide: impl Fn() -> F,
) -> Result<Response, Problem>
where
    F: Future<Output = Result<Change<Known, LeadError>, LeadError>>,
{
    let view = |known: &Known| {
        let view = match partner {
            Some(partner) => schema::for_partner(known, partner),
            None => schema::for_operator(known),
        };
        Reply::ok(&view).version(known.lead.version)
    };
    let mut round = 0;
    loop {
        pause_before(round).await;
        round += 1;
        let change = match decide().await {
            Err(LeadError::Moved) if round < MAX_TRIES => continue,
            change => change?,
        };
        let reply = view(&change.value);
        let answer = once
            .commit(app, change, |_| reply.clone(), |_| reply.clone())
            .await;
        match answer {
            Err(problem) if problem.code() == codes::CONFLICT && round < MAX_TRIES => {}
            answer => return answer,
        }
    }
}

/// Accept a lead.
///
/// For the partner that it is offered to, until `respond_by`. From then on it sees who asks, and has a claim to
/// the customer for the program's `lead_days`.
#[utoipa::path(post, path = "/v1/leads/{id}/accept", tag = "leads", operation_id = "accept_lead", security(("partner_key" = [])),
    params(("id" = String, Path, description = "The lead's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Accepted", body = schema::LeadView),
        (status = 409, description = "`already_accepted`, `offer_expired`, `customer_claimed`, `wrong_state`, `terms_not_accepted`")))]
pub(crate) async fn accept(
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
    let id = lead_id(&path)?;
    moved(&app, &once, Some(partner.id), || {
        leads::accept(&app, partner.id, id)
    })
    .await
}

/// Decline a lead.
///
/// For the partner that it is offered to, for good: it is never offered to it again. It passes to the next
/// candidate, and after the last one to the vendor's queue.
#[utoipa::path(post, path = "/v1/leads/{id}/decline", tag = "leads", operation_id = "decline_lead", security(("partner_key" = [])),
    params(("id" = String, Path, description = "The lead's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::DeclineBody,
    responses((status = 200, description = "Declined", body = schema::LeadView),
        (status = 409, description = "`already_accepted`, `offer_expired`, `wrong_state`"),
        (status = 422, description = "`not_one_of`")))]
pub(crate) async fn decline(
    State(app): State<App>,
    partner: PartnerPrincipal,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let once = once.of(&partner.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id = lead_id(&path)?;
    let _ = leads::find_offered(&app, partner.id, id).await?;
    let reason = Fields::read(&body.0, |f| f.choice("reason", DECLINE_REASONS))?;
    moved(&app, &once, Some(partner.id), || {
        leads::decline(&app, partner.id, id, reason)
    })
    .await
}

/// Move a lead to another stage.
///
/// For the partner that has accepted it: `working`, `qualified` or `proposal`, in any order. It also says that
/// somebody works on it: a lead that lies idle for the program's `idle_days` is taken back. A partner moves a lead
/// twelve times (then `limit_reached`), so that nobody keeps it for ever by moving it to and fro.
#[utoipa::path(post, path = "/v1/leads/{id}/progress", tag = "leads", operation_id = "progress_lead", security(("partner_key" = [])),
    params(("id" = String, Path, description = "The lead's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ProgressBody,
    responses((status = 200, description = "Moved", body = schema::LeadView),
        (status = 409, description = "`wrong_state`, `limit_reached`"),
        (status = 422, description = "`not_one_of`")))]
pub(crate) async fn progress(
    State(app): State<App>,
    partner: PartnerPrincipal,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let once = once.of(&partner.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id = lead_id(&path)?;
    let _ = leads::find_offered(&app, partner.id, id).await?;
    let stage = Fields::read(&body.0, |f| f.choice("stage", PROGRESS))?;
    moved(&app, &once, Some(partner.id), || {
        leads::progress(&app, partner.id, id, stage)
    })
    .await
}

/// Record that a lead was won.
///
/// Makes an ordinary conversion of it, credited to the partner that has it; what it pays follows from the plan as
/// for any other. The transaction is the lead unless told, the time is now unless told. Asks for the scope
/// `finance`, because it pays.
#[utoipa::path(post, path = "/v1/leads/{id}/won", tag = "leads", operation_id = "win_lead", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The lead's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::WonBody,
    responses((status = 200, description = "Won", body = schema::LeadView),
        (status = 409, description = "`wrong_state`, also where nobody would be credited; `exists` where a conversion of the transaction stands"),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "Each wrong field with its reason")))]
pub(crate) async fn won(
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
    let id = lead_id(&path)?;
    let known = leads::find(&app, id).await?;
    let program = programs::program(&app, known.lead.program)
        .await?
        .ok_or_else(|| Problem::internal(&"a lead's program does not exist"))?;
    let posting = read_won(&app, &body.0, &program, &known)?;
    moved(&app, &once, None, || async {
        let known = leads::find(&app, id).await?;
        leads::win(&app, &program, known, based_on, &posting).await
    })
    .await
}

fn read_won(app: &App, body: &Value, program: &Program, known: &Known) -> Result<Posting, Problem> {
    let about = posting::About {
        event: DEFAULT_EVENT.to_owned(),
        transaction_id: Some(known.lead.id.to_string()),
        occurred_at: app.now(),
    };
    Fields::read(body, |f| {
        if f.raw("amount").is_none() {
            f.refuse(codes::REQUIRED, "amount", "is missing");
        }
        posting::told(f, &app.keyring, program, app.now(), about)
    })
}

/// Record that a lead was lost.
///
/// The partner that has accepted it says so, or an operator with the scope `channel`, who names the version in
/// `If-Match` and may close one that nobody has accepted as well.
#[utoipa::path(post, path = "/v1/leads/{id}/lost", tag = "leads", operation_id = "lose_lead", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The lead's id"),
        ("If-Match" = Option<String>, Header, description = "For operators: the `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::LostBody,
    responses((status = 200, description = "Lost", body = schema::LeadView),
        (status = 409, description = "`wrong_state`"),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "`not_one_of`"),
        (status = 428, description = "`if_match_missing`")))]
pub(crate) async fn lost(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    based_on: Option<IfMatch>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    if let Principal::Operator(operator) = &principal {
        operator.demand(&[Scope::Channel])?;
    }
    let once = once.of(&principal.name(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id = lead_id(&path)?;
    let by = match (&principal, based_on) {
        (Principal::Partner(own), _) => {
            let _ = leads::find_offered(&app, own.id, id).await?;
            Ok(own.id)
        }
        (Principal::Operator(_), Some(IfMatch(version))) => {
            let _ = leads::find(&app, id).await?;
            Err(version)
        }
        (Principal::Operator(_), None) => {
            let missing = codes::IF_MATCH_MISSING;
            return Err(Problem::new(missing, missing.meaning));
        }
    };
    let reason: LossReason = Fields::read(&body.0, |f| f.choice("reason", LOSS_REASONS))?;
    moved(&app, &once, by.ok(), || leads::lose(&app, by, id, reason)).await
}

/// Send a lead elsewhere.
///
/// Takes it from whoever has it. `to` is a partner's id, `routing` for whom the rules choose now, without those
/// who had it, or `vendor_queue`. A partner that declined it is never offered it again. Asks for the scope
/// `channel`.
#[utoipa::path(post, path = "/v1/leads/{id}/reassign", tag = "leads", operation_id = "reassign_lead", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The lead's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ReassignBody,
    responses((status = 200, description = "Sent", body = schema::LeadView),
        (status = 409, description = "`wrong_state`, `limit_reached`"),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "`reference_unknown` for a partner that cannot be offered leads, `id_malformed`")))]
pub(crate) async fn reassign(
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
    let id = lead_id(&path)?;
    let target = Fields::read(&body.0, |f| {
        let reason = "is a partner's id, `routing` or `vendor_queue`";
        f.parsed(
            "to",
            MAX_TARGET,
            codes::ID_MALFORMED,
            reason,
            |text| match text {
                "routing" => Some(Target::Routing),
                "vendor_queue" => Some(Target::Queue),
                id => id.parse().ok().map(Target::Partner),
            },
        )
    })?;
    moved(&app, &once, None, || {
        leads::reassign(&app, operator.id, id, based_on, target)
    })
    .await
}

/// Forget who asked.
///
/// Erases the person's name, email, phone and message, also those of further inquiries. What the lead is for, and whose it is, stays. Asks for the
/// scope `channel`.
#[utoipa::path(delete, path = "/v1/leads/{id}/contact", tag = "leads", operation_id = "erase_lead_contact", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The lead's id")),
    responses((status = 204, description = "Forgotten")))]
pub(crate) async fn erase(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Channel])?;
    leads::erase_contact(&app, lead_id(&path)?).await?;
    Ok(Reply::nothing())
}
