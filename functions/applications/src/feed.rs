//! What happened in a program, and which operators are told of it by mail.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::clock;
use tributary::edge::{
    App, Body, Cursor, Fields, IfMatch, Limit, Once, Operator, Path, Problem, Query, Reply, codes,
    path_id, versioned,
};
use tributary::ids::{OperatorId, ProgramId};
use tributary::operators::model::Scope;
use tributary::{events, mail};

use crate::schema;

/// Characters of an operator's id.
const MAX_ID: usize = 64;

/// Read what happened in a program.
///
/// Oldest first. `next_cursor` is there whenever something was found: asked again with it later, the feed
/// goes on with what has happened since. It stays some seconds behind the present, so that nothing that is
/// written at the same moment is passed over. The kinds and their facts are described in `docs/events.md`.
#[utoipa::path(get, path = "/v1/programs/{id}/events", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("from" = Option<String>, Query, description = "From this RFC 3339 time on; from the beginning unless told"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::EventListView)))]
pub(crate) async fn events(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&["from", "limit", "cursor"])?;
    let program: ProgramId = path_id(&path, "program")?;
    let from = query
        .get("from")
        .map(|text| {
            clock::parse(text).ok_or_else(|| {
                let reason = "is an RFC 3339 time such as 2026-11-23T07:00:00Z";
                Problem::field(codes::TIME_MALFORMED, "from", reason)
            })
        })
        .transpose()?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("events?program={program}");
    let beyond = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = events::feed(&app, program, from, beyond, limit).await?;
    Ok(Reply::ok(&schema::EventListView {
        items: found.into_iter().map(schema::event).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Get which operators a program tells by mail.
#[utoipa::path(get, path = "/v1/programs/{id}/notifications", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "Who is told, the version as `ETag`: `0` while nobody was ever named", body = schema::NotifiedView)))]
pub(crate) async fn notified(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let program: ProgramId = path_id(&path, "program")?;
    let found = mail::notified(&app, program).await?;
    Ok(versioned(found.version, &schema::notified(&found)))
}

/// Name the operators whom a program tells by mail.
///
/// Of applications, deals and leads that wait for somebody. Asks for the scope `channel`.
#[utoipa::path(put, path = "/v1/programs/{id}/notifications", tag = "applications", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is replaced; absent for the first time"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NotifiedBody,
    responses((status = 200, description = "Named", body = schema::NotifiedView),
        (status = 412, description = "`version_stale`"),
        (status = 428, description = "`if_match_missing`: some are named already")))]
pub(crate) async fn notify(
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
    let operators = Fields::read(&body.0, |f| {
        let texts = f.texts("operators", 0, mail::MAX_NOTIFIED, MAX_ID)?;
        let mut ids: Vec<OperatorId> = Vec::with_capacity(texts.len());
        for (position, text) in texts.iter().enumerate() {
            match text.parse() {
                Ok(id) => ids.push(id),
                Err(_) => f.refuse(
                    codes::ID_MALFORMED,
                    &format!("operators[{position}]"),
                    codes::ID_MALFORMED.meaning,
                ),
            }
        }
        Some(ids)
    })?;
    let based_on = based_on.map(|IfMatch(version)| version);
    let change = mail::notify(&app, program, based_on, operators).await?;
    let reply = versioned(change.value.version, &schema::notified(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
