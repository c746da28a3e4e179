//! `/v1/postbacks/{program}`: servers and trackers report conversions.

pub mod schema;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tributary::edge::{App, Problem, Reply, codes};
use tributary::tracking;
use tributary::tracking::model::Receipt;
use tributary::tracking::{Postback, posting};
use utoipa::OpenApi;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new().route(
        "/v1/postbacks/{program}",
        // A GET route would answer HEAD too, and a look shall not report a sale.
        get(receive_query).post(receive).head(refuse),
    )
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(receive, receive_query),
    tags((name = "postbacks", description = "Conversions reported by servers and trackers"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

async fn refuse() -> Problem {
    Problem::new(codes::METHOD_NOT_ALLOWED, codes::METHOD_NOT_ALLOWED.meaning)
}

/// Report a conversion.
///
/// JSON or a form, in the names of the program's dialect (shown here: Tributary's own). Authentic by the
/// program's token (`X-Postback-Token`, `Authorization: Bearer`, or the parameter `token`), by a signature
/// after Standard Webhooks over the body, or by the key of an operator with the scope `channel` or
/// `finance`, for whom no event is too old. The same facts again answer `duplicate`; other facts under the
/// same transaction are refused, naming the fields among `click_id`, `coupon`, `currency`, the amounts,
/// `quantity`, `customer` and, where it is stated, `occurred_at`. A post that changes the status alone may
/// leave out all but the transaction id and its click or coupon, a reversal these too. A reversal takes
/// back the part that its `amount` tells, each under a `reversal_id` of its own, and never more than is
/// left. Answers never show amounts.
#[utoipa::path(post, path = "/v1/postbacks/{program}", tag = "postbacks",
    security(("postback_token" = []), ("postback_signature" = []), ("operator_key" = [])),
    params(("program" = String, Path, description = "The program's id"),
        ("webhook-id" = Option<String>, Header, description = "Standard Webhooks: the message's id"),
        ("webhook-timestamp" = Option<String>, Header, description = "Standard Webhooks: seconds since 1970, at most five minutes away"),
        ("webhook-signature" = Option<String>, Header, description = "Standard Webhooks: `v1,<base64>`, several separated by blanks")),
    request_body = schema::PostbackBody,
    responses((status = 201, description = "A new conversion: `accepted`", body = schema::ReceiptView),
        (status = 200, description = "`duplicate`, `approved` or `reversed`", body = schema::ReceiptView),
        (status = 202, description = "A reversal of a conversion that has not arrived: `kept` until it does", body = schema::ReceiptView)))]
async fn receive(State(app): State<App>, postback: Postback) -> Result<Reply, Problem> {
    let Postback {
        program,
        source,
        posts,
    } = postback;
    let any_age = source.any_age();
    let (posting, mapped) = posting::read(&app.keyring, &program, &posts, app.now(), any_age)?;
    let received = tracking::receive(&app, &program, &posting).await;
    let (conversion, receipt) = received.map_err(|error| error.in_names_of(&mapped.renamed))?;
    let status = match receipt {
        Receipt::Accepted => StatusCode::CREATED,
        Receipt::Duplicate | Receipt::Approved | Receipt::Reversed | Receipt::Amended => {
            StatusCode::OK
        }
        Receipt::Kept => StatusCode::ACCEPTED,
    };
    let view = schema::ReceiptView {
        conversion: conversion.to_string(),
        status: receipt.name(),
    };
    Ok(Reply::new(status, &view))
}

/// Report a conversion by address alone.
///
/// For trackers that can only fetch an address: the same as posting, with everything in the query.
#[utoipa::path(get, path = "/v1/postbacks/{program}", tag = "postbacks",
    security(("postback_token" = []), ("operator_key" = [])),
    params(("program" = String, Path, description = "The program's id"), schema::PostbackBody),
    responses((status = 201, description = "A new conversion: `accepted`", body = schema::ReceiptView),
        (status = 200, description = "`duplicate`, `approved` or `reversed`", body = schema::ReceiptView),
        (status = 202, description = "A reversal of a conversion that has not arrived: `kept` until it does", body = schema::ReceiptView)))]
async fn receive_query(state: State<App>, postback: Postback) -> Result<Reply, Problem> {
    receive(state, postback).await
}
