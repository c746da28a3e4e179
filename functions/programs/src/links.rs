//! `/v1/links`: the addresses that partners share.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tributary::edge::{
    App, Body, Cursor, Fields, IfMatch, Limit, NoBody, Once, Operator, Path, Principal, Problem,
    Query, Reply, codes, path_id, versioned,
};
use tributary::ids::{LinkId, PartnerId, ProgramId};
use tributary::operators::model::Scope;
use tributary::programs::model::{MAX_CODE, MAX_URL, is_link_code};
use tributary::programs::{self, NewLink};

use crate::plans::read_assignment;
use crate::schema;

/// Links that a partner makes for itself; an operator makes more.
const MAX_OWN_LINKS: usize = 200;

/// Make a link.
///
/// A partner makes its own, 200 at most. Of an operator it asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/links", tag = "links", security(("operator_key" = []), ("partner_key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewLinkBody,
    responses((status = 201, description = "Made", body = schema::LinkView),
        (status = 409, description = "`limit_reached`: a partner has as many as it may make")))]
pub(crate) async fn create(
    State(app): State<App>,
    principal: Principal,
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
    let new = Fields::read(&body.0, |f| {
        let program = f.id("program");
        let partner = f.id("partner");
        let destination = f.text("destination", MAX_URL);
        let code = f.opt_parsed(
            "code",
            MAX_CODE,
            codes::CHARACTERS_REFUSED,
            "is 3 to 64 letters, digits, _ and -",
            |text| is_link_code(text).then(|| text.to_owned()),
        );
        Some(NewLink {
            program: program?,
            partner: partner?,
            destination: destination?,
            code,
        })
    })?;
    principal.may_change(new.partner, &[Scope::Channel], "partner")?;
    if let Principal::Partner(own) = &principal {
        let (_, more) = programs::links(&app, own.id, None, MAX_OWN_LINKS).await?;
        if more.is_some() {
            let reason = format!("a partner makes at most {MAX_OWN_LINKS} links by itself");
            return Err(Problem::new(codes::LIMIT_REACHED, reason));
        }
    }
    let change = programs::add_link(&app, new).await?;
    let reply = Reply::created(&schema::link(&app, &change.value)).version(1);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Whose links or coupons a list shows: the named partner's, or the asking partner's own.
///
/// # Errors
/// `required` when an operator names none; `not_found` for another partner's.
pub(crate) fn whose(principal: &Principal, query: &Query) -> Result<PartnerId, Problem> {
    let named = query.id("partner")?;
    let partner = match (named, principal) {
        (Some(partner), _) => partner,
        (None, Principal::Partner(own)) => own.id,
        (None, Principal::Operator(_)) => {
            return Err(Problem::field(
                codes::REQUIRED,
                "partner",
                "name the partner",
            ));
        }
    };
    principal.may_read(partner, &[Scope::Read], "partner")?;
    Ok(partner)
}

/// List a partner's links, newest first.
///
/// A partner lists its own. With `program` a page may hold fewer entries than asked for, even none,
/// though more follow.
#[utoipa::path(get, path = "/v1/links", tag = "links", security(("operator_key" = []), ("partner_key" = [])),
    params(("partner" = Option<String>, Query, description = "The partner's id; needed by operators"),
        ("program" = Option<String>, Query, description = "Only links of that program"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::LinkListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    query: Query,
) -> Result<Reply, Problem> {
    query.only(&["partner", "program", "limit", "cursor"])?;
    let partner = whose(&principal, &query)?;
    let program: Option<ProgramId> = query.id("program")?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let list = format!("links?partner={partner}&program={program:?}");
    let below = Cursor::read(&list, query.get("cursor"))?;
    let (found, position) = programs::links(&app, partner, below, limit).await?;
    Ok(Reply::ok(&schema::LinkListView {
        items: found
            .iter()
            .filter(|link| program.is_none_or(|program| link.program == program))
            .map(|link| schema::link(&app, link))
            .collect(),
        next_cursor: position.map(|position| Cursor::write(&list, &position)),
    }))
}

/// Get one link.
///
/// A partner reads its own.
#[utoipa::path(get, path = "/v1/links/{id}", tag = "links", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The link's id")),
    responses((status = 200, description = "The link, its version as `ETag`", body = schema::LinkView)))]
pub(crate) async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let link = programs::find_link(&app, path_id(&path, "link")?).await?;
    principal.may_read(link.partner, &[Scope::Read], "link")?;
    Ok(versioned(link.version, &schema::link(&app, &link)))
}

/// Lead a link elsewhere.
///
/// It takes effect within 30 seconds. Asks for the scope `channel`.
#[utoipa::path(patch, path = "/v1/links/{id}", tag = "links", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The link's id"),
        ("If-Match" = String, Header, description = "The `ETag` of the version that was read"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::LinkPatchBody,
    responses((status = 200, description = "Changed", body = schema::LinkView)))]
pub(crate) async fn amend(
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
    let id: LinkId = path_id(&path, "link")?;
    let destination = Fields::read(&body.0, |f| f.text("destination", MAX_URL))?;
    let change = programs::redirect_link(&app, id, based_on, &destination).await?;
    let reply = versioned(change.value.version, &schema::link(&app, &change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Let a plan pay what a link's clicks bring.
///
/// It pays in place of the partner's from `effective_from` on, now unless told and not in the past, and
/// replaces what was to begin after it. The same plan again changes nothing. It takes effect within 30
/// seconds. Asks for the scope `channel`.
#[utoipa::path(put, path = "/v1/links/{id}/plan", tag = "links", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The link's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::AssignmentBody,
    responses((status = 200, description = "It is so", body = schema::LinkView)))]
pub(crate) async fn set_plan(
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
    let id: LinkId = path_id(&path, "link")?;
    let (plan, effective_from) = read_assignment(&body.0)?;
    let change = programs::set_link_plan(&app, id, Some(plan), effective_from).await?;
    let reply = versioned(change.value.version, &schema::link(&app, &change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Let the partner's plan pay again what a link's clicks bring.
///
/// From now on, and nothing that was to begin later does. A second time changes nothing. It takes effect
/// within 30 seconds. Asks for the scope `channel`.
#[utoipa::path(delete, path = "/v1/links/{id}/plan", tag = "links", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The link's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "It is so", body = schema::LinkView)))]
pub(crate) async fn drop_plan(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &json!({}));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let change = programs::set_link_plan(&app, path_id(&path, "link")?, None, None).await?;
    let reply = versioned(change.value.version, &schema::link(&app, &change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Disable a link.
///
/// Within 30 seconds visitors go to the program's fallback address, or read 410. Conversions that happen
/// from then on are not attributed by its clicks, not even by earlier ones. A second time changes nothing. A partner
/// disables its own. Of an operator it asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/links/{id}/disable", tag = "links", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The link's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Disabled", body = schema::LinkView)))]
pub(crate) async fn disable(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    once: Once,
    _: NoBody,
) -> Result<Response, Problem> {
    let id: LinkId = path_id(&path, "link")?;
    if let Principal::Operator(operator) = &principal {
        operator.demand(&[Scope::Channel])?;
    }
    let once = once.of(&principal.name(), &json!({}));
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let link = programs::find_link(&app, id).await?;
    principal.may_change(link.partner, &[Scope::Channel], "link")?;
    let change = programs::disable_link(&app, id).await?;
    let reply = versioned(change.value.version, &schema::link(&app, &change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
