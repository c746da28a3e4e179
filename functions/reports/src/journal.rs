//! `/v1/programs/{id}/journal` and `/v1/programs/{id}/periods`: what the general ledger takes over, month by
//! month, and which months are closed.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::edge::{
    App, Body, Cursor, Fields, Limit, Once, Operator, Paper, Path, Problem, Query, Reply, path_id,
};
use tributary::ids::ProgramId;
use tributary::operators::model::Scope;
use tributary::reports::journal;

use crate::{period, period_of, schema};

/// Download a program's journal of a month.
///
/// CSV: each transfer of the month (UTC) as a debit and a credit of the same amount. The accounts are
/// `commissions_expense`, `partner_payable_pending`, `partner_payable`, `payouts_in_transit` and
/// `bank_clearing`; partners follow each other in the order in which they were made, the transfers of one in
/// that of time. A long one comes in pages: `Tributary-Next-Cursor` says where the next begins, only the first
/// has a header, and all of them one after the other are the journal. Of a closed month,
/// `Tributary-Journal-Sha256` is what was recorded, and `Tributary-Journal-Check` says on the last page whether
/// the journal `matches` or `differs`. Asks for the scope `finance`.
#[utoipa::path(get, path = "/v1/programs/{id}/journal", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("period" = String, Query, description = "A calendar month in UTC such as `2026-03`"),
        ("cursor" = Option<String>, Query, description = "`Tributary-Next-Cursor` of the page before")),
    responses((status = 200, description = "A page of the journal", body = String, content_type = "text/csv"),
        (status = 422, description = "`period_malformed`, `cursor_invalid`")))]
pub(crate) async fn read(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let id: ProgramId = path_id(&path, "program")?;
    let period = period_of(&query, &["cursor"])?;
    let name = format!("journal?program={id}&period={period}");
    let from = Cursor::read(&name, query.get("cursor"))?;
    let page = journal::page(&app, id, period, from.as_deref()).await?;
    let state = page
        .closing
        .as_ref()
        .map_or("open", |closing| closing.stage.state());
    let mut paper = Paper::csv(&format!("journal-{id}-{period}.csv"), page.bytes)
        .fact("tributary-period-state", state);
    if let Some(position) = page.next {
        paper = paper.fact("tributary-next-cursor", Cursor::write(&name, &position));
    }
    if let (Some(closing), Some(check)) = (page.closing, page.check) {
        paper = paper
            .fact("tributary-journal-sha256", closing.hash)
            .fact("tributary-journal-check", check.name());
    }
    Ok(paper.into_response())
}

/// List a program's closed months, newest first.
///
/// Each with what its journal holds: transfers, turnover (what is debited, and credited), what each bucket
/// changed, and the journal's SHA-256. Those not listed are open.
#[utoipa::path(get, path = "/v1/programs/{id}/periods", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::PeriodListView)))]
pub(crate) async fn periods(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let id: ProgramId = path_id(&path, "program")?;
    query.only(&["limit", "cursor"])?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("periods?program={id}");
    let below = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = journal::periods(&app, id, below, limit).await?;
    Ok(Reply::ok(&schema::PeriodListView {
        items: found.iter().map(schema::period).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Close a month of a program.
///
/// From ten minutes after its end on, and after all months before it. Nothing is posted into it any more; what
/// its journal holds is recorded, with the journal's SHA-256. It is `closing` until the minute in which that is
/// done. A second time changes nothing. There is no way to open it again. Asks for the scope `finance`.
#[utoipa::path(post, path = "/v1/programs/{id}/periods:close", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::CloseBody,
    responses((status = 202, description = "Being closed, or closed", body = schema::PeriodView),
        (status = 409, description = "`period_not_over`, `earlier_period_open`"),
        (status = 422, description = "`period_malformed`; `out_of_range` before the program was made")))]
pub(crate) async fn close(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let once = once.of(&operator.id.to_string(), &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let id: ProgramId = path_id(&path, "program")?;
    let period = Fields::read(&body.0, period)?;
    let change = journal::close_period(&app, operator.id, id, period).await?;
    let reply = Reply::accepted(&schema::period(&change.value));
    once.commit(&app, change, |_| reply.clone(), |_| reply.clone())
        .await
}
