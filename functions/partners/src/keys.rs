//! `/v1/partners/{id}/keys`: the keys that a partner reads its own records with.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tributary::edge::{App, Body, Fields, NoBody, Once, Operator, Path, Problem, Reply, path_id};
use tributary::ids::{KeyId, PartnerId};
use tributary::operators::model::{Holder, Scope, Scopes};
use tributary::{operators, partners};

use crate::schema;

/// Issue a key to a partner.
///
/// The answer shows the key this one time; only a hash of it is kept. The body is empty. Asks for the
/// scope `channel`.
#[utoipa::path(post, path = "/v1/partners/{id}/keys", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeat makes no second key; it is answered without the key")),
    responses((status = 201, description = "Issued; `key` is shown once", body = schema::KeyView)))]
pub(crate) async fn issue(
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
    Fields::read(&body.0, |_| Some(()))?;
    partners::find(&app, id).await?;
    let change = operators::issue_key(&app, Holder::Partner(id), None, Scopes::default()).await?;
    once.commit(
        &app,
        change,
        |(record, _)| Reply::created(&schema::key(record, None)),
        |(record, key)| Reply::created(&schema::key(&record, Some(&key))),
    )
    .await
}

/// List a partner's keys in force.
#[utoipa::path(get, path = "/v1/partners/{id}/keys", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id")),
    responses((status = 200, description = "All of them, without their secrets", body = schema::KeyListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: PartnerId = path_id(&path, "partner")?;
    partners::find(&app, id).await?;
    let found = operators::keys(&app, Holder::Partner(id)).await?;
    Ok(Reply::ok(&schema::KeyListView {
        items: found
            .iter()
            .map(|record| schema::key(record, None))
            .collect(),
        next_cursor: None,
    }))
}

/// Revoke a partner's key.
///
/// It stops working within 30 seconds; a second time changes nothing. Asks for the scope `channel`.
#[utoipa::path(delete, path = "/v1/partners/{id}/keys/{key}", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("key" = String, Path, description = "The key's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 204, description = "Revoked")))]
pub(crate) async fn revoke(
    State(app): State<App>,
    operator: Operator,
    Path((path, key)): Path<(String, String)>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &json!({}));
    let id: PartnerId = path_id(&path, "partner")?;
    let key: KeyId = path_id(&key, "key")?;
    let change = operators::revoke_key(&app, Holder::Partner(id), key);
    once.commit(&app, change, |()| Reply::nothing(), |()| Reply::nothing())
        .await
}
