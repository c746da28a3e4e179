//! Forms and their fields: labelled, with what was typed and why it was refused.

use maud::{Markup, html};

use crate::form::Draft;
use crate::page::Page;
use crate::text::Text;

/// A field of one line.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// Its path in what is sent, such as `customer.email`.
    pub name: &'a str,
    /// What it is called.
    pub label: &'a str,
    /// The type of the input, such as `text`, `email`, `date`.
    pub kind: &'a str,
    /// What stands in it before anything is typed.
    pub value: &'a str,
    /// What helps to fill it in.
    pub hint: Option<&'a str>,
    /// Whether it must be filled in.
    pub required: bool,
}

impl<'a> Field<'a> {
    /// A line of text.
    #[must_use]
    pub fn text(name: &'a str, label: &'a str) -> Self {
        Self {
            name,
            label,
            kind: "text",
            value: "",
            hint: None,
            required: false,
        }
    }

    /// The same of another type.
    #[must_use]
    pub fn kind(mut self, kind: &'a str) -> Self {
        self.kind = kind;
        self
    }

    /// The same that must be filled in.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: &'a str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// The same with what stands there.
    #[must_use]
    pub fn value(mut self, value: &'a str) -> Self {
        self.value = value;
        self
    }
}

/// The id of a field in the page.
fn id(name: &str) -> String {
    format!("f-{}", name.replace(['.', '[', ']'], "-"))
}

fn described(id: &str, hint: Option<&str>, error: Option<&str>) -> Option<String> {
    let hint = hint.map(|_| format!("{id}-hint"));
    let error = error.map(|_| format!("{id}-error"));
    let all: Vec<String> = hint.into_iter().chain(error).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

fn around(
    texts: &Text,
    name: &str,
    label: &str,
    required: bool,
    hint: Option<&str>,
    error: Option<&str>,
    input: Markup,
) -> Markup {
    let id = id(name);
    html! {
        div.field {
            label for=(id) {
                (label)
                @if !required { " " span.optional { (texts.t("optional")) } }
            }
            @if let Some(hint) = hint { p.hint id={ (id) "-hint" } { (hint) } }
            (input)
            @if let Some(error) = error { p.error id={ (id) "-error" } { (error) } }
        }
    }
}

/// A field of one line.
#[must_use]
pub fn field(texts: &Text, draft: &Draft<'_>, field: Field<'_>) -> Markup {
    let Field {
        name,
        label,
        kind,
        value,
        hint,
        required,
    } = field;
    let id = id(name);
    let error = draft.error(name);
    let complete = (kind == "email").then_some("email");
    let input = html! {
        input id=(id) name=(name) type=(kind) value=(draft.value(name, value))
            required[required] autocomplete=[complete]
            aria-invalid=[error.map(|_| "true")]
            aria-describedby=[described(&id, hint, error)];
    };
    around(texts, name, label, required, hint, error, input)
}

/// A field of several lines.
#[must_use]
pub fn area(texts: &Text, draft: &Draft<'_>, field: Field<'_>) -> Markup {
    let Field {
        name,
        label,
        kind: _,
        value,
        hint,
        required,
    } = field;
    let id = id(name);
    let error = draft.error(name);
    let input = html! {
        textarea id=(id) name=(name) rows="4" required[required]
            aria-invalid=[error.map(|_| "true")]
            aria-describedby=[described(&id, hint, error)] { (draft.value(name, value)) }
    };
    around(texts, name, label, required, hint, error, input)
}

/// A choice of one among several: what is sent, and what it is called.
#[must_use]
pub fn select(
    texts: &Text,
    draft: &Draft<'_>,
    field: Field<'_>,
    choices: &[(String, String)],
) -> Markup {
    let Field {
        name,
        label,
        kind: _,
        value,
        hint,
        required,
    } = field;
    let id = id(name);
    let error = draft.error(name);
    let chosen = draft.value(name, value);
    let input = html! {
        select id=(id) name=(name) required[required]
            aria-invalid=[error.map(|_| "true")]
            aria-describedby=[described(&id, hint, error)] {
            @if !required || chosen.is_empty() { option value="" { (texts.t("choose")) } }
            @for (code, words) in choices {
                option value=(code) selected[*code == chosen] { (words) }
            }
        }
    };
    around(texts, name, label, required, hint, error, input)
}

/// Boxes to tick, any number of them.
#[must_use]
pub fn boxes(
    texts: &Text,
    draft: &Draft<'_>,
    name: &str,
    legend: &str,
    choices: &[(String, String, bool)],
) -> Markup {
    let error = draft.error(name);
    html! {
        fieldset.field {
            legend { (legend) " " span.optional { (texts.t("optional")) } }
            @for (code, words, stands) in choices {
                label.box {
                    input type="checkbox" name=(name) value=(code) checked[draft.has(name, code, *stands)];
                    " " (words)
                }
            }
            @if let Some(error) = error { p.error { (error) } }
        }
    }
}

/// What is wrong with a form as a whole, on top of it, where the reader is taken.
#[must_use]
pub fn summary(texts: &Text, draft: &Draft<'_>) -> Markup {
    let Some(told) = draft.told else {
        return html! {};
    };
    html! {
        div.summary role="alert" tabindex="-1" id="summary" {
            p { strong { (texts.t("form-refused")) } }
            @if told.errors.is_empty() {
                p { (told.detail) }
            } @else {
                ul {
                    @for error in &told.errors {
                        li { a href={ "#" (id(&error.field)) } { (error.field) } " " (error.reason) }
                    }
                }
            }
        }
    }
}

/// A form of whoever is signed in. `once` makes that it takes effect once however often it is sent; `version` names
/// what it is based on.
#[must_use]
pub fn form(
    page: &Page,
    action: &str,
    version: Option<&str>,
    submit: &str,
    draft: &Draft<'_>,
    fields: Markup,
) -> Markup {
    // A form that was refused changed nothing, and says something else the next time: it gets another key.
    html! {
        form.form method="post" action=(action) novalidate {
            (hidden(page, version))
            (summary(&page.text, draft))
            (fields)
            p.actions { button.primary { (submit) } }
        }
    }
}

/// What every form holds unseen.
#[must_use]
pub fn hidden(page: &Page, version: Option<&str>) -> Markup {
    html! {
        input type="hidden" name="csrf" value=(page.csrf());
        input type="hidden" name="once" value=(page.once());
        @if let Some(version) = version { input type="hidden" name="version" value=(version); }
    }
}

/// A form of one button. `warns` says what it will do where that cannot be taken back: it is asked again.
#[must_use]
pub fn act(
    page: &Page,
    action: &str,
    version: Option<&str>,
    label: &str,
    warns: Option<&str>,
) -> Markup {
    html! {
        @if let Some(warns) = warns {
            details.confirm {
                summary.button.danger { (label) }
                form.confirm-body method="post" action=(action) {
                    (hidden(page, version))
                    p { (warns) }
                    button.danger { (page.t("confirm")) ": " (label) }
                }
            }
        } @else {
            form.inline method="post" action=(action) {
                (hidden(page, version))
                button { (label) }
            }
        }
    }
}
