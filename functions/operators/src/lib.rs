//! `/v1/operators` and `/v1/me`: the people of the vendor, their keys, and who is asking.

pub mod schema;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};
use tributary::edge::{
    App, Body, Cursor, Fields, IfMatch, Limit, NoBody, Once, Operator, Path, Principal, Problem,
    Query, Reply, codes, path_id,
};
use tributary::ids::{KeyId, OperatorId};
use tributary::operators::model::{Holder, SCOPES, Scope, Scopes};
use tributary::operators::{self, OperatorPatch};
use utoipa::OpenApi;

/// Characters of a name.
const MAX_NAME: usize = 120;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/operators", post(create).get(list))
        .route("/v1/operators/{id}", get(find).patch(amend))
        .route("/v1/operators/{id}/keys", post(issue_key).get(keys))
        .route("/v1/operators/{id}/keys/{key}", delete(revoke_key))
        .route("/v1/me", get(me))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(create, list, find, amend, issue_key, keys, revoke_key, me),
    tags((name = "operators", description = "The people of the vendor and their keys"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Make an operator.
///
/// With scopes it may sign in to the console, as what they allow; without, it can do nothing until it has a key. Asks
/// for the scope `admin`.
#[utoipa::path(post, path = "/v1/operators", tag = "operators", security(("operator_key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewOperatorBody,
    responses((status = 201, description = "Made", body = schema::OperatorView)))]
async fn create(
    State(app): State<App>,
    operator: Operator,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Admin])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let (name, email, scopes) = Fields::read(&body.0, |f| {
        let name = f.text("name", MAX_NAME);
        let email = f.email("email");
        let scopes = match f.mentions("scopes") {
            true => scopes_of(f, 0),
            false => Some(Scopes::default()),
        };
        Some((name?, email?, scopes?))
    })?;
    let change = operators::create(&app, name, email, scopes)?;
    let reply = Reply::created(&schema::operator(&change.value)).version(change.value.version);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// List operators, newest first.
///
/// Asks for the scope `admin`.
#[utoipa::path(get, path = "/v1/operators", tag = "operators", security(("operator_key" = [])),
    params(("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::OperatorListView)))]
async fn list(State(app): State<App>, operator: Operator, query: Query) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Admin])?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let below = Cursor::read("operators", query.get("cursor"))?;
    let (found, position) = operators::list(&app, below, limit).await?;
    Ok(Reply::ok(&schema::OperatorListView {
        items: found.iter().map(schema::operator).collect(),
        next_cursor: position.map(|position| Cursor::write("operators", &position)),
    }))
}

/// Get one operator.
///
/// Asks for the scope `admin`.
#[utoipa::path(get, path = "/v1/operators/{id}", tag = "operators", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The operator's id")),
    responses((status = 200, description = "The operator, its version as `ETag`", body = schema::OperatorView)))]
async fn find(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Admin])?;
    let record = operators::find(&app, path_id(&path, "operator")?).await?;
    Ok(Reply::ok(&schema::operator(&record)).version(record.version))
}

/// Change an operator.
///
/// What is left out stays. Its scopes say what it may do when it is signed in, at the latest half a minute later; with
/// `[]` it may not sign in any more. Its keys stay as they are. Asks for the scope `admin`, which nobody takes from
/// itself.
#[utoipa::path(patch, path = "/v1/operators/{id}", tag = "operators", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The operator's id"),
        ("If-Match" = String, Header, description = "The version that the change is based on"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::OperatorPatchBody,
    responses((status = 200, description = "The operator, its version as `ETag`", body = schema::OperatorView),
        (status = 409, description = "`wrong_state`: it would be yourself who loses `admin`"),
        (status = 412, description = "`version_stale`")))]
async fn amend(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Admin])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id: OperatorId = path_id(&path, "operator")?;
    let patch = Fields::read(&body.0, |f| {
        let name = f.mentions("name").then(|| f.text("name", MAX_NAME));
        let email = f.mentions("email").then(|| f.email("email"));
        let scopes = f.mentions("scopes").then(|| scopes_of(f, 0));
        Some(OperatorPatch {
            name: name.map_or(Some(None), |name| name.map(Some))?,
            email: email.map_or(Some(None), |email| email.map(Some))?,
            scopes: scopes.map_or(Some(None), |scopes| scopes.map(Some))?,
        })
    })?;
    let change = operators::amend(&app, id, operator.id, based_on, patch).await?;
    let reply = Reply::ok(&schema::operator(&change.value)).version(change.value.version);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Issue a key to an operator.
///
/// The answer shows the key this one time; only a hash of it is kept. Asks for the scope `admin`.
#[utoipa::path(post, path = "/v1/operators/{id}/keys", tag = "operators", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The operator's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat makes no second key; it is answered without the key")),
    request_body = schema::NewOperatorKeyBody,
    responses((status = 201, description = "Issued; `key` is shown once", body = schema::KeyView)))]
async fn issue_key(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Admin])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let holder: OperatorId = path_id(&path, "operator")?;
    let scopes = scopes(&body.0)?;
    operators::find(&app, holder).await?;
    let change = operators::issue_key(&app, Holder::Operator(holder), None, scopes).await?;
    once.commit(
        &app,
        change,
        |(record, _)| Reply::created(&schema::key(record, None)),
        |(record, key)| Reply::created(&schema::key(&record, Some(&key))),
    )
    .await
}

fn scopes(body: &Value) -> Result<Scopes, Problem> {
    Fields::read(body, |f| scopes_of(f, 1))
}

fn scopes_of(f: &mut Fields<'_>, least: usize) -> Option<Scopes> {
    let names = f.texts("scopes", least, SCOPES.len(), 16)?;
    let mut found = Vec::with_capacity(names.len());
    for (position, name) in names.iter().enumerate() {
        match SCOPES.iter().find(|(word, _)| word == name) {
            Some((_, scope)) => found.push(*scope),
            None => f.refuse(
                codes::NOT_ONE_OF,
                &format!("scopes[{position}]"),
                "is one of: admin, channel, finance, read",
            ),
        }
    }
    Some(Scopes::of(found))
}

/// List an operator's keys in force.
///
/// Asks for the scope `admin`.
#[utoipa::path(get, path = "/v1/operators/{id}/keys", tag = "operators", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The operator's id")),
    responses((status = 200, description = "All of them, without their secrets", body = schema::KeyListView)))]
async fn keys(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Admin])?;
    let holder: OperatorId = path_id(&path, "operator")?;
    operators::find(&app, holder).await?;
    let found = operators::keys(&app, Holder::Operator(holder)).await?;
    Ok(Reply::ok(&schema::KeyListView {
        items: found
            .iter()
            .map(|record| schema::key(record, None))
            .collect(),
        next_cursor: None,
    }))
}

/// Revoke an operator's key.
///
/// It stops working within 30 seconds; a second time changes nothing. Asks for the scope `admin`.
#[utoipa::path(delete, path = "/v1/operators/{id}/keys/{key}", tag = "operators", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The operator's id"),
        ("key" = String, Path, description = "The key's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 204, description = "Revoked")))]
async fn revoke_key(
    State(app): State<App>,
    operator: Operator,
    Path((path, key)): Path<(String, String)>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Admin])?;
    let once = once.of(&operator.id.to_string(), &json!({}));
    let holder: OperatorId = path_id(&path, "operator")?;
    let key: KeyId = path_id(&key, "key")?;
    let change = operators::revoke_key(&app, Holder::Operator(holder), key);
    once.commit(&app, change, |()| Reply::nothing(), |()| Reply::nothing())
        .await
}

/// Say who is asking.
#[utoipa::path(get, path = "/v1/me", tag = "operators", security(("operator_key" = []), ("partner_key" = [])),
    responses((status = 200, description = "The holder of the key that was shown", body = schema::MeView)))]
async fn me(principal: Principal) -> Result<Reply, Problem> {
    let (kind, operator, partner, key) = match &principal {
        Principal::Operator(operator) => ("operator", Some(operator.id), None, operator.key),
        Principal::Partner(partner) => ("partner", None, Some(partner.id), partner.key),
    };
    let scopes = match &principal {
        Principal::Operator(operator) => schema::scope_names(operator.scopes()),
        Principal::Partner(_) => Vec::new(),
    };
    Ok(Reply::ok(&schema::MeView {
        kind,
        operator: operator.map(|id| id.to_string()),
        partner: partner.map(|id| id.to_string()),
        key: key.to_string(),
        scopes,
    }))
}
