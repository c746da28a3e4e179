//! The frame of every page.

use maud::{DOCTYPE, Markup, html};
use tributary::edge::Principal;
use tributary::operators::model::Scope;

use crate::assets;
use crate::components::notice;
use crate::failure::Told;
use crate::page::Page;
use crate::text::Text;

/// A place in the navigation: where it leads, its text, and who sees it.
struct Place {
    path: &'static str,
    text: &'static str,
    scopes: &'static [Scope],
}

const fn place(path: &'static str, text: &'static str, scopes: &'static [Scope]) -> Place {
    Place { path, text, scopes }
}

const PORTAL: &[Place] = &[
    place("/portal", "nav-home", &[]),
    place("/portal/links", "nav-links", &[]),
    place("/portal/conversions", "nav-conversions", &[]),
    place("/portal/deals", "nav-deals", &[]),
    place("/portal/leads", "nav-leads", &[]),
];

const READ: &[Scope] = &[Scope::Read];

const CONSOLE: &[Place] = &[
    place("/console", "nav-home", READ),
    place("/console/partners", "nav-partners", READ),
    place("/console/operators", "nav-operators", &[Scope::Admin]),
];

fn head(title: &str, scripts: &[&str]) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            title { (title) " · Tributary" }
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="htmx-config" content="includeIndicatorCSS:false";
            link rel="stylesheet" href=(assets::path("style.css"));
            link rel="icon" href=(assets::path("icon.svg")) type="image/svg+xml";
            @for script in scripts {
                script src=(assets::path(script)) defer {}
            }
        }
    }
}

/// A page of whoever is signed in.
#[must_use]
pub fn page(page: &Page, title: &str, body: Markup) -> Markup {
    let texts = &page.text;
    let (places, home) = match &page.entered.principal {
        Principal::Operator(_) => (CONSOLE, "/console"),
        Principal::Partner(_) => (PORTAL, "/portal"),
    };
    let shown = places
        .iter()
        .filter(|place| place.scopes.is_empty() || page.may(place.scopes));
    let identity = &page.entered.identity;
    let done = page.query.get("done").filter(|code| is_code(code));
    html! {
        (DOCTYPE)
        html lang=(texts.tag()) dir=(texts.direction()) {
            (head(title, &["htmx-4.0.1.min.js", "app.js"]))
            body {
                a.skip href="#content" { (texts.t("skip")) }
                header.bar {
                    a.brand href=(home) { "Tributary" }
                    @if let Some(partner) = &identity.partner {
                        span.bar-partner { (partner) }
                    }
                    details.menu {
                        summary { (identity.name) }
                        div.menu-body {
                            a href="/sessions" { (texts.t("nav-sessions")) }
                            (languages(texts, &page.path, Some(&page.csrf())))
                            form method="post" action="/sign-out" {
                                input type="hidden" name="csrf" value=(page.csrf());
                                button.plain { (texts.t("sign-out")) }
                            }
                        }
                    }
                }
                div.frame {
                    nav.side aria-label=(texts.t("nav-main")) {
                        ul {
                            @for place in shown {
                                li {
                                    a href=(place.path)
                                        aria-current=[is_here(&page.path, place.path, home).then_some("page")]
                                        { (texts.t(place.text)) }
                                }
                            }
                        }
                    }
                    main id="content" tabindex="-1" {
                        h1 { (title) }
                        @if let Some(code) = done { (notice(&texts.word("done", code))) }
                        (body)
                    }
                }
            }
        }
    }
}

/// Whether a text is one of our codes, and not words that somebody put into a link.
fn is_code(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn is_here(path: &str, place: &str, home: &str) -> bool {
    path == place || (place != home && path.starts_with(&format!("{place}/")))
}

/// The choice of a language. It works as a form, without a script.
fn languages(texts: &Text, path: &str, csrf: Option<&str>) -> Markup {
    html! {
        form.languages method="post" action="/language" {
            @if let Some(csrf) = csrf { input type="hidden" name="csrf" value=(csrf); }
            input type="hidden" name="to" value=(path);
            span.menu-label { (texts.t("language")) }
            @for (tag, name) in Text::all() {
                button.plain name="language" value=(tag) lang=(tag)
                    aria-pressed=(if tag == texts.tag() { "true" } else { "false" }) { (name) }
            }
        }
    }
}

/// A page of nobody in particular: signing in, applying.
#[must_use]
pub fn open(texts: &Text, title: &str, path: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(texts.tag()) dir=(texts.direction()) {
            (head(title, &["app.js"]))
            body.open {
                a.skip href="#content" { (texts.t("skip")) }
                header.bar { a.brand href="/" { "Tributary" } }
                main id="content" tabindex="-1" {
                    h1 { (title) }
                    (body)
                }
                footer { (languages(texts, path, None)) }
            }
        }
    }
}

/// The page about what cannot be shown.
#[must_use]
pub fn failed(texts: &Text, told: &Told) -> Markup {
    let title = texts.word("problem-title", &told.code);
    let title = if title == told.code.replace('_', " ") {
        texts.t("problem-title")
    } else {
        title
    };
    let body = html! {
        p { (told.detail) }
        @if !told.errors.is_empty() {
            ul { @for error in &told.errors { li { strong { (error.field) } " " (error.reason) } } }
        }
        p.muted { (texts.t("problem-code")) " " code { (told.code) } }
        p { a.button href="/" { (texts.t("problem-home")) } }
    };
    open(texts, &title, "/", body)
}
