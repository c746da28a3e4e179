//! A small client of Tributary's own HTTP API, for the tour, the replay and the check of a deployment.

use reqwest::header::HeaderValue;
use reqwest::{Method, Response, StatusCode, header, redirect};
use serde_json::Value;

/// What went otherwise than it should.
#[derive(Debug, thiserror::Error)]
pub enum Off {
    /// No answer.
    #[error("{method} {path}: no answer: {error}")]
    NoAnswer {
        /// Method.
        method: Method,
        /// Path.
        path: String,
        /// Why.
        error: reqwest::Error,
    },
    /// Another answer than expected.
    #[error("{method} {path}: expected {expected}, got {status}: {body}")]
    Status {
        /// Method.
        method: Method,
        /// Path.
        path: String,
        /// Expected status.
        expected: u16,
        /// Status that came.
        status: u16,
        /// Its body.
        body: String,
    },
    /// A figure that is not what it must be.
    #[error("{what}: expected {expected}, found {found}")]
    Figure {
        /// Which figure.
        what: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Something that never came about.
    #[error("{0}")]
    Never(String),
}

/// An answer.
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: header::HeaderMap,
    /// Body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON; `null` when it is something else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

/// The API at an address, with a key.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    key: String,
    /// Whether requests and answers are printed.
    pub loud: bool,
}

impl Api {
    /// The API at `base`, asked with that key. Redirects are answers here, not orders.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(base: &str, key: &str) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
            loud: false,
        })
    }

    /// The same, printing requests and answers or not.
    #[must_use]
    pub fn aloud(mut self, loud: bool) -> Self {
        self.loud = loud;
        self
    }

    /// The address.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.base.clone()
    }

    /// Sends a request with the key and, if told, an idempotency key.
    ///
    /// # Errors
    /// `NoAnswer`.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        once: Option<&str>,
    ) -> Result<Answer, Off> {
        self.send_based_on(method, path, body, once, None).await
    }

    /// The same, as a change of the version that has this tag.
    async fn send_based_on(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        once: Option<&str>,
        tag: Option<HeaderValue>,
    ) -> Result<Answer, Off> {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        let mut request = self
            .http
            .request(method.clone(), url)
            .bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(once) = once {
            request = request.header("idempotency-key", once);
        }
        if let Some(tag) = tag {
            request = request.header(header::IF_MATCH, tag);
        }
        if self.loud {
            println!("\n> {method} {path}");
            if let Some(body) = body {
                println!("{}", indented(body));
            }
        }
        let fail = |error| Off::NoAnswer {
            method: method.clone(),
            path: path.to_owned(),
            error,
        };
        let response: Response = request.send().await.map_err(fail)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.map_err(fail)?;
        let answer = Answer {
            status,
            headers,
            text,
        };
        if self.loud {
            println!("< {status}");
            if let Some(location) = answer
                .headers
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok())
            {
                println!("  location: {location}");
            }
            match answer.json() {
                Value::Null => print!("{}", answer.text),
                body => println!("{}", indented(&body)),
            }
        }
        Ok(answer)
    }

    async fn expect(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        once: Option<&str>,
        expected: &[u16],
    ) -> Result<Answer, Off> {
        let answer = self.send(method.clone(), path, body, once).await?;
        if expected.contains(&answer.status.as_u16()) {
            return Ok(answer);
        }
        Err(Off::Status {
            method,
            path: path.to_owned(),
            expected: expected[0],
            status: answer.status.as_u16(),
            body: answer.text,
        })
    }

    /// GET, expecting 200.
    ///
    /// # Errors
    /// `NoAnswer`, `Status`.
    pub async fn get(&self, path: &str) -> Result<Value, Off> {
        Ok(self
            .expect(Method::GET, path, None, None, &[200])
            .await?
            .json())
    }

    /// GET of something that is not JSON, expecting that status.
    ///
    /// # Errors
    /// `NoAnswer`, `Status`.
    pub async fn get_raw(&self, path: &str, expected: u16) -> Result<Answer, Off> {
        self.expect(Method::GET, path, None, None, &[expected])
            .await
    }

    /// POST, expecting a success.
    ///
    /// # Errors
    /// `NoAnswer`, `Status`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Off> {
        Ok(self
            .expect(Method::POST, path, Some(body), None, &[201, 200, 202])
            .await?
            .json())
    }

    /// POST that takes effect once however often it is sent, expecting a success.
    ///
    /// # Errors
    /// `NoAnswer`, `Status`.
    pub async fn post_once(&self, path: &str, body: &Value, once: &str) -> Result<Value, Off> {
        Ok(self
            .expect(Method::POST, path, Some(body), Some(once), &[201, 200, 202])
            .await?
            .json())
    }

    /// POST of something done to a record, on the version of it that stands, expecting a success.
    ///
    /// # Errors
    /// `NoAnswer`, `Status`.
    pub async fn act(&self, record: &str, what: &str, body: &Value) -> Result<Value, Off> {
        let quiet = self.clone().aloud(false);
        let stands = quiet.get_raw(record, 200).await?;
        let tag = stands.headers.get(header::ETAG).cloned();
        let path = format!("{record}/{what}");
        let answer = self
            .send_based_on(Method::POST, &path, Some(body), None, tag)
            .await?;
        if answer.status.is_success() {
            return Ok(answer.json());
        }
        Err(Off::Status {
            method: Method::POST,
            path,
            expected: 200,
            status: answer.status.as_u16(),
            body: answer.text,
        })
    }

    /// PUT, expecting a success.
    ///
    /// # Errors
    /// `NoAnswer`, `Status`.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, Off> {
        Ok(self
            .expect(Method::PUT, path, Some(body), None, &[200, 201])
            .await?
            .json())
    }
}

fn indented(value: &Value) -> String {
    let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
    pretty
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect::<String>()
        .trim_end()
        .to_owned()
}

/// A text field of an answer, empty when it is not there.
#[must_use]
pub fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Goes on only if a field is what it must be.
///
/// # Errors
/// `Figure`.
pub fn demand(what: &str, value: &Value, pointer: &str, expected: &str) -> Result<(), Off> {
    let found = text(value, pointer);
    if found == expected {
        return Ok(());
    }
    Err(Off::Figure {
        what: format!("{what} ({pointer})"),
        expected: expected.to_owned(),
        found,
    })
}
