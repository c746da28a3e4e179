//! `/v1/programs/{id}/channel` and `/v1/partners/{id}/profiles`: what a program says of its channel, and what it
//! knows of a partner there.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::channel::{self, wire};
use tributary::edge::{
    App, Body, Fields, IfMatch, Once, Operator, Path, Principal, Problem, Reply, path_id, versioned,
};
use tributary::ids::{PartnerId, ProgramId};
use tributary::operators::model::Scope;
use tributary::partners;

use crate::schema;

/// Get what a program says of its channel.
///
/// Its partners read it too: by which precedence claims win, and for how long they hold, is no secret.
#[utoipa::path(get, path = "/v1/programs/{id}/channel", tag = "channel", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The channel; its version as `ETag`, 0 where nothing was ever said", body = schema::ChannelView)))]
pub(crate) async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let program: ProgramId = path_id(&path, "program")?;
    match &principal {
        Principal::Operator(operator) => operator.demand(&[Scope::Read])?,
        Principal::Partner(own) => {
            if partners::enrolment(&app, own.id, program).await?.is_none() {
                return Err(Problem::not_found("program"));
            }
        }
    }
    let settings = channel::find_settings(&app, program).await?;
    Ok(versioned(settings.version, &schema::channel(&settings)))
}

/// Say what holds in a program's channel.
///
/// What is left out is as at the beginning. Asks for the scope `channel`.
#[utoipa::path(put, path = "/v1/programs/{id}/channel", tag = "channel", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is replaced; absent for the first time"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ChannelBody,
    responses((status = 200, description = "Said; its version as `ETag`", body = schema::ChannelView),
        (status = 412, description = "`version_stale`"),
        (status = 428, description = "`if_match_missing`: something was said before")))]
pub(crate) async fn say(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    based_on: Option<IfMatch>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let program: ProgramId = path_id(&path, "program")?;
    let settings = Fields::read(&body.0, |f| wire::settings(f, program, 0))?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = channel::say(&app, based_on, settings).await?;
    let reply = versioned(change.value.version, &schema::channel(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}

/// Get a partner's profiles.
///
/// In every program that knows something of it. A partner reads its own.
#[utoipa::path(get, path = "/v1/partners/{id}/profiles", tag = "channel", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id")),
    responses((status = 200, description = "All of them", body = schema::ProfileListView)))]
pub(crate) async fn profiles(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let partner: PartnerId = path_id(&path, "partner")?;
    principal.may_read(partner, &[Scope::Read], "partner")?;
    let found = channel::profiles(&app, partner).await?;
    Ok(Reply::ok(&schema::ProfileListView {
        items: found.iter().map(schema::profile).collect(),
    }))
}

/// Get a partner's profile in a program.
///
/// A partner reads its own.
#[utoipa::path(get, path = "/v1/partners/{id}/profiles/{program}", tag = "channel", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("program" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The profile; its version as `ETag`", body = schema::ProfileView),
        (status = 404, description = "`not_found`: nothing was said of the partner there")))]
pub(crate) async fn profile(
    State(app): State<App>,
    principal: Principal,
    Path((partner, program)): Path<(String, String)>,
) -> Result<Reply, Problem> {
    let partner: PartnerId = path_id(&partner, "partner")?;
    principal.may_read(partner, &[Scope::Read], "partner")?;
    let program: ProgramId = path_id(&program, "profile")?;
    let found = channel::find_profile(&app, program, partner).await?;
    Ok(versioned(found.version, &schema::profile(&found)))
}

/// Set a partner's profile in a program.
///
/// Its tier, certifications, product lines, territories, languages, capacity, weight, place and working hours;
/// what is left out is as at the beginning. The program's channel must have what it names. Asks for the scope
/// `channel`.
#[utoipa::path(put, path = "/v1/partners/{id}/profiles/{program}", tag = "channel", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("program" = String, Path, description = "The program's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the profile that is replaced; absent for the first one"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::ProfileBody,
    responses((status = 200, description = "Set; its version as `ETag`", body = schema::ProfileView),
        (status = 409, description = "`limit_reached`: the program's profiles are more than it can hold"),
        (status = 412, description = "`version_stale`"),
        (status = 422, description = "`not_enrolled`, `reference_unknown` for a tier, certification or product line"),
        (status = 428, description = "`if_match_missing`: there is one already")))]
pub(crate) async fn describe(
    State(app): State<App>,
    operator: Operator,
    Path((partner, program)): Path<(String, String)>,
    based_on: Option<IfMatch>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let partner: PartnerId = path_id(&partner, "partner")?;
    let program: ProgramId = path_id(&program, "program")?;
    let now = app.now();
    let profile = Fields::read(&body.0, |f| wire::profile(f, program, partner, now, 0))?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = channel::describe(&app, based_on, profile).await?;
    let reply = versioned(change.value.version, &schema::profile(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
