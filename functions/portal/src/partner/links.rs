//! A partner's links and coupons.

use axum::response::Response;
use fast_qr::convert::svg::SvgBuilder;
use futures_util::try_join;
use maud::{Markup, PreEscaped, html};
use serde_json::Value;
use tributary::edge::Path;

use crate::api::{Change, part};
use crate::components::fields::{Field, act, field, form, select};
use crate::components::table::{foot, table, words};
use crate::components::{badge, day, empty, items, section, text};
use crate::failure::Failure;
use crate::form::{Draft, Sent};
use crate::page::{Page, go};

/// Programs that a partner chooses among.
const MAX_PROGRAMS: usize = 100;

pub(super) async fn list(page: Page) -> Result<Response, Failure> {
    let body = shown(&page, &Draft::default()).await?;
    Ok(page.show(&page.t("nav-links"), body))
}

async fn shown(page: &Page, draft: &Draft<'_>) -> Result<Markup, Failure> {
    let partner = page.partner()?.id;
    let links = format!("/v1/links?partner={partner}{}", page.cursor());
    let coupons = format!("/v1/coupons?partner={partner}");
    let programs = format!("/v1/partners/{partner}/enrolments?limit={MAX_PROGRAMS}");
    let (links, coupons, programs) = try_join!(
        page.api.get(&links),
        page.api.get(&coupons),
        page.api.get(&programs),
    )?;
    Ok(html! {
        (of_links(page, &links))
        (of_coupons(page, &coupons))
        (section(&page.t("link-new"), new_link(page, draft, &programs)))
    })
}

fn of_links(page: &Page, answer: &Value) -> Markup {
    let found = items(answer, "items");
    if found.is_empty() {
        return empty(
            &page.t("links-none"),
            &page.t("links-none-what"),
            Some(("#new", &page.t("link-new"))),
        );
    }
    let columns = [
        words(page.t("link-url")),
        words(page.t("link-destination")),
        words(page.t("link-since")),
        words(page.t("link-state")),
    ];
    let rows: Vec<Vec<Markup>> = found.iter().map(|link| link_row(page, link)).collect();
    html! {
        (table(&page.t("nav-links"), &columns, &rows))
        (foot(page, answer, &[], None))
    }
}

fn link_row(page: &Page, link: &Value) -> Vec<Markup> {
    let url = text(link, "url");
    let is_on = text(link, "disabled_at").is_empty();
    let disable = format!("/portal/links/{}/disable", text(link, "id"));
    vec![
        html! {
            code { (url) } " "
            button type="button" data-copy=(url) data-copied=(page.t("copied")) { (page.t("copy")) }
            span.hidden role="status" {}
            details {
                summary { (page.t("link-qr")) }
                (qr(url))
            }
        },
        html! { (text(link, "destination")) },
        day(&page.text, text(link, "created_at")),
        html! {
            (badge(&page.text, "link-state", if is_on { "active" } else { "disabled" })) " "
            @if is_on {
                (act(page, &disable, None, &page.t("link-disable"), Some(&page.t("link-disable-warns"))))
            }
        },
    ]
}

/// A QR code of a link, as a picture that needs no request.
fn qr(url: &str) -> Markup {
    let drawn = fast_qr::QRBuilder::new(url).build();
    let drawn = drawn.map(|code| SvgBuilder::default().to_str(&code));
    html! {
        @if let Ok(svg) = drawn {
            div.qr role="img" aria-label=(url) { (PreEscaped(svg)) }
        }
    }
}

fn of_coupons(page: &Page, answer: &Value) -> Markup {
    let found = items(answer, "items");
    if found.is_empty() {
        return html! {};
    }
    let columns = [
        words(page.t("coupon-code")),
        words(page.t("link-since")),
        words(page.t("link-state")),
    ];
    let rows: Vec<Vec<Markup>> = found
        .iter()
        .map(|coupon| {
            let is_on = text(coupon, "disabled_at").is_empty();
            vec![
                html! { code { (text(coupon, "code")) } },
                day(&page.text, text(coupon, "created_at")),
                badge(
                    &page.text,
                    "link-state",
                    if is_on { "active" } else { "disabled" },
                ),
            ]
        })
        .collect();
    section(
        &page.t("coupons"),
        table(&page.t("coupons"), &columns, &rows),
    )
}

fn new_link(page: &Page, draft: &Draft<'_>, programs: &Value) -> Markup {
    let choices: Vec<(String, String)> = items(programs, "items")
        .iter()
        .map(|place| {
            let program = text(place, "program");
            let name = text(place, "program_name");
            let name = if name.is_empty() { program } else { name };
            (program.to_owned(), name.to_owned())
        })
        .collect();
    if choices.is_empty() {
        return html! { p { (page.t("home-no-program")) } };
    }
    let (program, destination) = (page.t("program"), page.t("link-destination"));
    let hint = page.t("link-destination-hint");
    let only = if choices.len() == 1 {
        choices[0].0.as_str()
    } else {
        ""
    };
    let fields = html! {
        (select(&page.text, draft, Field::text("program", &program).required().value(only), &choices))
        (field(&page.text, draft, Field::text("destination", &destination).kind("url").required().hint(&hint)))
    };
    html! { div id="new" { (form(page, "/portal/links", None, &page.t("link-make"), draft, fields)) } }
}

pub(super) async fn create(sent: Sent) -> Result<Response, Failure> {
    let Sent { page, form } = sent;
    let partner = page.partner()?.id;
    let mut body = form.object(&["program", "destination"]);
    body["partner"] = partner.to_string().into();
    let change = Change {
        once: form.once(),
        ..Change::post("/v1/links", body)
    };
    match page.api.change(change).await {
        Ok(_) => Ok(go("/portal/links?done=link_made")),
        Err(Failure::Problem(told)) => {
            let body = shown(&page, &Draft::refused(&form, &told)).await?;
            Ok(page.refuse(&page.t("nav-links"), body))
        }
        Err(failure) => Err(failure),
    }
}

pub(super) async fn disable(Path(id): Path<String>, sent: Sent) -> Result<Response, Failure> {
    let Sent { page, form } = sent;
    page.partner()?;
    let path = format!("/v1/links/{}/disable", part(&id));
    let change = Change {
        once: form.once(),
        ..Change::post(&path, Value::Null)
    };
    page.api.change(change).await?;
    Ok(go("/portal/links?done=link_disabled"))
}
