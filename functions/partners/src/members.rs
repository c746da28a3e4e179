//! `/v1/partners/{id}/members`: the people of a partner, and the erasure of what is known of them.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tributary::edge::{
    App, Body, Fields, IfMatch, NoBody, Once, Operator, Path, Principal, Problem, Reply, path_id,
    versioned,
};
use tributary::ids::{MemberId, PartnerId};
use tributary::operators::model::Scope;
use tributary::partners::members::{self, Actor, MemberPatch};
use tributary::partners::model::{Contact, MAX_NAME, ROLES};

use crate::schema;

/// Who changes the people of a partner: an operator, or the partner itself.
fn actor(principal: &Principal, partner: PartnerId) -> Result<Actor, Problem> {
    principal.may_change(partner, &[Scope::Channel], "partner")?;
    Ok(match principal {
        Principal::Operator(operator) => Actor::Operator(operator.id),
        Principal::Partner(own) => own.member.map_or(Actor::Partner, Actor::Member),
    })
}

/// Add a person to a partner.
///
/// For operators with the scope `channel`, for the partner's own key, and for its owners; its managers add
/// members. People hear by mail of what happens.
#[utoipa::path(post, path = "/v1/partners/{id}/members", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewMemberBody,
    responses((status = 201, description = "Added", body = schema::MemberView),
        (status = 403, description = "`forbidden`: the role does not reach so far"),
        (status = 409, description = "`exists` for an email that another person of it has, `limit_reached`")))]
pub(crate) async fn add(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let partner: PartnerId = path_id(&path, "partner")?;
    let actor = actor(&principal, partner)?;
    let once = once.of(&principal.name(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let (contact, role) = Fields::read(&body.0, |f| {
        let name = f.text("name", MAX_NAME);
        let email = f.mailbox("email");
        let role = f.choice("role", ROLES);
        let contact = Contact {
            name: name?,
            email: email?,
        };
        Some((contact, role?))
    })?;
    let change = members::add(&app, partner, actor, contact, role).await?;
    let reply = Reply::created(&schema::member(&change.value)).version(1);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// List the people of a partner.
///
/// A partner lists its own.
#[utoipa::path(get, path = "/v1/partners/{id}/members", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id")),
    responses((status = 200, description = "All who are there", body = schema::MemberListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let partner: PartnerId = path_id(&path, "partner")?;
    principal.may_read(partner, &[Scope::Read], "partner")?;
    let found = members::list(&app, partner).await?;
    Ok(Reply::ok(&schema::MemberListView {
        items: found.iter().map(schema::member).collect(),
    }))
}

/// Get one person of a partner.
///
/// A partner gets its own.
#[utoipa::path(get, path = "/v1/partners/{id}/members/{member}", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("member" = String, Path, description = "The member's id")),
    responses((status = 200, description = "The person, its version as `ETag`", body = schema::MemberView)))]
pub(crate) async fn find(
    State(app): State<App>,
    principal: Principal,
    Path((path, member)): Path<(String, String)>,
) -> Result<Reply, Problem> {
    let partner: PartnerId = path_id(&path, "partner")?;
    principal.may_read(partner, &[Scope::Read], "partner")?;
    let found = members::find(&app, partner, path_id(&member, "member")?).await?;
    Ok(versioned(found.member.version, &schema::member(&found)))
}

/// Change a person of a partner.
///
/// Who may add one of a role may change one of it, to such a role. The last owner stays one. Asks operators for
/// the scope `channel`.
#[utoipa::path(patch, path = "/v1/partners/{id}/members/{member}", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("member" = String, Path, description = "The member's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::MemberPatchBody,
    responses((status = 200, description = "Changed", body = schema::MemberView),
        (status = 403, description = "`forbidden`: the role does not reach so far"),
        (status = 409, description = "`wrong_state`: it is the last owner"),
        (status = 412, description = "`version_stale`")))]
pub(crate) async fn amend(
    State(app): State<App>,
    principal: Principal,
    Path((path, member)): Path<(String, String)>,
    IfMatch(based_on): IfMatch,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let partner: PartnerId = path_id(&path, "partner")?;
    let actor = actor(&principal, partner)?;
    let once = once.of(&principal.name(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let member: MemberId = path_id(&member, "member")?;
    let patch = Fields::read(&body.0, |f| {
        let name = f.opt_text("name", MAX_NAME);
        let email = f.raw("email").and_then(|_| f.mailbox("email"));
        let role = f.opt_choice("role", ROLES);
        Some(MemberPatch { name, email, role })
    })?;
    let change = members::amend(&app, (partner, member), actor, based_on, patch).await?;
    let reply = versioned(change.value.member.version, &schema::member(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Remove a person from a partner.
///
/// Name and email are erased, and the person's keys end. The last owner stays. Asks operators for the scope
/// `channel`.
#[utoipa::path(delete, path = "/v1/partners/{id}/members/{member}", tag = "partners", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("member" = String, Path, description = "The member's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 204, description = "Removed"),
        (status = 403, description = "`forbidden`: the role does not reach so far"),
        (status = 409, description = "`wrong_state`: it is the last owner")))]
pub(crate) async fn remove(
    State(app): State<App>,
    principal: Principal,
    Path((path, member)): Path<(String, String)>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    let partner: PartnerId = path_id(&path, "partner")?;
    let actor = actor(&principal, partner)?;
    let once = once.of(&principal.name(), &json!({}));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let member: MemberId = path_id(&member, "member")?;
    let change = members::remove(&app, (partner, member), actor).await?;
    once.commit(&app, change, |()| Reply::nothing(), |()| Reply::nothing())
        .await
}

/// Erase what is known of the persons behind a partner.
///
/// Its name and email and those of its people, from where its terms were accepted, and the applications it was
/// made of. What it earned and was paid stays, as do payout method and tax profile, which are sealed and which
/// payouts and invoices rest on. Only a partner is erased that is suspended, banned or archived. Asks for the
/// scope `admin`.
#[utoipa::path(post, path = "/v1/partners/{id}/erasure", tag = "partners", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Erased; with `complete` false ask again for the rest", body = schema::ErasureView),
        (status = 409, description = "`wrong_state`: the partner is active")))]
pub(crate) async fn erase(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Admin])?;
    let once = once.of(&operator.id.to_string(), &json!({}));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id: PartnerId = path_id(&path, "partner")?;
    let change = members::erase(&app, id, operator.id).await?;
    let reply = Reply::ok(&schema::ErasureView {
        complete: change.value,
    });
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
