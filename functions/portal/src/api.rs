//! The API, called in this process as whoever is signed in: pages show what the API answers and do what it allows,
//! neither more nor less.

use std::sync::OnceLock;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use tributary::edge::{App, Principal};

use crate::failure::Failure;

/// Every route that pages use. One table, made once.
fn routes() -> Router<App> {
    static ROUTES: OnceLock<Router<App>> = OnceLock::new();
    let all = || {
        [
            applications::routes(),
            claims::routes(),
            conversions::routes(),
            deals::routes(),
            disputes::routes(),
            imports::routes(),
            leads::routes(),
            operators::routes(),
            partners::routes(),
            payouts::routes(),
            programs::routes(),
            reports::routes(),
        ]
        .into_iter()
        .fold(Router::new(), Router::merge)
    };
    ROUTES.get_or_init(all).clone()
}

/// A change to be made.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The method.
    pub method: Method,
    /// The path, such as `/v1/deals`.
    pub path: &'a str,
    /// What is sent; `null` for nothing.
    pub body: Value,
    /// The idempotency key: of a form that is sent twice, one takes effect.
    pub once: Option<&'a str>,
    /// The version that the change is based on.
    pub version: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// A POST.
    #[must_use]
    pub fn post(path: &'a str, body: Value) -> Self {
        Self {
            method: Method::POST,
            path,
            body,
            once: None,
            version: None,
        }
    }

    /// The same with another method.
    #[must_use]
    pub fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }
}

/// The API as somebody.
#[derive(Clone)]
pub struct Api {
    app: App,
    principal: Principal,
}

impl Api {
    /// As whoever is signed in.
    #[must_use]
    pub fn of(app: &App, principal: Principal) -> Self {
        Self {
            app: app.clone(),
            principal,
        }
    }

    async fn call(&self, request: Request<Body>) -> Result<Value, Failure> {
        let mut request = request;
        request.extensions_mut().insert(self.principal.clone());
        let answer = routes()
            .with_state(self.app.clone())
            .oneshot(request)
            .await
            .unwrap_or_else(|never| match never {});
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await;
        let bytes = bytes.map_err(|error| Failure::internal(&error))?.to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if parts.status.is_success() {
            Ok(body)
        } else {
            Err(Failure::of(parts.status, &body))
        }
    }

    /// Reads.
    ///
    /// # Errors
    /// What the API refuses with.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = Request::get(path).body(Body::empty());
        let request = request.map_err(|error| Failure::internal(&error))?;
        self.call(request).await
    }

    /// Reads what may be absent.
    ///
    /// # Errors
    /// What the API refuses with, but for `not_found`.
    pub async fn find(&self, path: &str) -> Result<Option<Value>, Failure> {
        match self.get(path).await {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Problem(problem)) if problem.status == StatusCode::NOT_FOUND => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Changes.
    ///
    /// # Errors
    /// What the API refuses with.
    pub async fn change(&self, change: Change<'_>) -> Result<Value, Failure> {
        let Change {
            method,
            path,
            body,
            once,
            version,
        } = change;
        let mut request = Request::builder().method(method).uri(path);
        if let Some(once) = once {
            request = request.header("idempotency-key", once);
        }
        if let Some(version) = version {
            request = request.header(header::IF_MATCH, format!("\"{version}\""));
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
        };
        let request = request.body(body);
        let request = request.map_err(|error| Failure::internal(&error))?;
        self.call(request).await
    }
}

/// A part of a path or query, with what means something there written out.
#[must_use]
pub fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
