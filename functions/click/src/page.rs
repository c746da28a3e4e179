//! What a visitor sees who cannot be sent anywhere: plain pages without anything to load.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
];

fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n</html>\n"
    );
    (status, HEADERS, Html(html)).into_response()
}

/// 404.
pub(crate) fn unknown() -> Response {
    page(
        StatusCode::NOT_FOUND,
        "This link leads nowhere",
        "There is no such link. It may have been mistyped or cut short.",
    )
}

/// 410.
pub(crate) fn disabled() -> Response {
    page(
        StatusCode::GONE,
        "This link has ended",
        "The link was switched off, or the place it led to is no longer part of its program.",
    )
}
