//! Cookies: only for this site, out of scripts' reach, and over TLS wherever the site has it.

use axum::http::{HeaderMap, HeaderValue, header};
use tributary::edge::App;

/// Whether the site is reached over TLS, as everywhere but on the engineer's own machine.
#[must_use]
pub fn is_secure(app: &App) -> bool {
    app.config.public_base_url.starts_with("https://")
}

/// What a cookie is called: with TLS no other host of the domain can set it.
fn name(app: &App, plain: &str) -> String {
    if is_secure(app) {
        format!("__Host-{plain}")
    } else {
        plain.to_owned()
    }
}

/// The value of a cookie by its plain name, with or without what TLS puts in front of it.
#[must_use]
pub fn read(headers: &HeaderMap, plain: &str) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter();
    let pairs = pairs.filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name.trim_start_matches("__Host-") == plain).then(|| value.to_owned())
    })
}

/// The value of one of our own cookies.
#[must_use]
pub fn own(app: &App, headers: &HeaderMap, plain: &str) -> Option<String> {
    let wanted = name(app, plain);
    let pairs = headers.get_all(header::COOKIE).iter();
    let pairs = pairs.filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == wanted).then(|| value.to_owned())
    })
}

/// The header that sets a cookie for so many seconds; with 0 it is gone. `value` has no characters but those of tokens.
#[must_use]
pub fn set(app: &App, plain: &str, value: &str, seconds: i64) -> Option<HeaderValue> {
    let secure = if is_secure(app) { "; Secure" } else { "" };
    let name = name(app, plain);
    HeaderValue::from_str(&format!(
        "{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    ))
    .ok()
}
