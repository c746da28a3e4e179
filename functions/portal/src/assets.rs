//! Style, scripts and the icon: part of the function, kept by browsers for as long as they stay the same.

use std::collections::HashMap;
use std::sync::OnceLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use tributary::edge::{Path, Problem, hash_bytes};

/// The files: name, type, bytes.
const FILES: [(&str, &str, &[u8]); 6] = [
    (
        "style.css",
        "text/css; charset=utf-8",
        include_bytes!("../assets/style.css"),
    ),
    (
        "app.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/app.js"),
    ),
    (
        "htmx-4.0.1.min.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/htmx-4.0.1.min.js"),
    ),
    (
        "uplot-1.6.32.min.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/uplot-1.6.32.min.js"),
    ),
    (
        "uplot-1.6.32.min.css",
        "text/css; charset=utf-8",
        include_bytes!("../assets/uplot-1.6.32.min.css"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_bytes!("../assets/icon.svg"),
    ),
];

/// Digits of a file's hash in its address.
const HASH_DIGITS: usize = 12;

fn paths() -> &'static HashMap<&'static str, String> {
    static PATHS: OnceLock<HashMap<&'static str, String>> = OnceLock::new();
    PATHS.get_or_init(|| {
        FILES
            .iter()
            .map(|(name, _, bytes)| {
                let hash = hash_bytes(bytes);
                let hash = hash.get(..HASH_DIGITS).unwrap_or_default();
                (*name, format!("/assets/{hash}-{name}"))
            })
            .collect()
    })
}

/// Where a file is: its address changes with its bytes.
#[must_use]
pub fn path(name: &str) -> &'static str {
    paths().get(name).map_or("", String::as_str)
}

/// A file, by the name that its address holds.
///
/// # Errors
/// `not_found`.
pub async fn serve(Path(asked): Path<String>) -> Result<Response, Problem> {
    let found = FILES
        .iter()
        .find(|(name, ..)| path(name).trim_start_matches("/assets/") == asked);
    let (_, kind, bytes) = found.ok_or_else(|| Problem::not_found("page"))?;
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, *bytes).into_response())
}
