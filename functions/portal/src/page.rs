//! A page and whoever looks at it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::Markup;
use tributary::edge::{App, Operator, PartnerPrincipal, Principal};
use tributary::operators::model::Scope;
use tributary::sessions::{self, Entered};

use crate::api::{Api, part};
use crate::components::layout;
use crate::cookies;
use crate::failure::Failure;
use crate::form::Form;
use crate::text::Text;

/// The cookie of the session.
pub const SESSION: &str = "session";
/// The cookie of the zone in which times are shown.
pub const ZONE: &str = "zone";

/// A page somebody who is signed in looks at.
#[derive(Clone)]
pub struct Page {
    /// The application.
    pub app: App,
    /// The API as who it is.
    pub api: Api,
    /// Who it is.
    pub entered: Entered,
    /// The texts.
    pub text: Text,
    /// The path, without its query.
    pub path: String,
    /// What the query holds.
    pub query: Form,
}

impl Page {
    /// The page that a request is for.
    ///
    /// # Errors
    /// `SignedOut`, the table's.
    pub async fn of(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let secret = cookies::own(app, &parts.headers, SESSION).ok_or(Failure::SignedOut)?;
        let entered = sessions::enter(app, &secret).await?;
        let entered = entered.ok_or(Failure::SignedOut)?;
        let zone = cookies::read(&parts.headers, ZONE);
        let zone = zone.map(|zone| zone.replace("%2F", "/"));
        Ok(Self {
            app: app.clone(),
            api: Api::of(app, entered.principal.clone()),
            entered,
            text: Text::of(&parts.headers).at(zone.as_deref()),
            path: parts.uri.path().to_owned(),
            query: Form::read(parts.uri.query().unwrap_or_default().as_bytes()),
        })
    }

    /// The text that a form of this session shows, so that no other site can send one.
    #[must_use]
    pub fn csrf(&self) -> String {
        let session = self.entered.session.id.to_string();
        self.app.keyring.reference("csrf", &session)
    }

    /// An idempotency key for a form that is shown.
    #[must_use]
    pub fn once(&self) -> String {
        let bytes: [u8; 16] = self.app.entropy.bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Where a list goes on, as the rest of a query of the API; empty on its first page.
    #[must_use]
    pub fn cursor(&self) -> String {
        let cursor = self.query.get("cursor");
        cursor.map_or_else(String::new, |cursor| format!("&cursor={}", part(cursor)))
    }

    /// A text.
    #[must_use]
    pub fn t(&self, id: &str) -> String {
        self.text.t(id)
    }

    /// The partner that is signed in.
    ///
    /// # Errors
    /// `not_found` for an operator.
    pub fn partner(&self) -> Result<&PartnerPrincipal, Failure> {
        match &self.entered.principal {
            Principal::Partner(partner) => Ok(partner),
            Principal::Operator(_) => Err(Failure::not_found()),
        }
    }

    /// The operator that is signed in.
    ///
    /// # Errors
    /// `not_found` for a partner.
    pub fn operator(&self) -> Result<&Operator, Failure> {
        match &self.entered.principal {
            Principal::Operator(operator) => Ok(operator),
            Principal::Partner(_) => Err(Failure::not_found()),
        }
    }

    /// Whether an operator with one of these scopes is signed in: what is not allowed is not offered.
    #[must_use]
    pub fn may(&self, any_of: &[Scope]) -> bool {
        self.operator()
            .is_ok_and(|operator| operator.scopes().allow(any_of))
    }

    /// The whole page.
    #[must_use]
    pub fn show(&self, title: &str, body: Markup) -> Response {
        self.answer(StatusCode::OK, title, body)
    }

    /// The whole page, with a form that was refused.
    #[must_use]
    pub fn refuse(&self, title: &str, body: Markup) -> Response {
        self.answer(StatusCode::UNPROCESSABLE_ENTITY, title, body)
    }

    fn answer(&self, status: StatusCode, title: &str, body: Markup) -> Response {
        html(status, layout::page(self, title, body))
    }
}

impl FromRequestParts<App> for Page {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        Self::of(parts, app).await
    }
}

/// HTML that is kept nowhere.
#[must_use]
pub fn html(status: StatusCode, markup: Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, markup.into_string()).into_response()
}

/// On to another page of this site, after a change.
#[must_use]
pub fn go(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let place = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, place);
    response
}

impl IntoResponse for Failure {
    /// The page about it is written where the reader's language is known.
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Problem(told) => told.status,
            Self::SignedOut => StatusCode::UNAUTHORIZED,
        };
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
