//! `/v1/partners`: partners, their enrolments, keys, payout methods, tax profiles, and what they have earned.

mod enrolments;
mod keys;
mod members;
mod merge;
mod money;
mod payout_hold;
mod payout_method;
pub mod schema;
mod tax_profile;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use serde_json::{Value, json};
use tributary::edge::{
    App, Body, Cursor, Fields, IfMatch, Limit, NoBody, Once, Operator, Paper, Path, Principal,
    Problem, Query, Reply, codes, path_id, versioned,
};
use tributary::ids::PartnerId;
use tributary::operators::model::Scope;
use tributary::partners::model::{
    Contact, MAX_NAME, PARTNER_KINDS, PARTNER_STATUSES, PartnerStatus, is_country,
};
use tributary::partners::{self, Filter, NewPartner, PartnerPatch, export};
use utoipa::OpenApi;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/partners", post(create).get(list))
        .route("/v1/partners/{id}", get(find).patch(amend))
        .route("/v1/partners/{id}/suspend", post(suspend))
        .route("/v1/partners/{id}/reinstate", post(reinstate))
        .route("/v1/partners/{id}/ban", post(ban))
        .route("/v1/partners/{id}/archive", post(archive))
        .route(
            "/v1/partners/{id}/merge",
            post(merge::merge).get(merge::find),
        )
        .route("/v1/partners/{id}/erasure", post(members::erase))
        .route(
            "/v1/partners/{id}/members",
            post(members::add).get(members::list),
        )
        .route(
            "/v1/partners/{id}/members/{member}",
            get(members::find)
                .patch(members::amend)
                .delete(members::remove),
        )
        .route(
            "/v1/partners/{id}/enrolments",
            post(enrolments::enrol).get(enrolments::list),
        )
        .route("/v1/partners/{id}/keys", post(keys::issue).get(keys::list))
        .route("/v1/partners/{id}/keys/{key}", delete(keys::revoke))
        .route(
            "/v1/partners/{id}/payout-method",
            put(payout_method::set).get(payout_method::find),
        )
        .route(
            "/v1/partners/{id}/payout-hold",
            put(payout_hold::place)
                .get(payout_hold::find)
                .delete(payout_hold::lift),
        )
        .route(
            "/v1/partners/{id}/tax-profile",
            put(tax_profile::set).get(tax_profile::find),
        )
        .merge(money::routes())
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(
        create, list, find, amend, suspend, reinstate, ban, archive, merge::merge, merge::find,
        members::add, members::list, members::find, members::amend, members::remove, members::erase,
        enrolments::enrol, enrolments::list,
        keys::issue, keys::list, keys::revoke,
        payout_method::set, payout_method::find,
        payout_hold::place, payout_hold::find, payout_hold::lift,
        tax_profile::set, tax_profile::find,
    ),
    tags((name = "partners", description = "Partners, their places in programs, keys, payout methods and tax profiles"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    description.merge(money::Description::openapi());
    description
}

/// Make a partner.
///
/// Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/partners", tag = "partners", security(("operator_key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewPartnerBody,
    responses((status = 201, description = "Made", body = schema::PartnerView)))]
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
        let email = f.mailbox("email");
        let country = f.parsed("country", 64, codes::COUNTRY_UNKNOWN, COUNTRY, country);
        let kind = f.choice("kind", PARTNER_KINDS);
        Some(NewPartner {
            contact: Contact {
                name: name?,
                email: email?,
            },
            country: country?,
            kind: kind?,
        })
    })?;
    let change = partners::create(&app, new)?;
    let reply = Reply::created(&schema::partner(&change.value)).version(1);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

const COUNTRY: &str = "is an ISO 3166 two-letter code such as GB";

fn country(text: &str) -> Option<String> {
    is_country(text).then(|| text.to_owned())
}

/// List partners, newest first.
///
/// What a filter sifts out of a page is not made up for: a page may have fewer than `limit` while more follow. As
/// CSV, the header `Tributary-Next-Cursor` says where the next page begins; no cell begins a formula.
#[utoipa::path(get, path = "/v1/partners", tag = "partners", security(("operator_key" = [])),
    params(("status" = Option<String>, Query, description = "`active`, `suspended`, `banned` or `archived`"),
        ("kind" = Option<String>, Query, description = "`affiliate`, `referrer`, `reseller` or `service`"),
        ("country" = Option<String>, Query, description = "Of this country, an ISO 3166 two-letter code"),
        ("format" = Option<String>, Query, description = "`json` or `csv`; `json` unless told"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", content(
        (schema::PartnerListView = "application/json"), (String = "text/csv")))))]
async fn list(
    State(app): State<App>,
    operator: Operator,
    query: Query,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&["status", "kind", "country", "format", "limit", "cursor"])?;
    let asked = json!({
        "status": query.get("status"), "kind": query.get("kind"), "country": query.get("country"),
        "format": query.get("format"),
    });
    let (filter, is_sheet) = Fields::read_pairs(&asked, |f| {
        let status = f.opt_choice("status", PARTNER_STATUSES);
        let kind = f.opt_choice("kind", PARTNER_KINDS);
        let country = f.opt_parsed("country", 64, codes::COUNTRY_UNKNOWN, COUNTRY, country);
        let is_sheet = f.opt_choice("format", &[("json", false), ("csv", true)]);
        let filter = Filter {
            status,
            kind,
            country,
        };
        Some((filter, is_sheet.unwrap_or(false)))
    })?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = if filter == Filter::default() {
        "partners".to_owned()
    } else {
        format!("partners?{filter:?}")
    };
    let below = Cursor::read(&name, query.get("cursor"))?;
    let is_first = below.is_none();
    let (found, position) = partners::list(&app, &filter, below, limit).await?;
    let next = position.map(|position| Cursor::write(&name, &position));
    if is_sheet {
        let sheet = export::csv(&found, is_first).map_err(|error| Problem::internal(&error))?;
        let mut paper = Paper::csv("partners.csv", sheet);
        if let Some(next) = next {
            paper = paper.fact("tributary-next-cursor", next);
        }
        return Ok(paper.into_response());
    }
    let view = schema::PartnerListView {
        items: found.iter().map(schema::partner).collect(),
        next_cursor: next,
    };
    Ok(Reply::ok(&view).into_response())
}

/// Get one partner.
///
/// A partner reads itself.
#[utoipa::path(get, path = "/v1/partners/{id}", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id")),
    responses((status = 200, description = "The partner, its version as `ETag`", body = schema::PartnerView)))]
async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let id: PartnerId = path_id(&path, "partner")?;
    principal.may_read(id, &[Scope::Read], "partner")?;
    let known = partners::find(&app, id).await?;
    Ok(versioned(known.partner.version, &schema::partner(&known)))
}

/// Change a partner.
///
/// Asks for the scope `channel`.
#[utoipa::path(patch, path = "/v1/partners/{id}", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::PartnerPatchBody,
    responses((status = 200, description = "Changed", body = schema::PartnerView)))]
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
    let id: PartnerId = path_id(&path, "partner")?;
    let patch = read_patch(&body.0)?;
    let change = partners::amend(&app, id, based_on, patch).await?;
    let reply = versioned(
        change.value.partner.version,
        &schema::partner(&change.value),
    );
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

fn read_patch(body: &Value) -> Result<PartnerPatch, Problem> {
    Fields::read(body, |f| {
        let name = f.opt_text("name", MAX_NAME);
        let email = f.raw("email").and_then(|_| f.mailbox("email"));
        let country = f.opt_parsed("country", 64, codes::COUNTRY_UNKNOWN, COUNTRY, country);
        let kind = f.opt_choice("kind", PARTNER_KINDS);
        Some(PartnerPatch {
            name,
            email,
            country,
            kind,
        })
    })
}

/// Suspend a partner.
///
/// It earns nothing new and is not paid; it keeps what it has. A second time changes nothing. Asks for
/// the scope `channel`.
#[utoipa::path(post, path = "/v1/partners/{id}/suspend", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Suspended", body = schema::PartnerView)))]
async fn suspend(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    set_status(&app, &operator, &path, once, PartnerStatus::Suspended).await
}

/// Reinstate a partner that was suspended, banned or archived.
///
/// A second time changes nothing. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/partners/{id}/reinstate", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Active again", body = schema::PartnerView)))]
async fn reinstate(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    set_status(&app, &operator, &path, once, PartnerStatus::Active).await
}

/// Ban a partner.
///
/// As suspended, and its keys end with it: it cannot be given new ones until it is reinstated. A second time
/// changes nothing. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/partners/{id}/ban", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Banned", body = schema::PartnerView)))]
async fn ban(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    set_status(&app, &operator, &path, once, PartnerStatus::Banned).await
}

/// Archive a partner.
///
/// It earns nothing new, and is paid what it has earned; its keys read on. A second time changes nothing. Asks
/// for the scope `channel`.
#[utoipa::path(post, path = "/v1/partners/{id}/archive", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Archived", body = schema::PartnerView)))]
async fn archive(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    set_status(&app, &operator, &path, once, PartnerStatus::Archived).await
}

async fn set_status(
    app: &App,
    operator: &Operator,
    path: &str,
    once: Once,
    status: PartnerStatus,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &json!({}));
    if let Some(reply) = once.answered(app).await? {
        return Ok(reply.into_response());
    }
    let id: PartnerId = path_id(path, "partner")?;
    let change = partners::set_status(app, id, status, operator.id).await?;
    let reply = versioned(
        change.value.partner.version,
        &schema::partner(&change.value),
    );
    once.commit(app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
