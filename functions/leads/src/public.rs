//! The public form: anybody may leave a lead who does some work for it.

use axum::extract::{Request, State};
use tributary::edge::{
    App, ClientAddress, Fields, Path, Problem, Reply, codes, parse_json, path_id, read_up_to,
};
use tributary::ids::ProgramId;
use tributary::leads::form::{self, MAX_CHALLENGE, MAX_NONCE};
use tributary::leads::{self, NewLead, wire};

use crate::schema;

/// Bytes of a form: its longest fields, written in any script.
const MAX_FORM_BYTES: usize = 16 * 1024;
/// Characters of the field that people do not see.
const MAX_TRAP: usize = 500;

/// A form that is not there looks like one that was never made.
fn form_program(path: &str) -> Result<ProgramId, Problem> {
    path_id(path, "form")
}

/// Get a challenge for the public form.
///
/// Whoever answers it finds a `nonce`, such as a counter, for which the SHA-256 of `<challenge>.<nonce>` begins
/// with `work_bits` zero bits: about a second in a browser. It can be answered once, within an hour. No third
/// party is asked.
#[utoipa::path(get, path = "/v1/programs/{id}/leads:challenge", tag = "leads", operation_id = "lead_challenge", security(()),
    params(("id" = String, Path, description = "The program's id")),
    responses((status = 200, description = "The challenge", body = schema::ChallengeView),
        (status = 404, description = "The program has no public form")))]
pub(crate) async fn challenge(
    State(app): State<App>,
    Path(path): Path<String>,
) -> Result<Reply, Problem> {
    let program = form_program(&path)?;
    let form = leads::find_form(&app, program).await?;
    let challenge = form::challenge(&app, program, form);
    Ok(Reply::ok(&schema::ChallengeView {
        challenge: challenge.text,
        work_bits: challenge.work_bits,
        answer_by: challenge.until.to_string(),
    }))
}

/// Leave a lead by the public form.
///
/// Asks for no key. The answer is the same whether the company is known or not. `fax` is a field that people do
/// not see: what is filled in there is thrown away with the rest. Of a company whose lead is open it is kept with
/// that lead. A program takes so many an hour, from one address and in all.
#[utoipa::path(post, path = "/v1/programs/{id}/leads:form", tag = "leads", operation_id = "leave_lead", security(()),
    params(("id" = String, Path, description = "The program's id")),
    request_body = schema::LeadFormBody,
    responses((status = 202, description = "Received", body = schema::FormReceivedView),
        (status = 404, description = "The program has no public form"),
        (status = 413, description = "`body_too_large`: more than 16 KB"),
        (status = 422, description = "Each wrong field with its reason; `challenge_invalid`, `work_missing`"),
        (status = 429, description = "`rate_limited`")))]
pub(crate) async fn form(
    State(app): State<App>,
    Path(path): Path<String>,
    address: ClientAddress,
    request: Request,
) -> Result<Reply, Problem> {
    let program = form_program(&path)?;
    let bytes = read_up_to(request, MAX_FORM_BYTES).await?;
    let body = match bytes.is_empty() {
        true => serde_json::json!({}),
        false => parse_json(&bytes)?,
    };
    let (challenge, nonce, is_trapped, (inquiry, contact)) = Fields::read(&body, |f| {
        let challenge = f.text("challenge", MAX_CHALLENGE);
        let nonce = f.text("nonce", MAX_NONCE);
        let trap = f.raw("fax").and_then(|value| value.as_str());
        let is_trapped = trap.is_some_and(|text| !text.is_empty());
        if trap.is_some_and(|text| text.chars().count() > MAX_TRAP) {
            f.refuse(codes::TOO_LONG, "fax", "is left empty");
        }
        let asked = wire::form_inquiry(f);
        Some((challenge?, nonce?, is_trapped, asked?))
    })?;
    let terms = leads::find_form(&app, program).await?;
    let until = form::answered(&app.keyring, program, &challenge, &nonce, app.now())?;
    if is_trapped {
        let from = &address.reference;
        leads::turn_away(&app, program, terms, from, &challenge, until).await?;
    } else {
        let new = NewLead {
            program,
            id: app.fresh(),
            inquiry,
            contact,
        };
        leads::leave(&app, new, terms, &address.reference, &challenge, until).await?;
    }
    Ok(Reply::accepted(&schema::FormReceivedView {
        status: "received",
    }))
}
