//! Leads that operators bring: one, or a list of them.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tributary::edge::{App, Body, Change, Fields, Once, Operator, Path, Problem, Reply, codes};
use tributary::ids::{LeadId, ProgramId};
use tributary::leads::error::LeadError;
use tributary::leads::model::{MAX_BATCH, Source, name_of};
use tributary::leads::{self, NewLead, Received, pause_before, wire};
use tributary::operators::model::Scope;

use crate::{MAX_TRIES, program_id, schema};

/// Bring a lead.
///
/// It goes to whoever has a claim to the customer, else to whom the program's rules choose; without either it
/// waits in the vendor's queue. The same company with an open lead is that lead (200). A `reference` of yours
/// makes a repeat the same lead (200); another lead under it is refused. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/programs/{id}/leads", tag = "leads", operation_id = "bring_lead", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewLeadBody,
    responses((status = 201, description = "A new lead, offered or queued", body = schema::LeadView),
        (status = 200, description = "It is a lead that is there already", body = schema::KnownLeadView),
        (status = 409, description = "`exists`: the reference is that of a lead that says something else"),
        (status = 422, description = "Each wrong field with its reason")))]
pub(crate) async fn one(
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
    let program = program_id(&path)?;
    let (inquiry, contact) = Fields::read(&body.0, |f| wire::inquiry(f, Source::Api))?;
    let id = id(&app, program, inquiry.reference.as_deref());
    let new = NewLead {
        program,
        id,
        inquiry,
        contact,
    };
    let mut round = 0;
    loop {
        pause_before(round).await;
        round += 1;
        let change = match leads::receive(&app, new.clone()).await {
            Err(LeadError::Moved) if round < MAX_TRIES => continue,
            change => change?,
        };
        let told = reply(&change.value);
        let answer = once
            .commit(&app, change, |_| told.clone(), |_| told.clone())
            .await;
        match answer {
            Err(problem) if problem.code() == codes::CONFLICT && round < MAX_TRIES => {}
            // It came in before under the same reference, and is closed or has no company to be known by.
            Err(problem) if problem.code() == codes::EXISTS => {
                let received = leads::repeated(&app, id, &new.inquiry, &new.contact).await?;
                let change: Change<(), LeadError> = Change {
                    value: (),
                    writes: Vec::new(),
                };
                let told = reply(&received);
                return once
                    .commit(&app, change, |()| told.clone(), |()| told.clone())
                    .await;
            }
            answer => return answer,
        }
    }
}

fn id(app: &App, program: ProgramId, reference: Option<&str>) -> LeadId {
    match reference {
        Some(reference) => leads::id_of(program, reference),
        None => app.fresh(),
    }
}

fn known(id: LeadId) -> schema::KnownLeadView {
    schema::KnownLeadView {
        status: "known",
        lead: id.to_string(),
    }
}

fn reply(received: &Received) -> Reply {
    match received {
        Received::New(lead) => {
            Reply::created(&schema::for_operator(lead)).version(lead.lead.version)
        }
        Received::Known(id) => Reply::ok(&known(*id)),
    }
}

/// Bring a list of leads.
///
/// Each is taken in on its own merits, and the report tells row by row what became of it: `offered`, `queued`,
/// `known` for one that is there already, `invalid` with what is wrong, or `retry` for one that others were in the way
/// of: it is not taken in, and the same list brings it. One row does not keep another from its way. With an
/// `Idempotency-Key`, or a `reference` in each row, a repeat brings none twice; a report with a `retry` is not kept
/// under its key. Asks for the scope `channel`.
#[utoipa::path(post, path = "/v1/programs/{id}/leads:batch", tag = "leads", operation_id = "bring_leads", security(("operator_key" = [])),
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::LeadBatchBody,
    responses((status = 200, description = "The report", body = schema::LeadBatchView)))]
pub(crate) async fn batch(
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
    let program = program_id(&path)?;
    let rows = rows(&body.0)?;
    let _ = leads::find_routing(&app, program).await?;
    // Where the answer is lost, a repeat of the same list under the same key finds what it brought.
    let series = once.series();
    let mut report = Vec::with_capacity(rows.len());
    let mut is_whole = true;
    for (number, row) in (1..).zip(rows) {
        let read = Fields::read(row, |f| wire::inquiry(f, Source::Import));
        let (inquiry, contact) = match read {
            Ok(read) => read,
            Err(problem) => {
                report.push(invalid(number, &problem));
                continue;
            }
        };
        let id = match (&inquiry.reference, &series) {
            (None, Some(series)) => {
                LeadId::derived(&[&program.to_string(), "batch", series, &number.to_string()])
            }
            (reference, _) => id(&app, program, reference.as_deref()),
        };
        let new = NewLead {
            program,
            id,
            inquiry,
            contact,
        };
        report.push(match leads::intake(&app, new).await {
            Ok(received) => taken(number, &received),
            Err(LeadError::Moved) => {
                is_whole = false;
                again(number)
            }
            Err(LeadError::Table(error)) => return Err(error.into()),
            Err(error) => invalid(number, &error.into()),
        });
    }
    let reply = Reply::ok(&schema::LeadBatchView { rows: report });
    if !is_whole {
        // Kept under its key it would answer each repeat, and what is missing would never come in.
        return Ok(reply.into_response());
    }
    let change: Change<(), LeadError> = Change {
        value: (),
        writes: Vec::new(),
    };
    once.commit(&app, change, |()| reply.clone(), |()| reply.clone())
        .await
}

/// The list's rows, not yet read.
fn rows(body: &Value) -> Result<&Vec<Value>, Problem> {
    Fields::read(body, |f| {
        let Some(value) = f.raw("leads") else {
            f.refuse(codes::REQUIRED, "leads", "is missing");
            return None;
        };
        let Some(rows) = value.as_array() else {
            f.refuse(codes::WRONG_TYPE, "leads", "is a list");
            return None;
        };
        if rows.is_empty() || rows.len() > MAX_BATCH {
            let code = if rows.is_empty() {
                codes::TOO_SHORT
            } else {
                codes::TOO_LONG
            };
            f.refuse(code, "leads", format!("has 1 to {MAX_BATCH} entries"));
            return None;
        }
        Some(rows)
    })
}

fn invalid(number: usize, problem: &Problem) -> schema::LeadRowView {
    let errors = problem.errors().to_vec();
    schema::LeadRowView {
        row: number,
        status: "invalid",
        lead: None,
        partner: None,
        code: Some(problem.code().name),
        detail: Some(problem.detail().to_owned()),
        errors,
    }
}

/// A row with which nothing is wrong, and which is not taken in.
fn again(number: usize) -> schema::LeadRowView {
    schema::LeadRowView {
        status: "retry",
        ..invalid(number, &LeadError::Moved.into())
    }
}

fn taken(number: usize, received: &Received) -> schema::LeadRowView {
    let (status, lead, partner) = match received {
        Received::Known(id) => ("known", *id, None),
        Received::New(known) => {
            let partner = known.lead.current().map(|offer| offer.partner.to_string());
            let stage = name_of(tributary::leads::model::STAGES, known.lead.stage);
            (stage, known.lead.id, partner)
        }
    };
    schema::LeadRowView {
        row: number,
        status,
        lead: Some(lead.to_string()),
        partner,
        code: None,
        detail: None,
        errors: Vec::new(),
    }
}
