//! The first page of a partner: what it earns, what is open, what needs its attention.

use axum::response::Response;
use futures_util::try_join;
use maud::{Markup, html};
use serde_json::Value;

use crate::components::table::{figures, table, words};
use crate::components::{badge, day, empty, figure, items, money, section, text};
use crate::failure::Failure;
use crate::page::Page;

/// Entries of each list on this page; the lists' own pages have all.
const SHOWN: usize = 5;

pub(super) async fn show(page: Page) -> Result<Response, Failure> {
    let partner = page.partner()?.id;
    let limit = format!("limit={SHOWN}");
    let paths = [
        format!("/v1/partners/{partner}/balances"),
        format!("/v1/conversions?partner={partner}&{limit}"),
        format!("/v1/deals?partner={partner}&{limit}"),
        format!("/v1/leads?partner={partner}&{limit}"),
        format!("/v1/partners/{partner}/enrolments?limit=10"),
        format!("/v1/partners/{partner}/payout-method"),
    ];
    let [balances, conversions, deals, leads, programs, method] = &paths;
    let api = &page.api;
    let (balances, conversions, deals, leads, programs, method) = try_join!(
        api.get(balances),
        api.get(conversions),
        api.get(deals),
        api.get(leads),
        api.get(programs),
        api.find(method),
    )?;
    let body = html! {
        (attention(&page, &leads, &deals, method.is_none(), &programs))
        (earnings(&page, &balances))
        (latest(&page, &conversions))
    };
    let name = page.entered.identity.name.clone();
    Ok(page.show(&page.text.fill("home-hello", &[("name", &name)]), body))
}

/// What waits for the partner, the most pressing first.
fn attention(
    page: &Page,
    leads: &Value,
    deals: &Value,
    no_method: bool,
    programs: &Value,
) -> Markup {
    let offered = items(leads, "items")
        .iter()
        .filter(|lead| text(lead, "stage") == "offered");
    let asked = items(deals, "items")
        .iter()
        .filter(|deal| text(deal, "state") == "needs_information");
    let (offered, asked) = (offered.count(), asked.count());
    let in_none = items(programs, "items").is_empty();
    if offered + asked == 0 && !no_method && !in_none {
        return html! {};
    }
    let number = |count: usize| count.to_string();
    section(
        &page.t("home-attention"),
        html! {
            ul {
                @if offered > 0 { li { (page.text.fill("home-leads-offered", &[("count", &number(offered))])) } }
                @if asked > 0 { li { (page.text.fill("home-deals-asked", &[("count", &number(asked))])) } }
                @if in_none { li { (page.t("home-no-program")) } }
                @if no_method { li { (page.t("home-no-method")) } }
            }
        },
    )
}

fn earnings(page: &Page, balances: &Value) -> Markup {
    let balances = items(balances, "items");
    if balances.is_empty() {
        return empty(
            &page.t("home-no-earnings"),
            &page.t("home-no-earnings-what"),
            Some(("/portal/links", &page.t("home-no-earnings-step"))),
        );
    }
    let states = ["pending", "payable", "in_transit", "paid"];
    html! {
        @for balance in balances {
            section aria-label=(page.text.fill("home-earnings", &[("currency", text(balance, "currency"))])) {
                dl.figures-row {
                    @for state in states {
                        (figure(
                            &page.text.word("balance", state),
                            money(&page.text, text(balance, state), text(balance, "currency")),
                            None,
                        ))
                    }
                }
            }
        }
    }
}

fn latest(page: &Page, conversions: &Value) -> Markup {
    let found = items(conversions, "items");
    if found.is_empty() {
        return html! {};
    }
    let columns = [
        words(page.t("conversion-when")),
        words(page.t("conversion-event")),
        words(page.t("conversion-state")),
        figures(page.t("conversion-commission")),
    ];
    let rows: Vec<Vec<Markup>> = found
        .iter()
        .map(|conversion| {
            vec![
                html! {
                    a href={ "/portal/conversions/" (text(conversion, "id")) } {
                        (day(&page.text, text(conversion, "occurred_at")))
                    }
                },
                html! { (text(conversion, "event")) },
                badge(&page.text, "state", text(conversion, "state")),
                super::conversions::commission(page, conversion),
            ]
        })
        .collect();
    section(
        &page.t("home-latest"),
        html! {
            (table(&page.t("home-latest"), &columns, &rows))
            p { a href="/portal/conversions" { (page.t("home-all-conversions")) } }
        },
    )
}
