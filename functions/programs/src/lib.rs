//! `/v1/programs`, `/v1/links`, `/v1/coupons`: programs with their plans, and the links and coupons by
//! which partners are recognised.

mod coupons;
mod links;
mod plans;
pub mod schema;
pub mod tested;
mod tester;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::Value;
use tributary::edge::{
    App, Body, Cursor, Fields, IfMatch, Limit, Once, Operator, Path, Problem, Query, Reply, codes,
    path_id, versioned,
};
use tributary::ids::ProgramId;
use tributary::operators::model::Scope;
use tributary::programs::model::{
    ATTRIBUTION_MODELS, Attribution, DEFAULT_OVERLAP_HOURS, DIALECTS, DISPUTE_DAYS, Dialect,
    MAX_DISPUTE_DAYS, MAX_HOST, MAX_HOSTS, MAX_NAME, MAX_OVERLAP_HOURS, MAX_URL, MAX_WINDOW_DAYS,
    ProgramPatch, normal_host,
};
use tributary::programs::{self, NewProgram};
use utoipa::OpenApi;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/programs", post(create).get(list))
        .route("/v1/programs/{id}", get(find).patch(amend))
        .route("/v1/programs/{id}/secrets", post(rotate))
        .route(
            "/v1/programs/{id}/plans",
            post(plans::create).get(plans::list),
        )
        .route("/v1/programs/{id}/plans:preview", post(plans::preview))
        .route("/v1/programs/{id}/postbacks:test", post(tester::test))
        .route("/v1/programs/{id}/plans/{plan}", get(plans::find))
        .route("/v1/programs/{id}/default-plan", put(plans::set_default))
        .route("/v1/links", post(links::create).get(links::list))
        .route("/v1/links/{id}", get(links::find).patch(links::amend))
        .route(
            "/v1/links/{id}/plan",
            put(links::set_plan).delete(links::drop_plan),
        )
        .route("/v1/links/{id}/disable", post(links::disable))
        .route("/v1/coupons", post(coupons::create).get(coupons::list))
        .route("/v1/coupons/{id}", get(coupons::find))
        .route("/v1/coupons/{id}/disable", post(coupons::disable))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(
        tester::test,
        create, list, find, amend, rotate,
        plans::create, plans::preview, plans::list, plans::find, plans::set_default,
        links::create, links::list, links::find, links::amend, links::set_plan, links::drop_plan, links::disable,
        coupons::create, coupons::list, coupons::find, coupons::disable,
    ),
    tags(
        (name = "programs", description = "Programs and their commission plans"),
        (name = "links", description = "Tracking links"),
        (name = "coupons", description = "Coupon codes that stand for partners"),
    )
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Make a program.
///
/// The answer shows the postback token and the signing secret this one time. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/programs", tag = "programs", security(("operator_key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat makes no second program; it is answered without the secrets")),
    request_body = schema::NewProgramBody,
    responses((status = 201, description = "Made; the secrets are shown once", body = schema::ProgramView)))]
async fn create(
    State(app): State<App>,
    operator: Operator,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let new = Fields::read(&body.0, |f| {
        let name = f.text("name", MAX_NAME);
        let currency = f.currency("currency");
        let attribution = f.object("attribution", attribution);
        let dialect = f.opt_choice("postback_dialect", DIALECTS);
        let payout_is_amount = f.opt_flag("payout_is_amount");
        let fallback_url = f.opt_text("fallback_url", MAX_URL);
        let hosts = hosts(f);
        let dispute_days = dispute_days(f);
        Some(NewProgram {
            name: name?,
            currency: currency?,
            attribution: attribution?,
            dialect: dialect.unwrap_or(Dialect::Native),
            payout_is_amount: payout_is_amount.unwrap_or(false),
            fallback_url,
            allowed_destination_hosts: hosts.unwrap_or_default(),
            dispute_days: dispute_days.unwrap_or(DISPUTE_DAYS),
        })
    })?;
    let change = programs::create(&app, new)?;
    once.commit(
        &app,
        change,
        |(program, _)| Reply::created(&schema::program(&app, program, None)).version(1),
        |(program, secrets)| {
            Reply::created(&schema::program(&app, &program, Some(secrets))).version(1)
        },
    )
    .await
}

fn attribution(f: &mut Fields<'_>) -> Option<Attribution> {
    let model = f.choice("model", ATTRIBUTION_MODELS);
    let window_days = f.integer("window_days", 1, MAX_WINDOW_DAYS);
    Some(Attribution {
        model: model?,
        window_days: u32::try_from(window_days?).ok()?,
    })
}

fn dispute_days(f: &mut Fields<'_>) -> Option<u32> {
    let days = f.opt_integer("dispute_days", 1, MAX_DISPUTE_DAYS)?;
    u32::try_from(days).ok()
}

fn hosts(f: &mut Fields<'_>) -> Option<Vec<String>> {
    const FIELD: &str = "allowed_destination_hosts";
    let texts = f.opt_texts(FIELD, 0, MAX_HOSTS, MAX_HOST)?;
    let mut hosts = Vec::with_capacity(texts.len());
    for (position, text) in texts.iter().enumerate() {
        match normal_host(text) {
            Some(host) => hosts.push(host),
            None => f.refuse(
                codes::DESTINATION_HOST_REFUSED,
                &format!("{FIELD}[{position}]"),
                "is a bare domain name such as shop.example; its subdomains are included",
            ),
        }
    }
    hosts.sort_unstable();
    hosts.dedup();
    Some(hosts)
}

/// List programs, newest first.
#[utoipa::path(get, path = "/v1/programs", tag = "programs", security(("operator_key" = [])),
    params(("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::ProgramListView)))]
async fn list(State(app): State<App>, operator: Operator, query: Query) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let below = Cursor::read("programs", query.get("cursor"))?;
    let (found, position) = programs::list(&app, below, limit).await?;
    Ok(Reply::ok(&schema::ProgramListView {
        items: found
            .iter()
            .map(|program| schema::program(&app, program, None))
            .collect(),
        next_cursor: position.map(|position| Cursor::write("programs", &position)),
    }))
}

/// Get one program.
#[utoipa::path(get, path = "/v1/programs/{id}", tag = "programs", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The program, its version as `ETag`", body = schema::ProgramView)))]
async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let program = programs::find(&app, path_id(&path, "program")?).await?;
    Ok(versioned(
        program.version,
        &schema::program(&app, &program, None),
    ))
}

/// Change a program.
///
/// It takes effect within 30 seconds. Asks for the scope `channel`.
#[utoipa::path(patch, path = "/v1/programs/{id}", tag = "programs", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ProgramPatchBody,
    responses((status = 200, description = "Changed", body = schema::ProgramView)))]
async fn amend(
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
    let id: ProgramId = path_id(&path, "program")?;
    let patch = patch(&body.0)?;
    let change = programs::amend(&app, id, based_on, patch).await?;
    let view = schema::program(&app, &change.value, None);
    let reply = versioned(change.value.version, &view);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

fn patch(body: &Value) -> Result<ProgramPatch, Problem> {
    Fields::read(body, |f| {
        let name = f.opt_text("name", MAX_NAME);
        let attribution = f.opt_object("attribution", attribution);
        let dialect = f.opt_choice("postback_dialect", DIALECTS);
        let payout_is_amount = f.opt_flag("payout_is_amount");
        let fallback_url = f
            .mentions("fallback_url")
            .then(|| f.opt_text("fallback_url", MAX_URL));
        let allowed_destination_hosts = hosts(f);
        let dispute_days = dispute_days(f);
        Some(ProgramPatch {
            name,
            attribution,
            dialect,
            payout_is_amount,
            fallback_url,
            allowed_destination_hosts,
            dispute_days,
        })
    })
}

/// Replace a program's postback token and signing secret.
///
/// The answer shows the new ones this one time and states until when the ones before stay good. With
/// `overlap_hours` 0 they end within 30 seconds. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/programs/{id}/secrets", tag = "programs", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat rotates no second time; it is answered without the secrets")),
    request_body = Option<schema::RotationBody>,
    responses((status = 201, description = "Replaced; the secrets are shown once", body = schema::SecretsView)))]
async fn rotate(
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
    let overlap_hours = Fields::read(&body.0, |f| {
        let overlap = f.opt_integer("overlap_hours", 0, MAX_OVERLAP_HOURS);
        Some(overlap.unwrap_or(DEFAULT_OVERLAP_HOURS))
    })?;
    let change = programs::rotate(&app, id, overlap_hours).await?;
    let view = |until: &tributary::clock::Timestamp| schema::SecretsView {
        program: id.to_string(),
        postback_token: None,
        signing_secret: None,
        previous_valid_until: until.to_string(),
    };
    once.commit(
        &app,
        change,
        |(program, _, until)| Reply::created(&view(until)).version(program.version),
        |(program, secrets, until)| {
            Reply::created(&schema::SecretsView {
                postback_token: Some(secrets.postback_token),
                signing_secret: Some(secrets.signing_secret),
                ..view(&until)
            })
            .version(program.version)
        },
    )
    .await
}
