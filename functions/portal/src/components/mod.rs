//! What pages are made of.

pub mod fields;
pub mod layout;
pub mod table;

use maud::{Markup, html};
use serde_json::Value;

use crate::text::Text;

/// A text of an answer of the API; empty when it is not there.
#[must_use]
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = if pointer.starts_with('/') {
        value.pointer(pointer)
    } else {
        value.get(pointer)
    };
    found.and_then(Value::as_str).unwrap_or_default()
}

/// The entries of an answer of the API.
#[must_use]
pub fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// A state, in words and with a mark that does not rest on colour alone.
#[must_use]
pub fn badge(texts: &Text, family: &str, code: &str) -> Markup {
    let tone = match code {
        "active" | "approved" | "payable" | "paid" | "settled" | "won" | "accepted"
        | "completed" | "done" | "resolved" => "good",
        "rejected" | "banned" | "reversed" | "returned" | "lost" | "expired" | "failed"
        | "declined" | "suspended" | "unattributed" => "bad",
        "submitted" | "in_review" | "needs_information" | "held" | "pending" | "offered"
        | "open" | "disputed" | "escalated" | "awaiting_approval" | "planned" => "waiting",
        _ => "plain",
    };
    html! { span class={ "badge badge-" (tone) } { (texts.word(family, code)) } }
}

/// An amount of the API with its currency.
#[must_use]
pub fn money(texts: &Text, amount: &str, currency: &str) -> Markup {
    let tone = if amount.starts_with('-') {
        "money negative"
    } else {
        "money"
    };
    html! { span class=(tone) { (texts.money(amount, currency)) } }
}

/// A time, with its zone.
#[must_use]
pub fn time(texts: &Text, at: &str) -> Markup {
    if at.is_empty() {
        return html! { span.muted { "–" } };
    }
    html! { time datetime=(at) { (texts.time(at)) } }
}

/// A day.
#[must_use]
pub fn day(texts: &Text, at: &str) -> Markup {
    if at.is_empty() {
        return html! { span.muted { "–" } };
    }
    html! { time datetime=(at) { (texts.day(at)) } }
}

/// A figure with what it is.
#[must_use]
pub fn figure(label: &str, value: Markup, note: Option<Markup>) -> Markup {
    html! {
        div.figure {
            dt { (label) }
            dd {
                span.figure-value { (value) }
                @if let Some(note) = note { span.figure-note { (note) } }
            }
        }
    }
}

/// Where there is nothing yet: what comes here, and the next step.
#[must_use]
pub fn empty(title: &str, what: &str, step: Option<(&str, &str)>) -> Markup {
    html! {
        div.empty {
            p.empty-title { (title) }
            p { (what) }
            @if let Some((href, label)) = step {
                p { a.button href=(href) { (label) } }
            }
        }
    }
}

/// Facts with their names, in two columns.
#[must_use]
pub fn facts(pairs: &[(String, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in pairs {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// A section with its heading.
#[must_use]
pub fn section(title: &str, body: Markup) -> Markup {
    html! { section.panel { h2 { (title) } (body) } }
}

/// What a page says about what was just done.
#[must_use]
pub fn notice(words: &str) -> Markup {
    html! { p.notice role="status" { (words) } }
}
