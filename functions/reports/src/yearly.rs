//! `…/yearly-totals`: what was paid in a calendar year, for the reports to tax offices.

use axum::extract::State;
use tributary::edge::{
    App, Cursor, Fields, Operator, Path, Principal, Problem, Query, Reply, path_id,
};
use tributary::ids::{PartnerId, ProgramId};
use tributary::operators::model::Scope;
use tributary::reports::yearly;

use crate::schema;

/// The years that are answered.
const YEARS: std::ops::RangeInclusive<i64> = 2000..=9999;

fn year(query: &Query) -> Result<i16, Problem> {
    Fields::read_pairs(&query.0, |f| {
        let _ = f.raw("cursor");
        let year = f.integer("year", *YEARS.start(), *YEARS.end())?;
        i16::try_from(year).ok()
    })
}

/// Get what a partner was paid in a year, and which thresholds that reaches.
///
/// By currency, over all programs: what was settled in the calendar year (UTC) less what came back in it. The
/// thresholds of tax reporting are those of the partner's country in that year, with their sources; a threshold
/// is compared with what was paid in its own currency, and `reached` is `null` where other currencies were paid
/// besides. A partner reads its own.
#[utoipa::path(get, path = "/v1/partners/{id}/yearly-totals", tag = "reports", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The partner's id"),
        ("year" = i32, Query, description = "A calendar year such as 2026")),
    responses((status = 200, description = "The totals", body = schema::PartnerYearView)))]
pub(crate) async fn of_partner(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    let id: PartnerId = path_id(&path, "partner")?;
    principal.may_read(id, &[Scope::Read], "partner")?;
    query.only(&["year"])?;
    let year = year(&query)?;
    let found = yearly::of_partner(&app, id, year).await?;
    let found = found.ok_or_else(|| Problem::not_found("partner"))?;
    Ok(Reply::ok(&schema::partner_year(&found, year)))
}

/// List what a program's partners were paid in a year.
///
/// As of one partner, in the order in which partners were made; those that were paid nothing are left out, so a
/// page may be short or empty and not be the last. Thresholds are compared with what this program paid: where
/// there are several, ask for the partner. Asks for the scope `finance`.
#[utoipa::path(get, path = "/v1/programs/{id}/yearly-totals", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("year" = i32, Query, description = "A calendar year such as 2026"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::PartnerYearListView)))]
pub(crate) async fn of_program(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Finance])?;
    let id: ProgramId = path_id(&path, "program")?;
    let year = year(&query)?;
    let name = format!("yearly?program={id}&year={year}");
    let after = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = yearly::of_program(&app, id, year, after).await?;
    Ok(Reply::ok(&schema::PartnerYearListView {
        items: found
            .iter()
            .map(|found| schema::partner_year(found, year))
            .collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}
