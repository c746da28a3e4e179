//! Successful answers.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

/// A JSON answer: status, body, and the version as `ETag` where the resource has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Value,
    /// Version.
    pub version: Option<u64>,
}

impl Reply {
    /// An answer of that status.
    #[must_use]
    pub fn new(status: StatusCode, body: &impl Serialize) -> Self {
        // A view is a struct of plain fields; it always has a JSON form.
        let body = serde_json::to_value(body).expect("views serialise to JSON");
        Self {
            status: status.as_u16(),
            body,
            version: None,
        }
    }

    /// 200.
    #[must_use]
    pub fn ok(body: &impl Serialize) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// 201.
    #[must_use]
    pub fn created(body: &impl Serialize) -> Self {
        Self::new(StatusCode::CREATED, body)
    }

    /// 202.
    #[must_use]
    pub fn accepted(body: &impl Serialize) -> Self {
        Self::new(StatusCode::ACCEPTED, body)
    }

    /// 204.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            status: StatusCode::NO_CONTENT.as_u16(),
            body: Value::Null,
            version: None,
        }
    }

    /// With an `ETag`.
    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = if status == StatusCode::NO_CONTENT {
            status.into_response()
        } else {
            (status, axum::Json(self.body)).into_response()
        };
        if let Some(version) = self.version
            && let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\""))
        {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// 200 with an `ETag`.
#[must_use]
pub fn versioned(version: u64, body: &impl Serialize) -> Reply {
    Reply::ok(body).version(version)
}

/// A paper to open in a browser or a spreadsheet, instead of JSON.
#[derive(Clone, Debug)]
pub struct Paper {
    content_type: &'static str,
    disposition: String,
    bytes: Vec<u8>,
    facts: Vec<(&'static str, String)>,
}

impl Paper {
    /// A page, shown in place. Its style stands in it; it may load and run nothing.
    #[must_use]
    pub fn html(text: String) -> Self {
        Self {
            content_type: "text/html; charset=utf-8",
            disposition: "inline".to_owned(),
            bytes: text.into_bytes(),
            facts: Vec::new(),
        }
    }

    /// A CSV, saved under a name of letters, digits, dots and dashes.
    #[must_use]
    pub fn csv(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            content_type: "text/csv; charset=utf-8",
            disposition: format!("attachment; filename=\"{name}\""),
            bytes,
            facts: Vec::new(),
        }
    }

    /// Lines of JSON, saved under a name of letters, digits, dots and dashes.
    #[must_use]
    pub fn lines(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            content_type: "application/jsonl; charset=utf-8",
            ..Self::csv(name, bytes)
        }
    }

    /// With a header that says something about it.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: impl ToString) -> Self {
        self.facts.push((name, value.to_string()));
        self
    }
}

impl IntoResponse for Paper {
    fn into_response(self) -> Response {
        let mut response = self.bytes.into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, self.content_type),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let disposition = (header::CONTENT_DISPOSITION, self.disposition);
        let facts = self
            .facts
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), value));
        for (name, value) in std::iter::once(disposition).chain(facts) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
