//! What anybody may do: apply, confirm the address, answer and submit.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tributary::applications::{self, Known};
use tributary::edge::{App, Body, ClientAddress, Once, Path, Problem, Reply, codes, path_id};
use tributary::ids::ProgramId;

use crate::{read, schema};

/// Tries to submit while others change what an approval touches.
const MAX_TRIES: usize = 4;

/// Apply to a program.
///
/// For anybody. The answer is the same whether the email is known or not: a mail goes there with a token that
/// is good once, for three days, and that `applications:confirm` takes. So many come from one network address
/// and to one program in an hour, and so many mails go to one mailbox in a day, whatever is answered here.
#[utoipa::path(post, path = "/v1/programs/{id}/applications", tag = "applications",
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::NewApplicationBody,
    responses((status = 202, description = "Taken; a mail says how to go on", body = schema::TakenView),
        (status = 404, description = "`not_found`: no such program, or none that has a form"),
        (status = 409, description = "`wrong_state`: the program takes no applications now"),
        (status = 429, description = "`rate_limited`")))]
pub(crate) async fn apply(
    State(app): State<App>,
    Path(path): Path<String>,
    address: ClientAddress,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let once = once.of(&address.reference, &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let program: ProgramId = path_id(&path, "program")?;
    let form = applications::form(&app, program).await?;
    let new = read::application(&body.0, &form)?;
    let reply = Reply::accepted(&schema::TakenView {
        next: "read the mail that was sent to the address",
    });
    let mut tries = 1;
    loop {
        let change = applications::apply(&app, program, &address.reference, new.clone()).await?;
        let answered = once
            .commit(&app, change, |()| reply.clone(), |()| reply.clone())
            .await;
        match answered {
            // Somebody else asked the mailbox for the last time today at the same moment: nothing says so.
            Err(problem) if problem.code() == codes::CONFLICT && tries < MAX_TRIES => tries += 1,
            answered => return answered,
        }
    }
}

/// Confirm an applicant's address.
///
/// For whoever holds the mailed token, which is used up by it. The answer holds another one, with which
/// `applications:answer` is asked for 30 days.
#[utoipa::path(post, path = "/v1/programs/{id}/applications:confirm", tag = "applications",
    params(("id" = String, Path, description = "The program's id")),
    request_body = schema::TokenBody,
    responses((status = 200, description = "Confirmed", body = schema::ConfirmedView),
        (status = 422, description = "`token_unusable`: forged, used up, out of date, or another application of the mailbox was confirmed since"),
        (status = 429, description = "`rate_limited`")))]
pub(crate) async fn confirm(
    State(app): State<App>,
    Path(path): Path<String>,
    address: ClientAddress,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let program: ProgramId = path_id(&path, "program")?;
    let text = read::only_token(&body.0)?;
    let change = applications::confirm(&app, program, &address.reference, &text).await?;
    // Whoever sends another token from the same network asks for something else.
    let once = once.of(&address.reference, &json!({ "token": text }));
    let view = |confirmed: &applications::Confirmed, token| schema::ConfirmedView {
        application: schema::application(&Known {
            application: confirmed.application.clone(),
            applicant: Some(confirmed.applicant.clone()),
        })
        .for_applicant(),
        token,
    };
    once.commit(
        &app,
        change,
        |confirmed| Reply::ok(&view(confirmed, None)),
        |confirmed| {
            let token = Some(confirmed.token.clone());
            Reply::ok(&view(&confirmed, token))
        },
    )
    .await
}

/// Answer an application form, and submit it.
///
/// For whoever holds the token of a confirmed application: until it is submitted, and again when an operator
/// asks for more. What is left out stays as it was said before; `answers` are given as a whole. With `submit`
/// the program's rules look at it at once: it is approved, waits for an operator, or is rejected.
#[utoipa::path(post, path = "/v1/programs/{id}/applications:answer", tag = "applications",
    params(("id" = String, Path, description = "The program's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats are answered as the first time, for 30 days")),
    request_body = schema::AnswerBody,
    responses((status = 200, description = "Taken", body = schema::ApplicationView),
        (status = 409, description = "`wrong_state`: it is no longer the applicant's to change"),
        (status = 422, description = "`token_unusable`, and what is wrong with each field"),
        (status = 429, description = "`rate_limited`: too many tokens that are not good were tried")))]
pub(crate) async fn answer(
    State(app): State<App>,
    Path(path): Path<String>,
    address: ClientAddress,
    once: Once,
    body: Body,
) -> Result<Response, Problem> {
    let program: ProgramId = path_id(&path, "program")?;
    let text = read::token(&body.0)?;
    let once = once.of(&text, &body.0);
    if let Some(reply) = once.answered(&app).await? {
        return Ok(reply.into_response());
    }
    let mut tries = 1;
    loop {
        let (application, applicant) =
            applications::with_token(&app, program, &address.reference, &text).await?;
        let form = applications::form_or_plain(&app, program).await?;
        let (said, submits) = read::answer(&body.0, &form, &applicant.answers)?;
        let change = applications::answer(&app, (application, applicant), said, submits).await?;
        let (application, applicant) = change.value.clone();
        let reply = Reply::ok(
            &schema::application(&Known {
                application,
                applicant: Some(applicant),
            })
            .for_applicant(),
        );
        let answered = once
            .commit(&app, change, |_| reply.clone(), |_| reply.clone())
            .await;
        match answered {
            Err(problem) if problem.code() == codes::CONFLICT && tries < MAX_TRIES => tries += 1,
            answered => return answered,
        }
    }
}
