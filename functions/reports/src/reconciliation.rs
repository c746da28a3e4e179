//! `/v1/programs/{id}/payout-reconciliation`: payouts beside the ledger.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::edge::{
    App, Cursor, Fields, Limit, Operator, Paper, Path, Problem, Query, Reply, path_id,
};
use tributary::ids::ProgramId;
use tributary::operators::model::Scope;
use tributary::reports::paper;
use tributary::reports::reconciliation::{self, Row};

use crate::{period, schema};

const HEADER: [&str; 11] = [
    "batch",
    "payout",
    "partner",
    "state",
    "currency",
    "amount",
    "in_file",
    "reserved",
    "settled",
    "returned",
    "difference",
];

/// Compare a month's payouts with the ledger.
///
/// Each payout of the program's batches that were made in the month (UTC): its amount, what stands in the file,
/// and what its transfers have reserved, settled and returned until now. `difference` is by how much these
/// contradict its state; it is zero when all is well. As JSON, the first page also explains the money that is
/// in transit now by the payouts that are open. As CSV, `Tributary-Next-Cursor` says where the next page begins.
/// Asks for the scope `finance`.
#[utoipa::path(get, path = "/v1/programs/{id}/payout-reconciliation", tag = "reports", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("period" = String, Query, description = "A calendar month in UTC such as `2026-03`"),
        ("format" = Option<String>, Query, description = "`json` or `csv`; `json` unless told"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "Where the page before ended")),
    responses((status = 200, description = "A page", content(
        (schema::ReconciliationView = "application/json"), (String = "text/csv"))),
        (status = 422, description = "`period_malformed`")))]
pub(crate) async fn read(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Finance])?;
    let id: ProgramId = path_id(&path, "program")?;
    let (period, is_sheet) = Fields::read_pairs(&query.0, |f| {
        let _ = (f.raw("limit"), f.raw("cursor"));
        let period = period(f);
        let is_sheet = f.opt_choice("format", &[("json", false), ("csv", true)]);
        Some((period?, is_sheet.unwrap_or(false)))
    })?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("reconciliation?program={id}&period={period}");
    let from = Cursor::read(&name, query.get("cursor"))?;
    let (rows, position) =
        reconciliation::payouts_of(&app, id, period, from.as_deref(), limit).await?;
    let next = position.map(|position| Cursor::write(&name, &position));
    if is_sheet {
        let header = from.is_none().then(|| HEADER.map(str::to_owned));
        let sheet = paper::csv(header.into_iter().chain(rows.iter().map(cells)));
        let sheet = sheet.map_err(|error| Problem::internal(&error))?;
        let mut paper = Paper::csv(&format!("payouts-{id}-{period}.csv"), sheet);
        if let Some(next) = next {
            paper = paper.fact("tributary-next-cursor", next);
        }
        return Ok(paper.into_response());
    }
    let in_transit = match from {
        None => Some(reconciliation::in_transit(&app, id).await?),
        Some(_) => None,
    };
    let view = schema::ReconciliationView {
        program: id.to_string(),
        period: period.to_string(),
        items: rows.iter().map(schema::reconciled).collect(),
        next_cursor: next,
        in_transit: in_transit.as_ref().map(schema::in_transit),
    };
    Ok(Reply::ok(&view).into_response())
}

fn cells(row: &Row) -> [String; 11] {
    let schema::ReconciledPayoutView {
        payout,
        batch,
        partner,
        state,
        currency,
        amount,
        in_file,
        reserved,
        settled,
        returned,
        difference,
    } = schema::reconciled(row);
    [
        batch,
        payout,
        partner,
        state.to_owned(),
        currency.to_owned(),
        amount,
        in_file.unwrap_or_default(),
        reserved,
        settled,
        returned,
        difference,
    ]
}
