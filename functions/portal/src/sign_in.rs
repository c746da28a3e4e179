//! Signing in by a mailed link, and the sessions of whoever is signed in.

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use tributary::edge::{
    App, ClientAddress, Fields, Path, Principal, Problem, path_id, read_limited,
};
use tributary::sessions::error::SessionError;
use tributary::sessions::model::{LINK_MINUTES, Unfit};
use tributary::sessions::{self, Identity};

use crate::components::fields::{Field, act, field, summary};
use crate::components::{day, facts, layout, time};
use crate::cookies;
use crate::failure::Failure;
use crate::form::{Draft, Form, Sent, from_here};
use crate::page::{Page, SESSION, ZONE, go, html as answer};
use crate::text::{COOKIE as LANGUAGE, Text};

/// The cookie that ties a link to the browser that asked for it.
const BROWSER: &str = "sign-in";
/// Seconds that a choice of language or zone is remembered.
const REMEMBERED_SECONDS: i64 = 365 * 24 * 60 * 60;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(root))
        .route("/sign-in", get(show).post(ask))
        .route("/sign-in/link", get(opened).post(redeem))
        .route("/sign-out", post(sign_out))
        .route("/sessions", get(list))
        .route("/sessions/{id}/end", post(end))
        .route("/language", post(choose))
}

/// To the pages of whoever is signed in.
async fn root(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    let page = match Page::of(&mut parts, &app).await {
        Ok(page) => page,
        Err(Failure::SignedOut) => return Ok(go("/sign-in")),
        Err(failure) => return Err(failure),
    };
    Ok(go(match page.entered.principal {
        Principal::Operator(_) => "/console",
        Principal::Partner(_) => "/portal",
    }))
}

/// A request of nobody in particular.
struct Open {
    app: App,
    headers: HeaderMap,
    query: Form,
    text: Text,
    network: String,
}

impl Open {
    async fn of(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let network = ClientAddress::from_request_parts(parts, app).await?;
        Ok(Self {
            app: app.clone(),
            headers: parts.headers.clone(),
            query: Form::read(parts.uri.query().unwrap_or_default().as_bytes()),
            text: Text::of(&parts.headers),
            network: network.reference,
        })
    }

    /// With what a form sent from a page of ours.
    async fn sent(request: Request, app: &App) -> Result<(Self, Form), Failure> {
        let (mut parts, body) = request.into_parts();
        from_here(app, &parts.headers)?;
        let open = Self::of(&mut parts, app).await?;
        let bytes = read_limited(Request::from_parts(parts, body)).await?;
        Ok((open, Form::read(&bytes)))
    }

    fn browser(&self) -> Option<String> {
        cookies::own(&self.app, &self.headers, BROWSER)
    }

    fn page(&self, status: StatusCode, title: &str, path: &str, body: Markup) -> Response {
        answer(status, layout::open(&self.text, title, path, body))
    }
}

fn with_cookie(
    app: &App,
    mut response: Response,
    name: &str,
    value: &str,
    seconds: i64,
) -> Response {
    if let Some(cookie) = cookies::set(app, name, value, seconds) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn ask_form(open: &Open, draft: &Draft<'_>) -> Markup {
    let texts = &open.text;
    let label = texts.t("sign-in-email");
    let email = Field::text("email", &label).kind("email").required();
    html! {
        p { (texts.t("sign-in-intro")) }
        form.form method="post" action="/sign-in" novalidate {
            (summary(texts, draft))
            (field(texts, draft, email))
            p.actions { button.primary { (texts.t("sign-in-send")) } }
        }
    }
}

async fn show(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    let open = Open::of(&mut parts, &app).await?;
    let title = open.text.t("sign-in");
    Ok(open.page(
        StatusCode::OK,
        &title,
        "/sign-in",
        ask_form(&open, &Draft::default()),
    ))
}

/// Mails a link, to whom the address belongs. Everybody reads the same answer.
async fn ask(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (open, form) = Open::sent(request, &app).await?;
    let texts = &open.text;
    let sent = form.object(&["email"]);
    let email = Fields::read(&sent, |fields| fields.email("email"));
    // One secret for a browser, so that of two links that it asked for either is good.
    let secret = open
        .browser()
        .unwrap_or_else(|| hex(&app.entropy.bytes::<16>()));
    let asked = match email {
        Ok(email) => sessions::ask(&app, &email, &secret, &open.network, texts.tag())
            .await
            .map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    if let Err(problem) = asked {
        let Failure::Problem(told) = Failure::from(problem) else {
            return Err(Failure::SignedOut);
        };
        let body = ask_form(&open, &Draft::refused(&form, &told));
        return Ok(open.page(told.status, &texts.t("sign-in"), "/sign-in", body));
    }
    let minutes = LINK_MINUTES.to_string();
    let body = html! {
        p { (texts.fill("sign-in-sent", &[("minutes", &minutes)])) }
        p.muted { (texts.t("sign-in-same-browser")) }
        p { a href="/sign-in" { (texts.t("sign-in-again")) } }
    };
    let response = open.page(StatusCode::OK, &texts.t("sign-in-mailed"), "/sign-in", body);
    Ok(with_cookie(
        &app,
        response,
        BROWSER,
        &secret,
        LINK_MINUTES * 60 * 4,
    ))
}

fn hex(bytes: &[u8]) -> String {
    tributary::ids::hex(bytes)
}

fn unfit(open: &Open, unfit: Unfit) -> Response {
    let texts = &open.text;
    let why = match unfit {
        Unfit::Unknown => "sign-in-link-unknown",
        Unfit::Used => "sign-in-link-used",
        Unfit::Late => "sign-in-link-late",
        Unfit::ElsewhereAsked => "sign-in-link-elsewhere",
    };
    let body = html! {
        p { (texts.t(why)) }
        p { a.button href="/sign-in" { (texts.t("sign-in-again")) } }
    };
    open.page(
        StatusCode::UNPROCESSABLE_ENTITY,
        &texts.t("sign-in-link-unfit"),
        "/sign-in",
        body,
    )
}

fn choice(texts: &Text, identities: &[Identity]) -> Markup {
    html! {
        fieldset.field {
            legend { (texts.t("sign-in-as")) }
            @for (position, identity) in identities.iter().enumerate() {
                label.box {
                    input type="radio" name="person" value=(identity.person) checked[position == 0];
                    " "
                    @match &identity.partner {
                        Some(partner) => { (partner) " · " (identity.name) }
                        None => { (texts.t("sign-in-as-operator")) " · " (identity.name) }
                    }
                }
            }
        }
    }
}

/// What opening a link shows: a button. Scanners of mail open links, and must not use them up.
async fn opened(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    let open = Open::of(&mut parts, &app).await?;
    let texts = &open.text;
    let token = open.query.get("token").unwrap_or_default();
    let identities = match sessions::offered(&app, token, open.browser().as_deref()).await {
        Ok(identities) => identities,
        Err(SessionError::Link(why)) => return Ok(unfit(&open, why)),
        Err(SessionError::Nobody) => return Ok(unfit(&open, Unfit::Unknown)),
        Err(error) => return Err(error.into()),
    };
    let body = html! {
        form.form method="post" action="/sign-in/link" {
            input type="hidden" name="token" value=(token);
            (choice(texts, &identities))
            p.actions { button.primary { (texts.t("sign-in")) } }
        }
    };
    Ok(open.page(StatusCode::OK, &texts.t("sign-in"), "/sign-in", body))
}

async fn redeem(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (open, form) = Open::sent(request, &app).await?;
    let token = form.get("token").unwrap_or_default();
    let person = match form.get("person").map(str::parse) {
        Some(Err(_)) => return Ok(unfit(&open, Unfit::Unknown)),
        Some(Ok(person)) => Some(person),
        None => None,
    };
    let agent = open.headers.get(header::USER_AGENT);
    let agent = agent
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    let browser = open.browser();
    let begun = sessions::redeem(&app, token, browser.as_deref(), person, agent).await;
    let (session, secret) = match begun {
        Ok(begun) => begun,
        Err(SessionError::Link(why)) => return Ok(unfit(&open, why)),
        Err(SessionError::Nobody) => return Ok(unfit(&open, Unfit::Unknown)),
        Err(error) => return Err(error.into()),
    };
    let seconds = session.until.as_second() - app.now().as_second();
    let response = with_cookie(&app, go("/"), SESSION, &secret, seconds);
    Ok(with_cookie(&app, response, BROWSER, "", 0))
}

async fn sign_out(sent: Sent) -> Result<Response, Failure> {
    let page = sent.page;
    let session = &page.entered.session;
    sessions::end(&page.app, session.person, session.id).await?;
    Ok(with_cookie(&page.app, go("/sign-in"), SESSION, "", 0))
}

async fn list(page: Page) -> Result<Response, Failure> {
    let found = sessions::list(&page.app, page.entered.session.person).await?;
    let body = html! {
        p { (page.t("sessions-intro")) }
        @for session in &found {
            section.panel {
                (facts(&[
                    (page.t("sessions-browser"), html! { (session.browser) }),
                    (page.t("sessions-since"), time(&page.text, &session.created_at.to_string())),
                    (page.t("sessions-until"), day(&page.text, &session.until.to_string())),
                ]))
                @if session.id == page.entered.session.id {
                    p.muted { (page.t("sessions-this")) }
                }
                (act(&page, &format!("/sessions/{}/end", session.id), None, &page.t("sessions-end"), None))
            }
        }
    };
    Ok(page.show(&page.t("nav-sessions"), body))
}

async fn end(Path(id): Path<String>, sent: Sent) -> Result<Response, Failure> {
    let page = sent.page;
    let id = path_id(&id, "session").map_err(Failure::from)?;
    sessions::end(&page.app, page.entered.session.person, id).await?;
    Ok(go("/sessions?done=session_ended"))
}

/// Remembers the language, and the zone that a script tells.
async fn choose(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let (open, form) = Open::sent(request, &app).await?;
    let to = form.get("to").filter(|to| is_local(to)).unwrap_or("/");
    let mut response = go(to);
    if let Some(language) = form.get("language") {
        let known = Text::in_language(language).tag();
        response = with_cookie(&open.app, response, LANGUAGE, known, REMEMBERED_SECONDS);
    }
    if let Some(zone) = form.get("zone").filter(|zone| is_zone(zone)) {
        response = with_cookie(
            &open.app,
            response,
            ZONE,
            &zone.replace('/', "%2F"),
            REMEMBERED_SECONDS,
        );
    }
    Ok(response)
}

fn is_zone(zone: &str) -> bool {
    zone.len() <= 64
        && zone
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/_-+".contains(&byte))
}

/// Whether a place is a path of this site: no link leads from here to another.
fn is_local(to: &str) -> bool {
    to.starts_with('/') && !to.starts_with("//") && !to.contains(['\\', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for place in ["/portal", "/portal/deals?state=won"] {
            assert!(is_local(place), "{place}");
        }
        for place in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "",
        ] {
            assert!(!is_local(place), "{place}");
        }
    }
}
