//! A partner's deals: registered, followed, and what it may do with each.

use axum::response::Response;
use futures_util::try_join;
use maud::{Markup, html};
use serde_json::{Value, json};
use tributary::edge::Path;

use crate::api::{Change, part};
use crate::components::fields::{Field, act as button, area, field, form, hidden, select};
use crate::components::table::{figures, foot, table, words};
use crate::components::{badge, day, empty, facts, items, money, section, text, time};
use crate::failure::Failure;
use crate::form::{Draft, Form, Sent};
use crate::page::{Page, go};

/// What a registration says as one line of text each.
const TEXTS: [&str; 8] = [
    "program",
    "name",
    "amount",
    "expected_close",
    "description",
    "customer.name",
    "customer.country",
    "customer.domain",
];
/// What a partner does with a deal by a button alone.
const ACTS: [&str; 3] = ["submit", "withdraw", "extend"];

pub(super) async fn list(page: Page) -> Result<Response, Failure> {
    let partner = page.partner()?.id;
    let path = format!("/v1/deals?partner={partner}{}", page.cursor());
    let answer = page.api.get(&path).await?;
    let found = items(&answer, "items");
    let body = if found.is_empty() {
        let step = page.t("deal-register");
        empty(
            &page.t("deals-none"),
            &page.t("deals-none-what"),
            Some(("/portal/deals/new", &step)),
        )
    } else {
        let columns = [
            words(page.t("deal-name")),
            words(page.t("deal-state")),
            words(page.t("deal-protected")),
            figures(page.t("deal-amount")),
        ];
        let rows: Vec<Vec<Markup>> = found.iter().map(|deal| row(&page, deal)).collect();
        html! {
            p.actions { a.button.primary href="/portal/deals/new" { (page.t("deal-register")) } }
            (table(&page.t("nav-deals"), &columns, &rows))
            (foot(&page, &answer, &[], None))
        }
    };
    Ok(page.show(&page.t("nav-deals"), body))
}

fn name(deal: &Value) -> &str {
    // An erased deal has no name any more.
    deal["name"].as_str().unwrap_or(text(deal, "id"))
}

fn row(page: &Page, deal: &Value) -> Vec<Markup> {
    vec![
        html! { a href={ "/portal/deals/" (text(deal, "id")) } { (name(deal)) } },
        badge(&page.text, "deal-state", text(deal, "state")),
        day(&page.text, text(deal, "protected_until")),
        money(&page.text, text(deal, "amount"), text(deal, "currency")),
    ]
}

pub(super) async fn new(page: Page) -> Result<Response, Failure> {
    let body = new_form(&page, &Draft::default()).await?;
    Ok(page.show(&page.t("deal-register"), body))
}

async fn places(page: &Page) -> Result<Value, Failure> {
    let partner = page.partner()?.id;
    page.api
        .get(&format!("/v1/partners/{partner}/enrolments?limit=100"))
        .await
}

async fn new_form(page: &Page, draft: &Draft<'_>) -> Result<Markup, Failure> {
    let places = places(page).await?;
    let choices: Vec<(String, String)> = items(&places, "items")
        .iter()
        .map(|place| {
            let name = format!(
                "{} ({})",
                text(place, "program_name"),
                text(place, "program_currency")
            );
            (text(place, "program").to_owned(), name)
        })
        .collect();
    if choices.is_empty() {
        return Ok(html! { p { (page.t("home-no-program")) } });
    }
    let texts = &page.text;
    let label = |id: &str| page.t(id);
    let [program, what, customer, country, domain] = [
        "program",
        "deal-name",
        "deal-customer",
        "deal-country",
        "deal-domain",
    ]
    .map(label);
    let [amount, close, about, lines] =
        ["deal-amount", "deal-close", "deal-about", "deal-lines"].map(label);
    let [country_hint, domain_hint, amount_hint, lines_hint] = [
        "deal-country-hint",
        "deal-domain-hint",
        "deal-amount-hint",
        "deal-lines-hint",
    ]
    .map(label);
    let only = if choices.len() == 1 {
        choices[0].0.as_str()
    } else {
        ""
    };
    let fields = html! {
        (select(texts, draft, Field::text("program", &program).required().value(only), &choices))
        (field(texts, draft, Field::text("name", &what).required()))
        (field(texts, draft, Field::text("customer.name", &customer).required()))
        (field(texts, draft, Field::text("customer.country", &country).hint(&country_hint)))
        (field(texts, draft, Field::text("customer.domain", &domain).hint(&domain_hint)))
        (field(texts, draft, Field::text("amount", &amount).required().hint(&amount_hint)))
        (field(texts, draft, Field::text("product_lines", &lines).hint(&lines_hint)))
        (field(texts, draft, Field::text("expected_close", &close).kind("date")))
        (area(texts, draft, Field::text("description", &about)))
    };
    Ok(form(
        page,
        "/portal/deals",
        None,
        &page.t("deal-hand-in"),
        draft,
        fields,
    ))
}

/// A registration as the API takes it; the currency is the program's.
fn registration(form: &Form, places: &Value) -> Value {
    let mut body = form.object(&TEXTS);
    let program = form.get("program").unwrap_or_default();
    let mut places = items(places, "items").iter();
    let place = places.find(|place| text(place, "program") == program);
    if let Some(place) = place {
        body["currency"] = text(place, "program_currency").into();
    }
    if let Some(lines) = form.get("product_lines") {
        let lines: Vec<&str> = lines
            .split(',')
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        body["product_lines"] = lines.into();
    }
    body
}

pub(super) async fn create(sent: Sent) -> Result<Response, Failure> {
    let Sent { page, form } = sent;
    let body = registration(&form, &places(&page).await?);
    let change = Change {
        once: form.once(),
        ..Change::post("/v1/deals", body)
    };
    match page.api.change(change).await {
        Ok(deal) => Ok(go(&format!(
            "/portal/deals/{}?done=deal_registered",
            text(&deal, "id")
        ))),
        Err(Failure::Problem(told)) => {
            let body = new_form(&page, &Draft::refused(&form, &told)).await?;
            Ok(page.refuse(&page.t("deal-register"), body))
        }
        Err(failure) => Err(failure),
    }
}

pub(super) async fn show(page: Page, Path(id): Path<String>) -> Result<Response, Failure> {
    page.partner()?;
    let (title, body) = shown(&page, &id, &Draft::default()).await?;
    Ok(page.show(&title, body))
}

async fn shown(page: &Page, id: &str, draft: &Draft<'_>) -> Result<(String, Markup), Failure> {
    let id = part(id);
    let (deal, timeline) = (
        format!("/v1/deals/{id}"),
        format!("/v1/deals/{id}/timeline"),
    );
    let (deal, timeline) = try_join!(page.api.get(&deal), page.api.get(&timeline))?;
    let pairs = [
        (
            page.t("deal-customer"),
            html! { (text(&deal, "/customer/name")) },
        ),
        (
            page.t("deal-amount"),
            money(&page.text, text(&deal, "amount"), text(&deal, "currency")),
        ),
        (
            page.t("deal-handed-in"),
            time(&page.text, text(&deal, "submitted_at")),
        ),
        (
            page.t("deal-protected"),
            time(&page.text, text(&deal, "protected_until")),
        ),
        (
            page.t("deal-close"),
            day(&page.text, text(&deal, "expected_close")),
        ),
    ];
    let findings = items(&deal, "findings");
    let body = html! {
        p.subtitle { (badge(&page.text, "deal-state", text(&deal, "state"))) }
        (facts(&pairs))
        @if let Some(reason) = deal["rejection"]["reason"].as_str() {
            p { strong { (page.text.word("deal-reason", reason)) } " " (text(&deal, "/rejection/note")) }
        }
        @if !findings.is_empty() {
            (section(&page.t("deal-findings"), html! {
                ul lang="en" { @for finding in findings { li { (text(finding, "evidence")) } } }
            }))
        }
        @if deal["under_examination"] == true { p.muted { (page.t("deal-examined")) } }
        (asked(page, &deal, draft))
        (acts(page, &deal))
        (section(&page.t("timeline"), of_timeline(page, &timeline)))
    };
    Ok((name(&deal).to_owned(), body))
}

/// What the vendor asks, and the answer to it.
fn asked(page: &Page, deal: &Value, draft: &Draft<'_>) -> Markup {
    if text(deal, "state") != "needs_information" {
        return html! {};
    }
    let action = format!("/portal/deals/{}/answer", text(deal, "id"));
    let version = version(deal);
    let label = page.t("deal-answer");
    let fields = area(&page.text, draft, Field::text("answer", &label).required());
    section(
        &page.t("deal-asked"),
        html! {
            p { (text(deal, "question")) }
            p.muted { (page.t("deal-answer-by")) " " (time(&page.text, text(deal, "answer_by"))) }
            (form(page, &action, Some(&version), &page.t("deal-answer-send"), draft, fields))
        },
    )
}

fn version(deal: &Value) -> String {
    deal["version"].as_u64().unwrap_or_default().to_string()
}

/// What a partner may do with a deal as it stands.
fn acts(page: &Page, deal: &Value) -> Markup {
    let (state, version) = (text(deal, "state"), version(deal));
    let place = |what: &str| format!("/portal/deals/{}/{what}", text(deal, "id"));
    let is_open = [
        "draft",
        "submitted",
        "in_review",
        "needs_information",
        "approved",
    ]
    .contains(&state);
    html! {
        p.actions {
            @if state == "draft" {
                (button(page, &place("submit"), Some(&version), &page.t("deal-hand-in"), None))
            }
            @if state == "approved" && deal["extended"] != true {
                (button(page, &place("extend"), Some(&version), &page.t("deal-extend"), None))
            }
            @if is_open {
                (button(page, &place("withdraw"), Some(&version), &page.t("deal-withdraw"), Some(&page.t("deal-withdraw-warns"))))
            }
        }
        @if state == "approved" {
            details.confirm {
                summary.button { (page.t("deal-lost")) }
                form.confirm-body method="post" action=(place("lost")) {
                    (hidden(page, Some(&version)))
                    div.field {
                        label for="note" { (page.t("deal-lost-why")) }
                        input id="note" name="note";
                    }
                    button { (page.t("deal-lost")) }
                }
            }
        }
    }
}

fn of_timeline(page: &Page, timeline: &Value) -> Markup {
    html! {
        ol.timeline {
            @for entry in items(timeline, "items") {
                li {
                    strong { (page.text.word("happening", text(entry, "event"))) }
                    " · " (page.text.word("by", text(entry, "by")))
                    br;
                    (time(&page.text, text(entry, "at")))
                    @if !text(entry, "note").is_empty() { br; (text(entry, "note")) }
                }
            }
        }
    }
}

pub(super) async fn act(
    Path((id, what)): Path<(String, String)>,
    sent: Sent,
) -> Result<Response, Failure> {
    let Sent { page, form } = sent;
    page.partner()?;
    let (verb, body) = match what.as_str() {
        "answer" => ("supply-information", form.object(&["answer"])),
        "lost" => ("lost", form.object(&["note"])),
        verb if ACTS.contains(&verb) => (verb, json!({})),
        _ => return Err(Failure::not_found()),
    };
    let path = format!("/v1/deals/{}/{verb}", part(&id));
    let change = Change {
        once: form.once(),
        version: form.version(),
        ..Change::post(&path, body)
    };
    match page.api.change(change).await {
        Ok(_) => Ok(go(&format!(
            "/portal/deals/{}?done=deal_changed",
            part(&id)
        ))),
        Err(Failure::Problem(told)) if what == "answer" && told.status.as_u16() == 422 => {
            let (title, body) = shown(&page, &id, &Draft::refused(&form, &told)).await?;
            Ok(page.refuse(&title, body))
        }
        Err(failure) => Err(failure),
    }
}
