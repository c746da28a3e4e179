//! `/openapi.json`, `/docs` and `/health`: the API described by the functions that serve it, for
//! programs and for people, and a sign of life.

pub mod document;
mod page;

use std::sync::OnceLock;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tributary::edge::{App, Path, Problem, Reply};
use utoipa::OpenApi;

/// The page loads its own style and script and nothing else; it can be framed, posted and based nowhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Documentation changes with a deployment only.
const CACHE_CONTROL: &str = "public, max-age=300";

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/openapi.json", get(openapi_json))
        .route("/docs", get(docs))
        .route("/docs/{asset}", get(asset))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(health, openapi_json),
    tags((name = "service", description = "The service itself"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Say whether the service answers.
#[utoipa::path(get, path = "/health", tag = "service",
    responses((status = 200, description = "It does", body = Object, example = json!({"status": "ok", "version": "0.1.0"}))))]
async fn health() -> Reply {
    Reply::ok(&json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// Get this description.
#[utoipa::path(get, path = "/openapi.json", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
async fn openapi_json() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = DOCUMENT.get_or_init(|| document::whole().to_string());
    asset_response("application/json", text.clone())
}

async fn docs(State(app): State<App>) -> Response {
    static PAGE: OnceLock<page::Template> = OnceLock::new();
    let page = PAGE.get_or_init(|| page::Template::of(&document::whole()));
    let mut response = asset_response(
        "text/html; charset=utf-8",
        page.at(&app.config.public_base_url),
    );
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    );
    response
}

async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    match name.as_str() {
        "style.css" => Ok(asset_response(
            "text/css; charset=utf-8",
            include_str!("../assets/style.css").to_owned(),
        )),
        "docs.js" => Ok(asset_response(
            "text/javascript; charset=utf-8",
            include_str!("../assets/docs.js").to_owned(),
        )),
        _ => Err(Problem::not_found("page")),
    }
}

fn asset_response(kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, CACHE_CONTROL),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}
