//! A partner's conversions, and how each commission was computed.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use tributary::edge::Path;

use crate::api::part;
use crate::components::table::{figures, foot, table, words};
use crate::components::{badge, day, empty, facts, items, money, section, text, time};
use crate::failure::Failure;
use crate::page::Page;

pub(super) async fn list(page: Page) -> Result<Response, Failure> {
    let partner = page.partner()?.id;
    let answer = page
        .api
        .get(&format!(
            "/v1/conversions?partner={partner}{}",
            page.cursor()
        ))
        .await?;
    let found = items(&answer, "items");
    let body = if found.is_empty() {
        empty(
            &page.t("conversions-none"),
            &page.t("conversions-none-what"),
            Some(("/portal/links", &page.t("home-no-earnings-step"))),
        )
    } else {
        let columns = [
            words(page.t("conversion-when")),
            words(page.t("conversion-event")),
            words(page.t("conversion-transaction")),
            words(page.t("conversion-state")),
            figures(page.t("conversion-amount")),
            figures(page.t("conversion-commission")),
        ];
        let rows: Vec<Vec<Markup>> = found
            .iter()
            .map(|conversion| row(&page, conversion))
            .collect();
        html! {
            (table(&page.t("nav-conversions"), &columns, &rows))
            (foot(&page, &answer, &[], None))
        }
    };
    Ok(page.show(&page.t("nav-conversions"), body))
}

fn row(page: &Page, conversion: &Value) -> Vec<Markup> {
    vec![
        html! {
            a href={ "/portal/conversions/" (text(conversion, "id")) } {
                (day(&page.text, text(conversion, "occurred_at")))
            }
        },
        html! { (text(conversion, "event")) },
        html! { (text(conversion, "transaction_id")) },
        badge(&page.text, "state", text(conversion, "state")),
        amount(page, conversion),
        commission(page, conversion),
    ]
}

fn amount(page: &Page, conversion: &Value) -> Markup {
    match (
        conversion["net_amount"].as_str(),
        conversion["amount"].as_str(),
    ) {
        (Some(amount), _) | (None, Some(amount)) => {
            money(&page.text, amount, text(conversion, "currency"))
        }
        _ => html! { "–" },
    }
}

/// What was posted for a conversion in all.
pub(super) fn commission(page: &Page, conversion: &Value) -> Markup {
    let total = text(conversion, "/outcome/total");
    if total.is_empty() {
        return html! { "–" };
    }
    money(&page.text, total, text(conversion, "/outcome/currency"))
}

pub(super) async fn show(page: Page, Path(id): Path<String>) -> Result<Response, Failure> {
    page.partner()?;
    let conversion = page
        .api
        .get(&format!("/v1/conversions/{}", part(&id)))
        .await?;
    let pairs = [
        (
            page.t("conversion-when"),
            time(&page.text, text(&conversion, "occurred_at")),
        ),
        (
            page.t("conversion-transaction"),
            html! { (text(&conversion, "transaction_id")) },
        ),
        (page.t("conversion-amount"), amount(&page, &conversion)),
        (
            page.t("conversion-commission"),
            commission(&page, &conversion),
        ),
        (
            page.t("conversion-release"),
            time(&page.text, text(&conversion, "/outcome/release_at")),
        ),
    ];
    let title = page
        .text
        .fill("conversion-title", &[("event", text(&conversion, "event"))]);
    let body = html! {
        p.subtitle { (badge(&page.text, "state", text(&conversion, "state"))) }
        (facts(&pairs))
        (section(&page.t("conversion-how"), how(&page, &conversion)))
    };
    Ok(page.show(&title, body))
}

/// How the commission was computed, or why there is none.
fn how(page: &Page, conversion: &Value) -> Markup {
    let reason = text(conversion, "/outcome/reason");
    let sentences = items(&conversion["outcome"], "trace");
    html! {
        @if !reason.is_empty() {
            p { (page.text.word("unattributed", reason)) }
        } @else if sentences.is_empty() {
            p { (page.t("conversion-waits")) }
        } @else {
            ol.sentences lang="en" {
                @for sentence in sentences { li { (sentence.as_str().unwrap_or_default()) } }
            }
        }
    }
}
