//! Reading leads: lists, one, why it was assigned, the feed for the vendor's CRM, and the export.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tributary::edge::Paper;
use tributary::edge::{
    App, Cursor, Limit, Operator, PartnerPrincipal, Path, Principal, Problem, Query, Reply, codes,
};
use tributary::ids::{PartnerId, ProgramId};
use tributary::leads::error::LeadError;
use tributary::leads::export::{self as sheet, SHEET};
use tributary::leads::model::{STAGES, Stage, name_of};
use tributary::leads::{self, Known, Listed};
use tributary::operators::model::Scope;

use crate::{lead_id, program_id, schema};

/// List leads.
///
/// An operator names the program, newest first, or the partner to whom they were offered; with
/// `stage=vendor_queue` the program's are those that wait for an operator, oldest first. A page of one stage may
/// hold fewer than there are further on. A partner lists those that were offered to it, the last one first: of
/// one that it has not accepted it sees size, region and need alone.
#[utoipa::path(get, path = "/v1/leads", tag = "leads", operation_id = "list_leads", security(("operator_key" = []), ("partner_key" = [])),
    params(("program" = Option<String>, Query, description = "Of this program"),
        ("stage" = Option<String>, Query, description = "`offered`, `accepted`, `working`, `qualified`, `proposal`, `won`, `lost` or `vendor_queue`"),
        ("partner" = Option<String>, Query, description = "Offered to this partner"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::LeadListView)))]
pub(crate) async fn list(
    State(app): State<App>,
    principal: Principal,
    query: Query,
) -> Result<Reply, Problem> {
    query.only(&["program", "stage", "partner", "limit", "cursor"])?;
    let (listed, stage) = listed(&principal, &query)?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let of = match listed {
        Listed::Program(id) => format!("leads?program={id}"),
        Listed::Queue(id) => format!("leads?program={id}&queue"),
        Listed::Partner(id) => format!("leads?partner={id}"),
    };
    let name = match stage {
        Some(stage) => format!("{of}&stage={}", name_of(STAGES, stage)),
        None => of,
    };
    let beyond = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = leads::list(&app, listed, stage, beyond, limit).await?;
    Ok(Reply::ok(&schema::LeadListView {
        items: found.iter().map(|known| shown(known, &principal)).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Which list is asked for; one that the principal may read.
fn listed(principal: &Principal, query: &Query) -> Result<(Listed, Option<Stage>), Problem> {
    let program: Option<ProgramId> = query.id("program")?;
    let partner: Option<PartnerId> = query.id("partner")?;
    let stage = match query.get("stage") {
        None => None,
        Some(name) => {
            let found = STAGES.iter().find(|(known, _)| *known == name);
            let found = found.ok_or_else(|| {
                let names: Vec<&str> = STAGES.iter().map(|(name, _)| *name).collect();
                let reason = format!("is one of: {}", names.join(", "));
                Problem::field(codes::NOT_ONE_OF, "stage", reason)
            })?;
            Some(found.1)
        }
    };
    match (program, partner, principal) {
        (None, None, Principal::Partner(own)) if stage.is_none() => {
            Ok((Listed::Partner(own.id), None))
        }
        (None, Some(partner), _) if stage.is_none() => {
            principal.may_read(partner, &[Scope::Read], "partner")?;
            Ok((Listed::Partner(partner), None))
        }
        (Some(program), None, Principal::Operator(operator)) => {
            operator.demand(&[Scope::Read])?;
            Ok(match stage {
                Some(Stage::Queued) => (Listed::Queue(program), None),
                stage => (Listed::Program(program), stage),
            })
        }
        (_, _, Principal::Partner(_)) => Err(Problem::new(
            codes::FORBIDDEN,
            "a partner lists what was offered to it, all of it",
        )),
        (None, None, Principal::Operator(_)) => Err(Problem::field(
            codes::REQUIRED,
            "program",
            "name the program whose leads to list, or the partner to whom they were offered",
        )),
        (_, Some(_), Principal::Operator(_)) => Err(Problem::field(
            codes::UNKNOWN_FIELD,
            "partner",
            "name either the partner or the program; stages are listed by program",
        )),
    }
}

fn shown(known: &Known, principal: &Principal) -> schema::LeadView {
    match principal {
        Principal::Operator(_) => schema::for_operator(known),
        Principal::Partner(own) => {
            schema::for_partner(known, offered_to(known, own).unwrap_or(own.id))
        }
    }
}

/// To whom of those that a key speaks for a lead was offered: to itself before any that was merged into it.
fn offered_to(known: &Known, own: &PartnerPrincipal) -> Option<PartnerId> {
    own.everybody()
        .find(|partner| known.lead.offer_to(*partner).is_some())
}

/// Get one lead.
///
/// A partner gets those that were offered to it: until it accepts, size, region and need alone.
#[utoipa::path(get, path = "/v1/leads/{id}", tag = "leads", operation_id = "find_lead", security(("operator_key" = []), ("partner_key" = [])),
    params(("id" = String, Path, description = "The lead's id")),
    responses((status = 200, description = "The lead, its version as `ETag`", body = schema::LeadView)))]
pub(crate) async fn find(
    State(app): State<App>,
    principal: Principal,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let id = lead_id(&path)?;
    let known = match &principal {
        Principal::Operator(operator) => {
            operator.demand(&[Scope::Read])?;
            leads::find(&app, id).await?
        }
        Principal::Partner(own) => {
            let known = leads::find(&app, id).await?;
            let _ = offered_to(&known, own).ok_or(LeadError::NotFound(id))?;
            known
        }
    };
    Ok(Reply::ok(&shown(&known, &principal)).version(known.lead.version))
}

/// See why a lead was assigned as it was.
///
/// Each time with who was eligible (the first twenty, the best first, with their scores), who was not and why
/// (all counted, the first twenty named), and the choice. Where two hundred chosen ones could not take it, suspended or
/// without terms they would have to accept, nobody further is asked (`stopped_after`), and an operator decides. The
/// same inputs choose the same partner.
#[utoipa::path(get, path = "/v1/leads/{id}/assignments", tag = "leads", operation_id = "lead_assignments", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The lead's id")),
    responses((status = 200, description = "The explanations, oldest first", body = schema::AssignmentListView)))]
pub(crate) async fn assignments(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Read])?;
    let found = leads::explanations(&app, lead_id(&path)?).await?;
    Ok(Reply::ok(&schema::AssignmentListView {
        items: found
            .into_iter()
            .map(|(at, explanation)| schema::AssignmentView {
                at: at.to_string(),
                explanation,
            })
            .collect(),
    }))
}

/// Read a program's leads by their last change.
///
/// For the vendor's CRM: oldest change first, some seconds behind the present, so that none is passed over. Go on
/// from `next_cursor`, which is there also when nothing follows yet; a lead that changes again comes again.
/// Asks for the scope `channel`, because it shows who asks.
#[utoipa::path(get, path = "/v1/programs/{id}/leads:feed", tag = "leads", operation_id = "lead_feed", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("limit" = Option<u32>, Query, description = "Entries of a page, 1 to 200; 50 unless told"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = schema::LeadListView)))]
pub(crate) async fn feed(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Reply, Problem> {
    operator.demand(&[Scope::Channel])?;
    query.only(&["limit", "cursor"])?;
    let program = program_id(&path)?;
    let Limit(limit) = Limit::read(query.get("limit"))?;
    let name = format!("leads:feed?program={program}");
    let beyond = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) = leads::changed(&app, program, beyond, limit).await?;
    Ok(Reply::ok(&schema::LeadListView {
        items: found.iter().map(schema::for_operator).collect(),
        next_cursor: position.map(|position| Cursor::write(&name, &position)),
    }))
}

/// Export a program's leads as CSV, newest first.
///
/// At most two hundred a sheet; `Tributary-Next-Cursor` says where the next one goes on. No cell begins as a
/// formula would. Asks for the scope `channel`, because it shows who asks.
#[utoipa::path(get, path = "/v1/programs/{id}/leads:export", tag = "leads", operation_id = "export_leads", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("cursor" = Option<String>, Query, description = "`Tributary-Next-Cursor` of the sheet before")),
    responses((status = 200, description = "A sheet", body = String, content_type = "text/csv"),
        (status = 422, description = "`cursor_invalid`")))]
pub(crate) async fn export(
    State(app): State<App>,
    operator: Operator,
    Path(path): Path<String>,
    query: Query,
) -> Result<Response, Problem> {
    operator.demand(&[Scope::Channel])?;
    query.only(&["cursor"])?;
    let program = program_id(&path)?;
    let name = format!("leads:export?program={program}");
    let beyond = Cursor::read(&name, query.get("cursor"))?;
    let (found, position) =
        leads::list(&app, Listed::Program(program), None, beyond, SHEET).await?;
    let bytes = sheet::csv(&found).map_err(|error| Problem::internal(&error))?;
    let mut paper = Paper::csv(&format!("leads-{program}.csv"), bytes);
    if let Some(position) = position {
        paper = paper.fact("tributary-next-cursor", Cursor::write(&name, &position));
    }
    Ok(paper.into_response())
}
