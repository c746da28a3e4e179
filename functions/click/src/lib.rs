//! `/c/{code}`: a visitor follows a partner's link.

mod agents;
mod page;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tributary::edge::{App, Path, Problem};
use tributary::tracking::model::click_sub;
use tributary::tracking::{self, Visit};
use utoipa::OpenApi;

/// Destinations learn where the visitor came from, but not the path: it may hold more than the partner means
/// to tell.
const REFERRER_POLICY: (HeaderName, HeaderValue) = (
    header::REFERRER_POLICY,
    HeaderValue::from_static("strict-origin-when-cross-origin"),
);
const SUBS: [&str; 5] = ["sub1", "sub2", "sub3", "sub4", "sub5"];

/// The routes. `HEAD` is served by the same handler.
pub fn routes() -> Router<App> {
    Router::new().route("/c/{code}", get(follow))
}

/// The part of the API's description that is served here.
#[derive(OpenApi)]
#[openapi(
    paths(follow),
    tags((name = "clicks", description = "Visitors on their way"))
)]
struct Description;

/// The part of the API's description that is served here.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Follow a link.
///
/// Records the click and redirects to the link's destination with the click id added as a parameter
/// (`tclid` unless configured). `HEAD` and declared bots are redirected without a click id and are not
/// counted. A link that is disabled, or whose host the program no longer allows, leads to its
/// program's fallback.
#[utoipa::path(get, path = "/c/{code}", tag = "clicks",
    params(("code" = String, Path, description = "The link's code", example = "summer"),
        ("sub1" = Option<String>, Query, description = "Kept with the click and filled into `{sub1}`; `sub2` to `sub5` likewise. Cut at 128 bytes"),
        ("sub2" = Option<String>, Query),
        ("sub3" = Option<String>, Query),
        ("sub4" = Option<String>, Query),
        ("sub5" = Option<String>, Query)),
    responses((status = 302, description = "On the way; `Location` has the address"),
        (status = 404, description = "There is no such link; a page for people", content_type = "text/html"),
        (status = 410, description = "The link is disabled or its host no longer allowed, and its program has no fallback; a page for people", content_type = "text/html")))]
async fn follow(
    State(app): State<App>,
    method: Method,
    headers: HeaderMap,
    code: Result<Path<String>, Problem>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Problem> {
    // A visitor is sent on whatever else the address carries: what cannot be read is left out.
    let Ok(Path(code)) = code else {
        return Ok(page::unknown());
    };
    let pairs = query.map(|Query(pairs)| pairs).unwrap_or_default();
    let subs = SUBS.map(|name| {
        let given = pairs.iter().find(|(given, _)| given == name);
        given.and_then(|(_, value)| click_sub(value))
    });
    let counted = method != Method::HEAD && !agents::is_declared_bot(&headers);
    Ok(match tracking::visit(&app, &code, subs, counted).await? {
        Visit::To(address) => redirect(&address)?,
        Visit::Unknown => page::unknown(),
        Visit::Disabled => page::disabled(),
    })
}

fn redirect(address: &str) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(address).map_err(|error| Problem::internal(&error))?;
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        REFERRER_POLICY,
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}
