//! Tables: one page of a list, with what it is filtered by in its address.

use maud::{Markup, html};
use serde_json::Value;

use crate::api::part;
use crate::page::Page;

/// A column: its heading, and whether it holds figures.
#[derive(Clone, Debug)]
pub struct Column {
    /// The heading.
    pub head: String,
    /// Whether it is written at the end of the line, as figures are.
    pub is_figure: bool,
}

/// A column of words.
#[must_use]
pub fn words(head: String) -> Column {
    Column {
        head,
        is_figure: false,
    }
}

/// A column of figures.
#[must_use]
pub fn figures(head: String) -> Column {
    Column {
        head,
        is_figure: true,
    }
}

/// A table. On a narrow screen each row is a card, in which every cell names its column.
#[must_use]
pub fn table(caption: &str, columns: &[Column], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.table-wrap {
            table {
                caption.hidden { (caption) }
                thead {
                    tr {
                        @for column in columns {
                            th scope="col" class=[column.is_figure.then_some("figures")] { (column.head) }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (cell, column) in row.iter().zip(columns) {
                                td data-label=(column.head) class=[column.is_figure.then_some("figures")] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The query of a page with one value in place of another, and from the first page on again.
#[must_use]
pub fn query_with(page: &Page, names: &[&str], changed: &[(&str, &str)]) -> String {
    let kept = names.iter().filter_map(|name| {
        let replaced = changed.iter().find(|(other, _)| other == name);
        let value = match replaced {
            Some((_, value)) => Some(*value),
            None => page.query.get(name),
        };
        Some((*name, value.filter(|value| !value.is_empty())?))
    });
    let cursor = changed
        .iter()
        .copied()
        .filter(|(name, _)| *name == "cursor");
    let all: Vec<String> = kept
        .chain(cursor)
        .map(|(name, value)| format!("{name}={}", part(value)))
        .collect();
    if all.is_empty() {
        String::new()
    } else {
        format!("?{}", all.join("&"))
    }
}

/// What follows a table: the next page, and the whole as a file. `filters` are the names that the list is filtered by.
#[must_use]
pub fn foot(page: &Page, answer: &Value, filters: &[&str], csv: Option<&str>) -> Markup {
    let next = answer["next_cursor"].as_str();
    let is_later = page.query.get("cursor").is_some();
    html! {
        nav.foot aria-label=(page.t("table-pages")) {
            @if is_later {
                a.button href={ (page.path) (query_with(page, filters, &[])) } { (page.t("table-first")) }
            }
            @if let Some(next) = next {
                a.button href={ (page.path) (query_with(page, filters, &[("cursor", next)])) } { (page.t("table-next")) }
            }
            @if let Some(csv) = csv {
                a.button href={ (csv) (query_with(page, filters, &[])) } download { (page.t("table-csv")) }
            }
        }
    }
}

/// A form of what a list is filtered by, which its address shows. It works without a script.
#[must_use]
pub fn filters(page: &Page, fields: Markup) -> Markup {
    html! {
        form.filters method="get" action=(page.path) {
            (fields)
            button { (page.t("table-filter")) }
        }
    }
}

/// A choice among the filters.
#[must_use]
pub fn filter(page: &Page, name: &str, label: &str, choices: &[(String, String)]) -> Markup {
    let chosen = page.query.get(name).unwrap_or_default();
    html! {
        label {
            span { (label) }
            select name=(name) {
                option value="" { (page.t("table-all")) }
                @for (code, words) in choices {
                    option value=(code) selected[code == chosen] { (words) }
                }
            }
        }
    }
}
