//! `/v1/coupons`: codes that customers type and that stand for a partner.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tributary::edge::{
    App, Body, Cursor, Fields, Limit, NoBody, Once, Operator, Path, Principal, Problem, Query,
    Reply, codes, path_id, versioned,
};
use tributary::ids::ProgramId;
use tributary::operators::model::Scope;
use tributary::programs::model::{MAX_CODE, is_coupon_code};
use tributary::programs::{self, NewCoupon};

use crate::links::whose;
use crate::schema;

/// Make a coupon.
///
/// Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/coupons", tag = "coupons", security(("operator_key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewCouponBody,
    responses((status = 201, description = "Made", body = schema::CouponView)))]
pub(crate) async fn create(
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
        let program = f.id("program");
        let partner = f.id("partner");
        let code = f.parsed(
            "code",
            MAX_CODE,
            codes::CHARACTERS_REFUSED,
            "is letters, digits, _ and -, beginning with a letter or digit",
            |text| is_coupon_code(text).then(|| text.to_owned()),
        );
        Some(NewCoupon {
            program: program?,
            partner: partner?,
            code: code?,
        })
    })?;
    let change = programs::add_coupon(&app, new).await?;
    let reply = Reply::created(&schema::coupon(&change.value)).version(1);
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// List a partner's coupons, newest first.
///
/// A partner lists its own. With `program` a page may hold fewer entries than asked for, even none,
/// though more follow.
#[utoipa::path(get, path = "/v1/coupons", tag = "coupons", security(("operator_key" = []), ("partner_key" = [])),
    params(("partner" = Option<String>, Query, description = "The partner's id; needed by operators"),
        ("program" = Option<String>, Query, description = "Only coupons of that program"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::CouponListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    query: Query,
) -> Result<Reply, Problem> {
    query.only(&["partner", "program", "limit", "cursor"])?;
    let partner = whose(&principal, &query)?;
    let program: Option<ProgramId> = query.id("program")?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let list = format!("coupons?partner={partner}&program={program:?}");
    let below = Cursor::read(&list, query.get("cursor"))?;
    let (found, position) = programs::coupons(&app, partner, below, limit).await?;
    Ok(Reply::ok(&schema::CouponListView {
        items: found
            .iter()
            .filter(|coupon| program.is_none_or(|program| coupon.program == program))
            .map(schema::coupon)
            .collect(),
        next_cursor: position.map(|position| Cursor::write(&list, &position)),
    }))
}

/// Get one coupon.
///
/// A partner reads its own.
#[utoipa::path(get, path = "/v1/coupons/{id}", tag = "coupons", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The coupon's id")),
    responses((status = 200, description = "The coupon, its version as `ETag`", body = schema::CouponView)))]
pub(crate) async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let coupon = programs::find_coupon(&app, path_id(&path, "coupon")?).await?;
    principal.may_read(coupon.partner, &[Scope::Read], "coupon")?;
    Ok(versioned(coupon.version, &schema::coupon(&coupon)))
}

/// Disable a coupon.
///
/// Conversions that happen from then on are not attributed by it. A second time changes nothing. Asks
/// for the scope `channel`.
#[utoipa::path(post, path = "/v1/coupons/{id}/disable", tag = "coupons", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The coupon's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    responses((status = 200, description = "Disabled", body = schema::CouponView)))]
pub(crate) async fn disable(
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
    let change = programs::disable_coupon(&app, path_id(&path, "coupon")?).await?;
    let reply = versioned(change.value.version, &schema::coupon(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
