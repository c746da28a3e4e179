//! A partner's leads: blind offers with the time that is left, and those that it has accepted.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};
use tributary::edge::Path;

use crate::api::{Change, part};
use crate::components::fields::{Field, act as button, hidden, select};
use crate::components::table::{foot, table, words};
use crate::components::{badge, day, empty, facts, items, section, text, time};
use crate::failure::Failure;
use crate::form::{Draft, Sent};
use crate::page::{Page, go};

const DECLINE_REASONS: [&str; 7] = [
    "no_capacity",
    "outside_territory",
    "not_our_business",
    "wrong_size",
    "conflict_of_interest",
    "known_without_need",
    "other",
];
const LOST_REASONS: [&str; 6] = [
    "no_answer",
    "no_budget",
    "no_need",
    "competitor",
    "not_genuine",
    "other",
];
const PROGRESS: [&str; 3] = ["working", "qualified", "proposal"];

pub(super) async fn list(page: Page) -> Result<Response, Failure> {
    let partner = page.partner()?.id;
    let path = format!("/v1/leads?partner={partner}{}", page.cursor());
    let answer = page.api.get(&path).await?;
    let found = items(&answer, "items");
    let body = if found.is_empty() {
        empty(&page.t("leads-none"), &page.t("leads-none-what"), None)
    } else {
        let columns = [
            words(page.t("lead")),
            words(page.t("lead-stage")),
            words(page.t("lead-left")),
            words(page.t("lead-since")),
        ];
        let rows: Vec<Vec<Markup>> = found.iter().map(|lead| row(&page, lead)).collect();
        html! {
            (table(&page.t("nav-leads"), &columns, &rows))
            (foot(&page, &answer, &[], None))
        }
    };
    Ok(page.show(&page.t("nav-leads"), body))
}

/// What a lead is called: its company, or, before it is accepted, what is known of it.
fn name(page: &Page, lead: &Value) -> String {
    let company = text(lead, "/company/name");
    if !company.is_empty() {
        return company.to_owned();
    }
    let known = ["region", "country", "size"].map(|name| text(lead, name));
    let known: Vec<&str> = known.into_iter().filter(|part| !part.is_empty()).collect();
    if known.is_empty() {
        page.t("lead")
    } else {
        known.join(", ")
    }
}

fn row(page: &Page, lead: &Value) -> Vec<Markup> {
    vec![
        html! { a href={ "/portal/leads/" (text(lead, "id")) } { (name(page, lead)) } },
        badge(&page.text, "lead-stage", text(lead, "stage")),
        left(page, lead),
        day(&page.text, text(lead, "received_at")),
    ]
}

/// The time that is left to answer an offer; the exact time stands there too, for whoever has no script.
fn left(page: &Page, lead: &Value) -> Markup {
    let until = text(lead, "respond_by");
    if text(lead, "stage") != "offered" || until.is_empty() {
        return html! { "–" };
    }
    html! {
        span data-until=(until) data-over=(page.t("lead-over")) {}
        " " (time(&page.text, until))
    }
}

pub(super) async fn show(page: Page, Path(id): Path<String>) -> Result<Response, Failure> {
    page.partner()?;
    let lead = page.api.get(&format!("/v1/leads/{}", part(&id))).await?;
    let lines: Vec<&str> = items(&lead, "product_lines")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let mut pairs = vec![
        (page.t("lead-size"), html! { (text(&lead, "size")) }),
        (
            page.t("lead-country"),
            html! { (text(&lead, "country")) " " (text(&lead, "region")) },
        ),
        (page.t("lead-lines"), html! { (lines.join(", ")) }),
        (page.t("lead-need"), html! { (text(&lead, "need")) }),
        (page.t("lead-left"), left(&page, &lead)),
    ];
    for (label, pointer) in [
        ("lead-contact", "/contact/name"),
        ("lead-email", "/contact/email"),
        ("lead-phone", "/contact/phone"),
        ("lead-message", "/contact/message"),
    ] {
        let value = text(&lead, pointer);
        if !value.is_empty() {
            pairs.push((page.t(label), html! { (value) }));
        }
    }
    let body = html! {
        p.subtitle { (badge(&page.text, "lead-stage", text(&lead, "stage"))) }
        (facts(&pairs))
        (acts(&page, &lead))
    };
    Ok(page.show(&name(&page, &lead), body))
}

/// A form that asks for one choice.
fn choose(
    page: &Page,
    lead: &Value,
    verb: &str,
    name: &str,
    family: &str,
    codes: &[&str],
) -> Markup {
    let action = format!("/portal/leads/{}/{verb}", text(lead, "id"));
    let choices: Vec<(String, String)> = codes
        .iter()
        .map(|code| ((*code).to_owned(), page.text.word(family, code)))
        .collect();
    let label = page.t(&format!("lead-{verb}-choice"));
    let version = lead["version"].as_u64().unwrap_or_default().to_string();
    html! {
        form.form method="post" action=(action) {
            (hidden(page, Some(&version)))
            (select(&page.text, &Draft::default(), Field::text(name, &label).required(), &choices))
            p.actions { button { (page.t(&format!("lead-{verb}"))) } }
        }
    }
}

fn acts(page: &Page, lead: &Value) -> Markup {
    let stage = text(lead, "stage");
    if stage == "offered" {
        let accept = format!("/portal/leads/{}/accept", text(lead, "id"));
        return html! {
            (section(&page.t("lead-offer"), html! {
                p { (page.t("lead-offer-what")) }
                p.actions { (button(page, &accept, None, &page.t("lead-accept"), None)) }
                (choose(page, lead, "decline", "reason", "lead-decline", &DECLINE_REASONS))
            }))
        };
    }
    if !["accepted", "working", "qualified", "proposal"].contains(&stage) {
        return html! {};
    }
    html! {
        (section(&page.t("lead-on"), html! {
            (choose(page, lead, "progress", "stage", "lead-stage", &PROGRESS))
            (choose(page, lead, "lost", "reason", "lead-lost", &LOST_REASONS))
        }))
    }
}

pub(super) async fn act(
    Path((id, what)): Path<(String, String)>,
    sent: Sent,
) -> Result<Response, Failure> {
    let Sent { page, form } = sent;
    page.partner()?;
    let body = match what.as_str() {
        "accept" => json!({}),
        "decline" | "lost" => form.object(&["reason"]),
        "progress" => form.object(&["stage"]),
        _ => return Err(Failure::not_found()),
    };
    let path = format!("/v1/leads/{}/{what}", part(&id));
    let change = Change {
        once: form.once(),
        version: form.version(),
        ..Change::post(&path, body)
    };
    page.api.change(change).await?;
    Ok(go(&format!("/portal/leads/{}?done=lead_{what}", part(&id))))
}
