//! From routes and handlers to running functions.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_types::SdkConfig;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument;

use super::app::{App, Cache, Entropy, Parts};
use super::config::Config;
use super::keyring::Keyring;
use super::mailer::Mailer;
use super::problem::{Problem, codes};
use super::queues::Queues;
use super::telemetry;
use crate::clock::Clock;
use crate::table::{Key, Table};

/// Longest wait for the first connection during start; the function serves all the same when it is over.
const WARM_UP_MS: u64 = 1_000;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Completes a function's routes: 404 and 405 as problems, a request id, one span per request, and a
/// panic that fails one request only.
pub fn finish(routes: Router<App>, app: App) -> Router {
    routes
        .fallback(|| async { Problem::not_found("page") })
        .method_not_allowed_fallback(|| async {
            Problem::new(codes::METHOD_NOT_ALLOWED, codes::METHOD_NOT_ALLOWED.meaning)
        })
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

async fn observe(
    axum::extract::State(app): axum::extract::State<App>,
    request: Request,
    next: Next,
) -> Response {
    let id: String = app
        .entropy
        .bytes::<8>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // The route's template, not its path: a path may hold a click code, a query may hold a token.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!("request", id, method = %request.method(), route);
    async move {
        let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => Problem::internal(&"a handler panicked").into_response(),
        };
        tracing::debug!(status = response.status().as_u16(), "answered");
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
    .instrument(span)
    .await
}

/// What a function cannot do without, so that a configuration that lacks it is told at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Neither tables nor keys.
    Nothing,
    /// The main table.
    Table,
    /// The main table, and the keyring.
    Keyring,
}

/// Runs an HTTP function under Lambda.
///
/// # Errors
/// A wrong configuration, or the runtime's end.
pub async fn serve(routes: Router<App>, needs: Needs) -> Result<(), lambda_http::Error> {
    telemetry::init();
    let app = from_environment(needs, no_mail).await?;
    lambda_http::run(finish(routes, app)).await
}

/// Runs a triggered function under Lambda: one event type in, one answer out.
///
/// # Errors
/// A wrong configuration, or the runtime's end.
pub async fn run<E, R, F>(
    handle: impl Fn(App, E) -> F,
    needs: Needs,
) -> Result<(), lambda_runtime::Error>
where
    E: DeserializeOwned,
    R: Serialize,
    F: Future<Output = Result<R, lambda_runtime::Error>>,
{
    run_as(handle, needs, no_mail).await
}

/// The same for a function that sends mail: only it links the client for that.
///
/// # Errors
/// A wrong configuration, or the runtime's end.
pub async fn run_with_mail<E, R, F>(
    handle: impl Fn(App, E) -> F,
    needs: Needs,
) -> Result<(), lambda_runtime::Error>
where
    E: DeserializeOwned,
    R: Serialize,
    F: Future<Output = Result<R, lambda_runtime::Error>>,
{
    let by_ses = |aws: &SdkConfig, config: &Config| {
        let client = aws_sdk_sesv2::Client::new(aws);
        Some(Mailer::new(client, &config.mail_sender))
    };
    run_as(handle, needs, by_ses).await
}

fn no_mail(_: &SdkConfig, _: &Config) -> Option<Mailer> {
    None
}

async fn run_as<E, R, F>(
    handle: impl Fn(App, E) -> F,
    needs: Needs,
    mailer: impl Fn(&SdkConfig, &Config) -> Option<Mailer>,
) -> Result<(), lambda_runtime::Error>
where
    E: DeserializeOwned,
    R: Serialize,
    F: Future<Output = Result<R, lambda_runtime::Error>>,
{
    telemetry::init();
    let app = from_environment(needs, mailer).await?;
    let handle = &handle;
    lambda_runtime::run(lambda_runtime::service_fn(move |event: LambdaEvent<E>| {
        let app = app.clone();
        async move { handle(app, event.payload).await }
    }))
    .await
}

/// The application as the environment describes it. Clients are built, and the first connection made,
/// during init, which Lambda gives more processor than the calls that follow.
async fn from_environment(
    needs: Needs,
    mailer: impl Fn(&SdkConfig, &Config) -> Option<Mailer>,
) -> Result<App, lambda_runtime::Error> {
    let config = Config::read(|name| std::env::var(name).ok())?;
    if needs != Needs::Nothing && config.main_table.is_empty() {
        return Err("configuration: TRIBUTARY_MAIN_TABLE is not set".into());
    }
    let aws = aws_from_environment()?;
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let main = Table::new(dynamodb.clone(), &config.main_table);
    let document = keyring_document(&aws, None);
    let warm = tokio::time::timeout(std::time::Duration::from_millis(WARM_UP_MS), async {
        if !config.main_table.is_empty() {
            // Whatever it answers, the connection stands.
            let _ = main.get::<serde_json::Value>(&Key::new("WARM", "UP")).await;
        }
    });
    let (document, _) = tokio::join!(document, warm);
    let document = document?;
    if needs == Needs::Keyring && document.is_none() {
        return Err(
            "configuration: neither TRIBUTARY_KEYRING_SECRET nor TRIBUTARY_KEYRING_FILE is set"
                .into(),
        );
    }
    Ok(App::new(Parts {
        clicks: Table::new(dynamodb, &config.clicks_table),
        queues: Queues::new(
            aws_sdk_sqs::Client::new(&aws),
            &config.commissions_queue_url,
            &config.payouts_queue_url,
            &config.channel_queue_url,
        ),
        mailer: mailer(&aws, &config),
        main,
        clock: Clock::System,
        entropy: Entropy::System,
        keyring: document
            .map(|document| Keyring::read(&document))
            .transpose()?
            .into(),
        config,
        cache: Cache::default(),
    }))
}

/// What the SDK's clients share. Lambda gives region and credentials in the environment, and so does
/// cargo-lambda; the SDK's own search through profiles, metadata services and token services would make
/// every function half a megabyte larger and its start slower.
fn aws_from_environment() -> Result<SdkConfig, lambda_runtime::Error> {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let needed = |name: &str| given(name).ok_or(format!("configuration: {name} is not set"));
    let region = given("AWS_REGION").map_or_else(|| needed("AWS_DEFAULT_REGION"), Ok)?;
    let credentials = Credentials::new(
        needed("AWS_ACCESS_KEY_ID")?,
        needed("AWS_SECRET_ACCESS_KEY")?,
        given("AWS_SESSION_TOKEN"),
        None,
        "environment",
    );
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let mut aws = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http);
    aws.set_endpoint_url(given("AWS_ENDPOINT_URL"));
    Ok(aws.build())
}

/// `TRIBUTARY_KEYRING_FILE` (a path, for functions run by cargo-lambda) or `TRIBUTARY_KEYRING_SECRET`
/// (the name or ARN of a Secrets Manager secret), or else the secret that is named. A function that is told none uses
/// no keyring.
///
/// # Errors
/// A file that cannot be read, a secret that is not there.
pub async fn keyring_document(
    aws: &SdkConfig,
    unless_told: Option<String>,
) -> Result<Option<String>, lambda_runtime::Error> {
    if let Ok(path) = std::env::var("TRIBUTARY_KEYRING_FILE") {
        return Ok(Some(std::fs::read_to_string(path)?));
    }
    let told = std::env::var("TRIBUTARY_KEYRING_SECRET").ok();
    let Some(secret) = told.or(unless_told) else {
        return Ok(None);
    };
    let answer = aws_sdk_secretsmanager::Client::new(aws)
        .get_secret_value()
        .secret_id(secret)
        .send()
        .await?;
    let document = answer
        .secret_string
        .ok_or("the keyring secret has no text")?;
    Ok(Some(document))
}

/// The partial batch response that names these messages: they come again, the others are done.
#[must_use]
pub fn batch_failures(message_ids: impl IntoIterator<Item = String>) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = message_ids
        .into_iter()
        .map(|id| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            failure
        })
        .collect();
    response
}
