//! The first page of the vendor: what waits for a decision, and what the programs are.

use axum::response::Response;
use futures_util::future::try_join_all;
use futures_util::try_join;
use maud::{Markup, html};
use serde_json::Value;

use crate::components::table::{figures, table, words};
use crate::components::{day, empty, figure, items, section, text};
use crate::failure::Failure;
use crate::page::Page;

/// Programs on this page; the newest.
const MAX_PROGRAMS: usize = 10;
/// Entries that are counted on this page; more are told as "so many and more".
const COUNTED: usize = 50;

pub(super) async fn show(page: Page) -> Result<Response, Failure> {
    page.operator()?;
    let (programs, batches) = (
        format!("/v1/programs?limit={MAX_PROGRAMS}"),
        format!("/v1/payouts/batches?limit={COUNTED}"),
    );
    let (programs, batches) = try_join!(page.api.get(&programs), page.api.get(&batches))?;
    let found = items(&programs, "items");
    let waiting = found
        .iter()
        .map(|program| waiting(&page, text(program, "id")));
    let waiting = try_join_all(waiting).await?;
    let approvals = items(&batches, "items")
        .iter()
        .filter(|batch| text(batch, "state") == "awaiting_approval")
        .count();
    let body = html! {
        section aria-label=(page.t("console-waits")) {
            dl.figures-row {
                (figure(&page.t("console-batches"), html! { (approvals) }, None))
            }
        }
        (of_programs(&page, found, &waiting))
    };
    Ok(page.show(&page.t("console-home"), body))
}

/// What waits in a program: deals to review, open disputes, leads that no partner has.
async fn waiting(page: &Page, program: &str) -> Result<[Value; 3], Failure> {
    let of =
        |list: &str, filter: &str| format!("/v1/{list}?program={program}&{filter}&limit={COUNTED}");
    let (deals, disputes, leads) = (
        of("deals", "state=submitted"),
        of("disputes", "state=open"),
        of("leads", "stage=vendor_queue"),
    );
    let (deals, disputes, leads) = try_join!(
        page.api.get(&deals),
        page.api.get(&disputes),
        page.api.get(&leads),
    )?;
    Ok([deals, disputes, leads])
}

fn counted(answer: &Value) -> Markup {
    let count = items(answer, "items").len();
    html! { (count) @if !answer["next_cursor"].is_null() { "+" } }
}

fn of_programs(page: &Page, programs: &[Value], waiting: &[[Value; 3]]) -> Markup {
    if programs.is_empty() {
        return empty(
            &page.t("programs-none"),
            &page.t("programs-none-what"),
            None,
        );
    }
    let columns = [
        words(page.t("program")),
        words(page.t("program-currency")),
        words(page.t("program-since")),
        figures(page.t("console-deals")),
        figures(page.t("console-disputes")),
        figures(page.t("console-leads")),
    ];
    let rows: Vec<Vec<Markup>> = programs
        .iter()
        .zip(waiting)
        .map(|(program, [deals, disputes, leads])| {
            vec![
                html! { (text(program, "name")) },
                html! { (text(program, "currency")) },
                day(&page.text, text(program, "created_at")),
                counted(deals),
                counted(disputes),
                counted(leads),
            ]
        })
        .collect();
    section(
        &page.t("nav-programs"),
        table(&page.t("nav-programs"), &columns, &rows),
    )
}
