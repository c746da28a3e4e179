//! Forms: what a browser sends, and what is shown again when it is refused.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use tributary::edge::{App, read_limited};

use crate::failure::{Failure, Told};
use crate::page::Page;

/// What a form sent, in its order. A name may come several times, as of boxes that are ticked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// From `a=1&b=2`.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(bytes);
        Self {
            pairs: pairs
                .map(|(name, value)| (name.into_owned(), value.trim().to_owned()))
                .collect(),
        }
    }

    /// What was typed, without blanks at its ends; `None` when nothing was.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// All that came under a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.pairs.iter().filter(move |(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// An object of those fields that were filled in, as texts. `a.b` stands in the object `a`.
    #[must_use]
    pub fn object(&self, names: &[&str]) -> Value {
        let mut object = Map::new();
        for name in names {
            if let Some(value) = self.get(name) {
                put(&mut object, name, Value::String(value.to_owned()));
            }
        }
        Value::Object(object)
    }

    /// The idempotency key of this showing of the form.
    #[must_use]
    pub fn once(&self) -> Option<&str> {
        self.get("once")
    }

    /// The version that was shown.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.get("version")
    }
}

/// Puts a value where a path such as `customer.email` says.
pub fn put(object: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = object
                .entry(head.to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// A form as it is shown: empty, or with what was typed and why it was refused.
#[derive(Clone, Copy, Default)]
pub struct Draft<'a> {
    /// What was typed.
    pub form: Option<&'a Form>,
    /// Why it was refused.
    pub told: Option<&'a Told>,
}

impl<'a> Draft<'a> {
    /// What was typed and refused.
    #[must_use]
    pub fn refused(form: &'a Form, told: &'a Told) -> Self {
        Self {
            form: Some(form),
            told: Some(told),
        }
    }

    /// What stands in a field: what was typed, or what there is.
    #[must_use]
    pub fn value(&self, name: &str, stands: &str) -> String {
        match self.form {
            Some(form) => form.get(name).unwrap_or_default().to_owned(),
            None => stands.to_owned(),
        }
    }

    /// Whether a box is ticked, or a choice chosen.
    #[must_use]
    pub fn has(&self, name: &str, value: &str, stands: bool) -> bool {
        match self.form {
            Some(form) => form.all(name).any(|one| one == value),
            None => stands,
        }
    }

    /// Why a field was refused.
    #[must_use]
    pub fn error(&self, name: &str) -> Option<&'a str> {
        let errors = self
            .told
            .map(|told| told.errors.as_slice())
            .unwrap_or_default();
        let found = errors.iter().find(|error| error.field == name);
        found.map(|error| error.reason.as_str())
    }
}

/// A form that was sent from a page of ours by whoever is signed in.
pub struct Sent {
    /// Who, and where.
    pub page: Page,
    /// What.
    pub form: Form,
}

impl FromRequest<App> for Sent {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let page = Page::of(&mut parts, app).await?;
        from_here(app, &parts.headers)?;
        let bytes = read_limited(Request::from_parts(parts.clone(), body)).await?;
        let form = Form::read(&bytes);
        let header = parts.headers.get("x-csrf-token");
        let header = header.and_then(|value| value.to_str().ok());
        let shown = form.get("csrf").or(header).unwrap_or_default();
        if bool::from(shown.as_bytes().ct_eq(page.csrf().as_bytes())) {
            return Ok(Self { page, form });
        }
        Err(Failure::forged())
    }
}

/// Goes on only if the browser says that the request comes from a page of this site, or says nothing about it.
///
/// # Errors
/// `forbidden`.
pub fn from_here(app: &App, headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(Failure::forged());
    }
    let Some(origin) = text("origin") else {
        return Ok(());
    };
    let own = &app.config.public_base_url;
    let host = text(header::HOST.as_str()).unwrap_or_default();
    let is_own = origin == own
        || origin
            .split_once("://")
            .is_some_and(|(_, authority)| !host.is_empty() && authority == host);
    if is_own {
        Ok(())
    } else {
        Err(Failure::forged())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_filled_in_becomes_an_object() {
        let form =
            Form::read(b"name=+Ada+&customer.email=a%40b.example&customer.name=&tick=1&tick=2");
        assert_eq!(
            form.object(&["name", "customer.email", "customer.name", "absent"]),
            json!({ "name": "Ada", "customer": { "email": "a@b.example" } })
        );
        assert_eq!(form.all("tick").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_refused_form_keeps_what_was_typed() {
        let form = Form::read(b"name=Ada&tick=2");
        let told = Told {
            status: axum::http::StatusCode::UNPROCESSABLE_ENTITY,
            code: "required".to_owned(),
            detail: String::new(),
            errors: vec![crate::failure::Wrong {
                field: "email".to_owned(),
                code: "required".to_owned(),
                reason: "is missing".to_owned(),
            }],
        };
        let draft = Draft::refused(&form, &told);
        assert_eq!(draft.value("name", "Bob"), "Ada");
        assert_eq!(draft.value("email", "b@c.example"), "");
        assert!(draft.has("tick", "2", false) && !draft.has("tick", "1", true));
        assert_eq!(draft.error("email"), Some("is missing"));
        assert_eq!(Draft::default().value("name", "Bob"), "Bob");
    }
}
