//! The portal and the console: what partners and the vendor see, in a browser.
//!
//! Pages are written here, whole, from what the API answers to whoever is signed in; a form becomes a request to the
//! API. So a page shows nothing that the API would not tell, and does nothing that it would not do.

mod api;
mod assets;
mod components;
mod console;
mod cookies;
mod failure;
mod form;
mod page;
mod partner;
mod sign_in;
mod text;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use tributary::edge::App;

use crate::components::layout;
use crate::failure::Failure;
use crate::page::{go, html};
use crate::text::Text;

/// A page loads its own style, scripts and pictures, and sends its forms here; it can be framed and based nowhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer says besides.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Browsers come back over TLS alone, for a year; without TLS they pass it over.
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(sign_in::routes())
        .merge(partner::routes())
        .merge(console::routes())
        .route("/assets/{name}", get(assets::serve))
        .layer(middleware::from_fn(present))
}

/// Writes the page about what could not be shown, in the reader's language, and sets what every answer says.
async fn present(request: Request, next: Next) -> Response {
    let texts = Text::of(request.headers());
    let is_part = request.headers().contains_key("hx-request");
    let response = next.run(request).await;
    let mut response = match response.extensions().get::<Failure>() {
        None => response,
        Some(Failure::SignedOut) if is_part => {
            let mut response = response;
            let place = HeaderValue::from_static("/sign-in");
            response.headers_mut().insert("hx-redirect", place);
            response
        }
        Some(Failure::SignedOut) => go("/sign-in"),
        Some(Failure::Problem(told)) => html(told.status, layout::failed(&texts, told)),
    };
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
