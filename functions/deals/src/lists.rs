//! Lists of deals, as JSON and as a sheet, and the value of those that may still be won.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::deals::model::{STATES, State as DealState};
use tributary::deals::{self, Filter, Listed, report};
use tributary::edge::{
    App, Cursor, Limit, Operator, Paper, Path, Principal, Problem, Query, Reply, codes, path_id,
};
use tributary::ids::{PartnerId, ProgramId};
use tributary::money::Money;
use tributary::operators::model::Scope;
use tributary::programs;

use crate::schema;

/// The state of those whose rejection is disputed.
const DISPUTED: &str = "disputed";

/// List deals.
///
/// Newest first. A partner lists its own; an operator names the program or the partner. What a filter sifts out of
/// a page is not made up for: a page may have fewer than `limit` while more follow. As CSV, the header
/// `Tributary-Next-Cursor` says where the next page begins; no cell begins a formula.
#[utoipa::path(get, path = "/v1/deals", tag = "deals", security(("operator_key" = []), ("partner_key" = [])),
    params(("program" = Option<String>, Query, description = "Of this program"),
        ("partner" = Option<String>, Query, description = "Of this partner"),
        ("state" = Option<String>, Query, description = "In this state, or `disputed`: whose rejection is disputed"),
        ("format" = Option<String>, Query, description = "`json` or `csv`; `json` unless told"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", content(
        (schema::DealListView = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    query: Query,
) -> Result<Response, Problem> {
    query.only(&["program", "partner", "state", "format", "limit", "cursor"])?;
    let (listed, filter) = listed(&principal, &query)?;
    let is_sheet = match query.get("format") {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => {
            let reason = "is one of: json, csv";
            return Err(Problem::field(codes::NOT_ONE_OF, "format", reason));
        }
    };
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("deals?{listed:?}&{filter:?}");
    let below = Cursor::read(&name, query.get("cursor"))?;
    let is_first = below.is_none();
    let (found, position) = deals::list(&app, listed, filter, below, limit).await?;
    let next = position.map(|position| Cursor::write(&name, &position));
    if is_sheet {
        let sheet = report::csv(&found, is_first).map_err(|error| Problem::internal(&error))?;
        let mut paper = Paper::csv("deals.csv", sheet);
        if let Some(next) = next {
            paper = paper.fact("tributary-next-cursor", next);
        }
        return Ok(paper.into_response());
    }
    let view = schema::DealListView {
        items: found
            .iter()
            .map(|known| schema::deal(known, &principal))
            .collect(),
        next_cursor: next,
    };
    Ok(Reply::ok(&view).into_response())
}

/// Which list is asked for; one that the principal may read.
fn listed(principal: &Principal, query: &Query) -> Result<(Listed, Filter), Problem> {
    let program: Option<ProgramId> = query.id("program")?;
    let partner: Option<PartnerId> = query.id("partner")?;
    let (state, disputed) = match query.get("state") {
        None => (None, false),
        Some(DISPUTED) => (None, true),
        Some(name) => (Some(state(name)?), false),
    };
    let filter = Filter {
        program,
        partner,
        state,
        disputed,
    };
    let listed = match (principal, program, partner) {
        (Principal::Partner(own), _, None) => Listed::Partner(own.id),
        (_, None, Some(partner)) | (Principal::Partner(_), _, Some(partner)) => {
            principal.may_read(partner, &[Scope::Read], "partner")?;
            Listed::Partner(partner)
        }
        (Principal::Operator(operator), Some(program), _) => {
            operator.demand(&[Scope::Read])?;
            match (state, disputed) {
                (_, true) => Listed::Disputed(program),
                // Whose rejection is disputed is listed elsewhere, but rejected all the same.
                (Some(DealState::Rejected) | None, false) => Listed::Program(program),
                (Some(state), false) => Listed::State(program, state),
            }
        }
        (Principal::Operator(_), None, None) => {
            let reason = "name the program or the partner whose deals to list";
            return Err(Problem::field(codes::REQUIRED, "program", reason));
        }
    };
    Ok((listed, filter))
}

fn state(name: &str) -> Result<DealState, Problem> {
    let found = STATES.iter().find(|(known, _)| *known == name);
    found.map(|(_, state)| *state).ok_or_else(|| {
        let names: Vec<&str> = STATES.iter().map(|(name, _)| *name).collect();
        let reason = format!("is one of: {}, {DISPUTED}", names.join(", "));
        Problem::field(codes::NOT_ONE_OF, "state", reason)
    })
}

/// The value of the deals that may still be won.
///
/// By state, by days since they were handed in, and by partner. Asks for the scope `read`.
#[utoipa::path(get, path = "/v1/programs/{id}/pipeline", tag = "deals", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The sums", body = schema::PipelineView)))]
pub(crate) async fn pipeline(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    query.only(&[])?;
    let id: ProgramId = path_id(&path, "program")?;
    let program = programs::program(&app, id).await?;
    let program = program.ok_or_else(|| Problem::not_found("program"))?;
    let zero = Money::zero(program.currency);
    let pipeline = report::of_program(&app, id, zero).await?;
    Ok(Reply::ok(&schema::pipeline(&pipeline)))
}
