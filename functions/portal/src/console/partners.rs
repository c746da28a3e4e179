//! The partners: who they are, what they earn, and what is done to them.

use axum::response::Response;
use futures_util::try_join;
use maud::{Markup, html};
use serde_json::Value;
use tributary::edge::Path;
use tributary::operators::model::Scope;

use crate::api::{Change, part};
use crate::components::fields::act as button;
use crate::components::table::{figures, filter, filters, foot, query_with, table, words};
use crate::components::{badge, day, empty, facts, items, money, section, text, time};
use crate::failure::Failure;
use crate::form::Sent;
use crate::page::{Page, go};

/// What the list is filtered by.
const FILTERS: [&str; 3] = ["status", "kind", "country"];
const STATUSES: [&str; 4] = ["active", "suspended", "banned", "archived"];
const KINDS: [&str; 4] = ["affiliate", "referrer", "reseller", "service"];

fn choices(page: &Page, family: &str, codes: &[&str]) -> Vec<(String, String)> {
    let all = codes.iter();
    all.map(|code| ((*code).to_owned(), page.text.word(family, code)))
        .collect()
}

pub(super) async fn list(page: Page) -> Result<Response, Failure> {
    page.operator()?;
    let mut changed = Vec::new();
    if let Some(cursor) = page.query.get("cursor") {
        changed.push(("cursor", cursor));
    }
    let query = query_with(&page, &FILTERS, &changed);
    let answer = page.api.get(&format!("/v1/partners{query}")).await?;
    let found = items(&answer, "items");
    let columns = [
        words(page.t("partner-name")),
        words(page.t("partner-kind")),
        words(page.t("partner-country")),
        words(page.t("partner-status")),
        words(page.t("partner-since")),
    ];
    let rows: Vec<Vec<Markup>> = found.iter().map(|partner| row(&page, partner)).collect();
    let body = html! {
        (filters(&page, html! {
            (filter(&page, "status", &page.t("partner-status"), &choices(&page, "partner-status", &STATUSES)))
            (filter(&page, "kind", &page.t("partner-kind"), &choices(&page, "partner-kind", &KINDS)))
        }))
        @if found.is_empty() {
            (empty(&page.t("partners-none"), &page.t("partners-none-what"), None))
        } @else {
            (table(&page.t("nav-partners"), &columns, &rows))
        }
        (foot(&page, &answer, &FILTERS, None))
    };
    Ok(page.show(&page.t("nav-partners"), body))
}

fn name(partner: &Value) -> &str {
    // An erased partner has no name any more.
    partner["name"].as_str().unwrap_or(text(partner, "id"))
}

fn row(page: &Page, partner: &Value) -> Vec<Markup> {
    vec![
        html! { a href={ "/console/partners/" (text(partner, "id")) } { (name(partner)) } },
        html! { (page.text.word("partner-kind", text(partner, "kind"))) },
        html! { (text(partner, "country")) },
        badge(&page.text, "partner-status", text(partner, "status")),
        day(&page.text, text(partner, "created_at")),
    ]
}

pub(super) async fn show(page: Page, Path(id): Path<String>) -> Result<Response, Failure> {
    page.operator()?;
    let id = part(&id);
    let paths = [
        format!("/v1/partners/{id}"),
        format!("/v1/partners/{id}/balances"),
        format!("/v1/partners/{id}/members"),
        format!("/v1/conversions?partner={id}&limit=5"),
        format!("/v1/deals?partner={id}&limit=5"),
    ];
    let [partner, balances, members, conversions, deals] = &paths;
    let api = &page.api;
    let (partner, balances, members, conversions, deals) = try_join!(
        api.get(partner),
        api.get(balances),
        api.get(members),
        api.get(conversions),
        api.get(deals),
    )?;
    let pairs = [
        (page.t("partner-email"), html! { (text(&partner, "email")) }),
        (
            page.t("partner-kind"),
            html! { (page.text.word("partner-kind", text(&partner, "kind"))) },
        ),
        (
            page.t("partner-country"),
            html! { (text(&partner, "country")) },
        ),
        (
            page.t("partner-since"),
            time(&page.text, text(&partner, "created_at")),
        ),
        (page.t("id"), html! { code { (text(&partner, "id")) } }),
    ];
    let body = html! {
        p.subtitle { (badge(&page.text, "partner-status", text(&partner, "status"))) }
        (facts(&pairs))
        (standing(&page, &partner))
        (section(&page.t("partner-balances"), of_balances(&page, &balances)))
        (section(&page.t("nav-conversions"), of_conversions(&page, &conversions)))
        (section(&page.t("nav-deals"), of_deals(&page, &deals)))
        (section(&page.t("partner-members"), of_members(&page, &members)))
    };
    Ok(page.show(name(&partner), body))
}

/// What may be done to a partner, by whoever may.
fn standing(page: &Page, partner: &Value) -> Markup {
    if !page.may(&[Scope::Channel]) || !text(partner, "merged_into").is_empty() {
        return html! {};
    }
    let status = text(partner, "status");
    let place = |what: &str| format!("/console/partners/{}/{what}", text(partner, "id"));
    let warned = |what: &str| page.t(&format!("partner-{what}-warns"));
    html! {
        p.actions {
            @if status == "active" {
                (button(page, &place("suspend"), None, &page.t("partner-suspend"), Some(&warned("suspend"))))
                (button(page, &place("ban"), None, &page.t("partner-ban"), Some(&warned("ban"))))
            } @else {
                (button(page, &place("reinstate"), None, &page.t("partner-reinstate"), Some(&warned("reinstate"))))
            }
        }
    }
}

fn of_balances(page: &Page, balances: &Value) -> Markup {
    let found = items(balances, "items");
    if found.is_empty() {
        return html! { p.muted { (page.t("partner-no-balances")) } };
    }
    let states = ["pending", "payable", "in_transit", "paid"];
    let columns: Vec<_> = states
        .iter()
        .map(|state| figures(page.text.word("balance", state)))
        .collect();
    let rows: Vec<Vec<Markup>> = found
        .iter()
        .map(|balance| {
            let one =
                |state: &&str| money(&page.text, text(balance, state), text(balance, "currency"));
            states.iter().map(one).collect()
        })
        .collect();
    table(&page.t("partner-balances"), &columns, &rows)
}

fn of_conversions(page: &Page, conversions: &Value) -> Markup {
    let found = items(conversions, "items");
    if found.is_empty() {
        return html! { p.muted { (page.t("conversions-none")) } };
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
            let total = text(conversion, "/outcome/total");
            vec![
                day(&page.text, text(conversion, "occurred_at")),
                html! { (text(conversion, "event")) },
                badge(&page.text, "state", text(conversion, "state")),
                if total.is_empty() {
                    html! { "–" }
                } else {
                    money(&page.text, total, text(conversion, "/outcome/currency"))
                },
            ]
        })
        .collect();
    table(&page.t("nav-conversions"), &columns, &rows)
}

fn of_deals(page: &Page, deals: &Value) -> Markup {
    let found = items(deals, "items");
    if found.is_empty() {
        return html! { p.muted { (page.t("deals-none")) } };
    }
    let columns = [
        words(page.t("deal-name")),
        words(page.t("deal-state")),
        figures(page.t("deal-amount")),
    ];
    let rows: Vec<Vec<Markup>> = found
        .iter()
        .map(|deal| {
            vec![
                html! { (text(deal, "name")) },
                badge(&page.text, "deal-state", text(deal, "state")),
                money(&page.text, text(deal, "amount"), text(deal, "currency")),
            ]
        })
        .collect();
    table(&page.t("nav-deals"), &columns, &rows)
}

fn of_members(page: &Page, members: &Value) -> Markup {
    let found = items(members, "items");
    if found.is_empty() {
        return html! { p.muted { (page.t("partner-no-members")) } };
    }
    let columns = [
        words(page.t("member-name")),
        words(page.t("member-email")),
        words(page.t("member-role")),
    ];
    let rows: Vec<Vec<Markup>> = found
        .iter()
        .map(|member| {
            vec![
                html! { (text(member, "name")) },
                html! { (text(member, "email")) },
                html! { (page.text.word("member-role", text(member, "role"))) },
            ]
        })
        .collect();
    table(&page.t("partner-members"), &columns, &rows)
}

pub(super) async fn act(
    Path((id, what)): Path<(String, String)>,
    sent: Sent,
) -> Result<Response, Failure> {
    let Sent { page, form } = sent;
    page.operator()?;
    if !["suspend", "reinstate", "ban"].contains(&what.as_str()) {
        return Err(Failure::not_found());
    }
    let id = part(&id);
    let path = format!("/v1/partners/{id}/{what}");
    let change = Change {
        once: form.once(),
        ..Change::post(&path, Value::Null)
    };
    page.api.change(change).await?;
    Ok(go(&format!("/console/partners/{id}?done=partner_{what}")))
}
