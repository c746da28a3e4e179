//! `/v1/programs/{id}/recompute`: a month recomputed from what is stored, as a dry run.

use axum::extract::State;
use tributary::clock::stamp;
use tributary::commissions::recompute::{self, Recomputed};
use tributary::edge::{
    App, Body, Cursor, Fields, Limit, Operator, Path, Problem, Query, Reply, codes, path_id,
};
use tributary::ids::ProgramId;
use tributary::operators::model::Scope;
use tributary::reports::model::Period;
use tributary::{programs, tracking};

use crate::schema::{RecomputeBody, RecomputedView};

/// Recompute a month, changing nothing.
///
/// What its conversions pay is computed again from their stored facts and changes, their plan versions and
/// the rates that were used, and compared with what was posted: step by step, with what uplines get, and for
/// windows with all events of their books. A page at a time; ask on with `cursor` until there is no more.
/// Asks for the scope `finance`.
#[utoipa::path(post, path = "/v1/programs/{id}/recompute", tag = "commissions",
    security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("limit" = Option<u32>, Query, description = "Conversions of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    request_body = RecomputeBody,
    responses((status = 200, description = "What differs", body = RecomputedView)))]
pub(crate) async fn run(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
    body: Body,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Finance])?;
    let id: ProgramId = path_id(&path, "program")?;
    query.only(&["limit", "cursor"])?;
    let period = Fields::read(&body.0, |f| {
        let reason = "is a calendar month such as 2026-03";
        f.parsed("period", 16, codes::PERIOD_MALFORMED, reason, |text| {
            text.parse::<Period>().ok()
        })
    })?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let list = format!("recompute?program={id}&period={period}");
    // Newest first, from the month's end down to its start.
    let below = Cursor::read(&list, query.get("cursor"))?.unwrap_or_else(|| stamp(period.end()));
    let program = programs::program(&app, id)
        .await?
        .ok_or_else(|| Problem::not_found("program"))?;
    let (mut conversions, position) =
        tracking::by_program(&app, &program, Some(below), limit).await?;
    conversions.retain(|conversion| conversion.facts.received_at >= period.start());
    let Recomputed {
        conversions,
        books,
        differences,
    } = recompute::recompute(&app, &conversions).await?;
    let start = stamp(period.start());
    Ok(Reply::ok(&RecomputedView {
        period: period.to_string(),
        conversions,
        books,
        differences,
        next_cursor: position
            .filter(|position| *position > start)
            .map(|position| Cursor::write(&list, &position)),
    }))
}
